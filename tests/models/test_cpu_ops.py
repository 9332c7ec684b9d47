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
CONVOLUTIONS += [(1, 32, 8, 8, 8), (1, 7, 8, 8, 8), (3, 32, 8, 8, 8), (16, 4, 4, 8, 8), (20, 4, 4, 8, 8)]


@pytest.mark.parametrize(("batch", "height", "width", "inputs", "outputs"), CONVOLUTIONS)
def test_convolution(batch: int, height: int, width: int, inputs: int, outputs: int) -> None:
    rng = np.random.default_rng(0)
    shapes = ((batch, height, width, inputs), (3, 3, inputs, outputs), (outputs,))
    arrays = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]
    compare(cpu_ops.conv3_bias, lambda x, k, b: cpu_ops.conv3(x, k) + b, *arrays)


@pytest.mark.parametrize("silu", [True, False])
@pytest.mark.parametrize(("batch", "channels", "groups"), [(1, 16, 8), (3, 4, 4), (2, 24, 8), (40, 8, 8)])
def test_group_norm(batch: int, channels: int, groups: int, silu: bool) -> None:
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(0.5, 2.0, size=(batch, 6, 10, channels)), jnp.float32)
    scale, bias = (jnp.asarray(rng.normal(size=channels), jnp.float32) for _ in range(2))
    norm = nn.GroupNorm(groups)

    def plain(x, scale, bias):
        y = norm.apply({"params": {"scale": scale, "bias": bias}}, x)
        return nn.silu(y) if silu else y

    compare(lambda *a: cpu_ops.group_norm(*a, groups, silu), plain, x, scale, bias)


def test_columns_stand_together_only_where_they_divide_and_fit() -> None:
    assert [cpu_ops.columns_together(64, d) for d in (3, 4, 8, 9, 16, 64)] == [4, 4, 2, 1, 1, 1]
    assert [cpu_ops.columns_together(w, 4) for w in (6, 7, 12)] == [2, 1, 4]
