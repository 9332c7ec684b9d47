"""The forms that a CPU takes against the plain ones: values and gradients."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models import cpu_ops


def compare(ours, plain, *arguments) -> None:
    """Values and all gradients, relative to each array's maximum."""
    weights = jnp.asarray(np.random.default_rng(9).normal(size=jax.eval_shape(plain, *arguments).shape), jnp.float32)

    def both(f):
        value, back = jax.vjp(f, *arguments)
        return value, *back(weights)

    for found, wanted in zip(jax.jit(lambda: both(ours))(), jax.jit(lambda: both(plain))(), strict=True):
        assert found.shape == wanted.shape
        assert float(jnp.abs(found - wanted).max()) < 1e-5 * float(jnp.abs(wanted).max())


CONVOLUTIONS = [(2, 6, 8, *channels) for channels in ((23, 4), (8, 3), (4, 8), (16, 16))]
CONVOLUTIONS += [(2, 6, 6, 5, 4), (2, 2, 2, 16, 16), (2, 1, 1, 4, 4)]
CONVOLUTIONS += [(1, 32, 64, 4, 16), (2, 36, 70, 3, 8)]  # large: the bias' row is stored
CONVOLUTIONS += [(1, 32, 8, 8, 8), (1, 7, 8, 8, 8), (3, 32, 8, 8, 8), (16, 4, 4, 8, 8), (20, 4, 4, 8, 8)]


@pytest.mark.parametrize(("batch", "height", "width", "inputs", "outputs"), CONVOLUTIONS)
def test_convolution(batch: int, height: int, width: int, inputs: int, outputs: int) -> None:
    rng = np.random.default_rng(0)
    shapes = ((batch, height, width, inputs), (3, 3, inputs, outputs), (outputs,))
    arrays = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]
    compare(cpu_ops.conv3_bias, lambda x, k, b: cpu_ops.conv3(x, k) + b, *arrays)


@pytest.mark.parametrize("silu", [True, False])
@pytest.mark.parametrize(
    ("batch", "height", "channels", "groups"),
    [(1, 6, 16, 8), (3, 6, 4, 4), (2, 6, 24, 8), (40, 6, 8, 8), (1, 150, 16, 8), (2, 254, 8, 4)],  # the last two: large
)
def test_group_norm(batch: int, height: int, channels: int, groups: int, silu: bool) -> None:
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(0.5, 2.0, size=(batch, height, 10, channels)), jnp.float32)
    scale, bias = (jnp.asarray(rng.normal(size=channels), jnp.float32) for _ in range(2))
    norm = nn.GroupNorm(groups)

    def plain(x, scale, bias):
        y = norm.apply({"params": {"scale": scale, "bias": bias}}, x)
        return nn.silu(y) if silu else y

    compare(lambda *a: cpu_ops.group_norm(*a, groups, silu), plain, x, scale, bias)


@pytest.mark.parametrize(("batch", "rows", "channels"), [(1, 6, 4), (2, 96, 8), (1, 61, 16)])
def test_both_moments_are_the_sums_of_pixels_and_of_their_squares(batch: int, rows: int, channels: int) -> None:
    x = np.random.default_rng(0).normal(1.0, 2.0, (batch, rows, 40 * channels)).astype(np.float32)
    pixels = x.astype(np.float64).reshape(batch, -1, channels)
    for found, power in zip(cpu_ops.moment_sums(jnp.asarray(x), channels), (1, 2), strict=True):
        np.testing.assert_allclose(found, (pixels**power).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(cpu_ops.channel_sums(jnp.asarray(x), channels), pixels.sum(axis=1), rtol=1e-5)


def test_columns_stand_together_only_where_they_divide_and_fit() -> None:
    assert [cpu_ops.columns_together(64, d) for d in (3, 4, 8, 9, 16, 64)] == [4, 4, 2, 1, 1, 1]
    assert [cpu_ops.columns_together(w, 4) for w in (6, 7, 12)] == [2, 1, 4]
