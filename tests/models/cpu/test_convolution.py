"""The convolutions that a CPU takes against the plain ones: values and gradients."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models import ops
from o2t_jax.models.cpu import convolution, upsampling

from .compare import compare

CONVOLUTIONS = [(2, 6, 8, *channels) for channels in ((23, 4), (8, 3), (4, 8), (16, 16))]
CONVOLUTIONS += [(2, 6, 6, 5, 4), (2, 2, 2, 16, 16), (2, 1, 1, 4, 4)]
CONVOLUTIONS += [(1, 32, 64, 4, 16), (2, 36, 70, 3, 8)]  # large: the bias' row is stored
# Large: kernel gradients of 16 channels at a time, and turned over where the output has fewer.
CONVOLUTIONS += [(1, 128, 128, 3, 20), (1, 128, 128, 16, 3), (2, 128, 128, 18, 5)]
CONVOLUTIONS += [(1, 32, 8, 8, 8), (1, 7, 8, 8, 8), (3, 32, 8, 8, 8), (16, 4, 4, 8, 8), (20, 4, 4, 8, 8)]


@pytest.mark.parametrize(("batch", "height", "width", "inputs", "outputs"), CONVOLUTIONS)
def test_convolution(batch: int, height: int, width: int, inputs: int, outputs: int) -> None:
    rng = np.random.default_rng(0)
    shapes = ((batch, height, width, inputs), (3, 3, inputs, outputs), (outputs,))
    arrays = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]
    compare(convolution.conv, ops.conv, *arrays)


HALVINGS = [(2, 6, 8, 3, 4), (1, 32, 64, 4, 8), (1, 8, 8, 20, 24), (2, 4, 4, 20, 8), (3, 2, 2, 5, 4), (20, 4, 6, 4, 4)]


@pytest.mark.parametrize(("batch", "height", "width", "inputs", "outputs"), HALVINGS)
def test_convolution_of_stride_two(batch: int, height: int, width: int, inputs: int, outputs: int) -> None:
    def plain(x, kernel):
        return convolution.plain_conv3(x, kernel, 2)

    rng = np.random.default_rng(0)
    shapes = ((batch, height, width, inputs), (3, 3, inputs, outputs))
    compare(convolution.halving_conv3, plain, *(jnp.asarray(rng.normal(size=s), jnp.float32) for s in shapes))


@pytest.mark.parametrize(
    ("batch", "height", "width", "inputs", "outputs"), [(2, 3, 5, 4, 3), (1, 8, 6, 3, 8), (3, 1, 1, 2, 2)]
)
def test_convolution_of_an_enlarged_map(batch: int, height: int, width: int, inputs: int, outputs: int) -> None:
    def plain(x, kernel):
        return convolution.plain_conv3(ops.upsample(x), kernel)

    rng = np.random.default_rng(0)
    shapes = ((batch, height, width, inputs), (3, 3, inputs, outputs))
    compare(upsampling.enlarged_conv3, plain, *(jnp.asarray(rng.normal(size=s), jnp.float32) for s in shapes))


@pytest.mark.parametrize(("size", "calls"), [(64, 1), (2, 0)])
def test_a_map_is_enlarged_only_where_that_is_faster(size: int, calls: int, monkeypatch) -> None:
    rng = np.random.default_rng(0)
    shapes = ((2, size, size, 16), (2, 2 * size, 2 * size, 3), (2, 2 * size, 2 * size, 2), (3, 3, 21, 8), (8,))
    x, first, second, kernel, bias = (jnp.asarray(rng.normal(scale=0.3, size=s), jnp.float32) for s in shapes)
    taken, enlarged_conv3 = [], upsampling.enlarged_conv3
    monkeypatch.setattr(upsampling, "enlarged_conv3", lambda *given: taken.append(given) or enlarged_conv3(*given))
    compare(
        lambda x, *rest: upsampling.upsample_conv(x, rest[:2], *rest[2:]),
        lambda x, *rest: ops.upsample_conv(x, rest[:2], *rest[2:]),
        *(x, first, second, kernel, bias),
        scale=size,
    )
    assert len(taken) == calls


def test_columns_stand_together_only_where_they_divide_and_fit() -> None:
    assert [convolution.columns_together(64, 23, d) for d in (3, 4, 8, 9, 16, 64)] == [4, 4, 2, 1, 1, 1]
    assert [convolution.columns_together(w, 23, 4) for w in (6, 7, 12)] == [2, 1, 4]
    assert [convolution.columns_together(64, c, 16) for c in (3, 4, 5)] == [4, 4, 1]
    assert convolution.columns_together(64, 3, 17) == 1
