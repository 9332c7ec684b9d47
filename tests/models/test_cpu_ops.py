"""The forms that a CPU takes against the plain ones: values and gradients."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models import cpu_ops


def compare(ours, plain, *arguments) -> None:
    """Values and all gradients, relative to each array's maximum, or to one: some gradients are zero."""
    weights = jnp.asarray(np.random.default_rng(9).normal(size=jax.eval_shape(plain, *arguments).shape), jnp.float32)

    def both(f):
        value, back = jax.vjp(f, *arguments)
        return value, *back(weights)

    for found, wanted in zip(jax.jit(lambda: both(ours))(), jax.jit(lambda: both(plain))(), strict=True):
        assert found.shape == wanted.shape
        assert float(jnp.abs(found - wanted).max()) < 1e-5 * max(float(jnp.abs(wanted).max()), 1.0)


@pytest.mark.parametrize("silu", [True, False])
@pytest.mark.parametrize(
    ("batch", "height", "channels", "groups"),
    [(1, 6, 16, 8), (3, 6, 4, 4), (2, 6, 24, 8), (40, 6, 8, 8), (1, 150, 16, 8), (2, 254, 8, 4)],  # the last two: large
)
def test_group_norm(batch: int, height: int, channels: int, groups: int, silu: bool) -> None:
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(0.5, 2.0, size=(batch, height, 10, channels)), jnp.float32)
    shift, scale, bias = (jnp.asarray(rng.normal(size=channels), jnp.float32) for _ in range(3))
    norm = nn.GroupNorm(groups)

    def plain(x, shift, scale, bias):
        y = norm.apply({"params": {"scale": scale, "bias": bias}}, x + shift)
        return nn.silu(y) if silu else y

    compare(lambda *a: cpu_ops.group_norm(*a, groups, silu), plain, x, shift, scale, bias)


@pytest.mark.parametrize(("batch", "rows", "channels"), [(1, 6, 4), (2, 96, 8), (1, 61, 16)])
def test_both_sums_are_those_of_the_pixels(batch: int, rows: int, channels: int) -> None:
    x, other = np.random.default_rng(0).normal(1.0, 2.0, (2, batch, rows, 40 * channels)).astype(np.float32)
    pixels, beside = (v.astype(np.float64).reshape(batch, -1, channels) for v in (x, other))
    first, second = cpu_ops.two_sums(jnp.asarray(x), jnp.asarray(other), channels)
    np.testing.assert_allclose(first, pixels.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(second, (pixels * beside).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("spread", [1.0, 100.0])  # of the scores; exp(1000) overflows
def test_attention(spread: float) -> None:
    rng = np.random.default_rng(0)
    query, key, value = (jnp.asarray(rng.normal(size=(2, 10, 3, 8)), jnp.float32) for _ in range(3))
    compare(cpu_ops.attention, jax.nn.dot_product_attention, spread * query, key, value)


def test_attention_of_short_numbers_sums_long_ones() -> None:
    """bfloat16: as near to float32's as the library's own is."""
    rng = np.random.default_rng(0)
    full = [jnp.asarray(rng.normal(size=(1, 500, 2, 8)), jnp.float32) for _ in range(3)]
    short = [v.astype(jnp.bfloat16) for v in full]
    wanted = jax.nn.dot_product_attention(*full)
    found, usual = cpu_ops.attention(*short), jax.nn.dot_product_attention(*short)
    assert found.dtype == jnp.bfloat16
    assert float(jnp.abs(found - wanted).mean()) < 1.1 * float(jnp.abs(usual - wanted).mean())
