"""GroupNorm and residual block as a CPU computes them against the plain ones: values and gradients."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models import ops
from o2t_jax.models.cpu import norm
from o2t_jax.models.cpu.block import res_blocks

from .compare import compare


@pytest.mark.parametrize("silu", [True, False])
@pytest.mark.parametrize(
    ("batch", "height", "channels", "groups"),
    [(1, 6, 16, 8), (3, 6, 4, 4), (2, 6, 24, 8), (40, 6, 8, 8), (1, 150, 16, 8), (2, 254, 8, 4)],  # the last two: large
)
def test_group_norm(batch: int, height: int, channels: int, groups: int, silu: bool) -> None:
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(0.5, 2.0, size=(batch, height, 10, channels)), jnp.float32)
    bias, scale, shift = (jnp.asarray(rng.normal(size=channels), jnp.float32) for _ in range(3))

    def plain(x, bias, scale, shift):
        return ops.group_norm(x + bias, scale, shift, groups, silu)

    compare(lambda *a: norm.biased_group_norm(*a, groups, silu), plain, x, bias, scale, shift)


@pytest.mark.parametrize(("batch", "rows", "channels"), [(1, 6, 4), (2, 96, 8), (1, 61, 16)])
def test_both_sums_are_those_of_the_pixels(batch: int, rows: int, channels: int) -> None:
    x, other = np.random.default_rng(0).normal(1.0, 2.0, (2, batch, rows, 40 * channels)).astype(np.float32)
    pixels, beside = (v.astype(np.float64).reshape(batch, -1, channels) for v in (x, other))
    first, second = norm.two_sums(jnp.asarray(x), jnp.asarray(other), channels)
    np.testing.assert_allclose(first, pixels.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(second, (pixels * beside).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("size", [8, 64])
def test_blocks_whose_biases_wait_are_the_plain_blocks(size: int) -> None:
    rng = np.random.default_rng(0)
    shapes = [(8,), (8,), (3, 3, 8, 8), (8,)] * 2 + [(8,)]
    params = [jnp.asarray(rng.normal(scale=0.3, size=shape), jnp.float32) for shape in shapes]
    x = jnp.asarray(rng.normal(size=(2, size, size, 8)), jnp.float32)

    def through(block):
        def apply(x, *p):
            one, other = ops.NormConv(*p[:4]), ops.NormConv(*p[4:8])
            return block(block(x, p[8], [(one, other), (other, one)], 4), None, [(other, one)], 4)

        return apply

    # Gradients that sum over all pixels nearly cancel: 1e-5 of the largest is asked for.
    compare(through(res_blocks), through(ops.res_blocks), x, *params, scale=size)
