"""The convolutions that a CPU takes against the plain ones: values and gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models import cpu_convolution, cpu_ops, cpu_upsampling
from o2t_jax.models.layers import EnlargingConv, complete, upsample
from tests.models.test_cpu_ops import compare

CONVOLUTIONS = [(2, 6, 8, *channels) for channels in ((23, 4), (8, 3), (4, 8), (16, 16))]
CONVOLUTIONS += [(2, 6, 6, 5, 4), (2, 2, 2, 16, 16), (2, 1, 1, 4, 4)]
CONVOLUTIONS += [(1, 32, 64, 4, 16), (2, 36, 70, 3, 8)]  # large: the bias' row is stored
# Large: kernel gradients of 16 channels at a time, and turned over where the output has fewer.
CONVOLUTIONS += [(1, 128, 128, 3, 20), (1, 128, 128, 16, 3), (2, 128, 128, 18, 5)]
CONVOLUTIONS += [(1, 32, 8, 8, 8), (1, 7, 8, 8, 8), (3, 32, 8, 8, 8), (16, 4, 4, 8, 8), (20, 4, 4, 8, 8)]


@pytest.mark.parametrize(("batch", "height", "width", "inputs", "outputs"), CONVOLUTIONS)
def test_convolution(batch: int, height: int, width: int, inputs: int, outputs: int) -> None:
    def biased(x, kernel, bias):
        return cpu_convolution.add_bias(cpu_convolution.conv3(x, kernel), bias)

    rng = np.random.default_rng(0)
    shapes = ((batch, height, width, inputs), (3, 3, inputs, outputs), (outputs,))
    arrays = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]
    compare(biased, lambda x, k, b: cpu_convolution.plain_conv3(x, k) + b, *arrays)


HALVINGS = [(2, 6, 8, 3, 4), (1, 32, 64, 4, 8), (1, 8, 8, 20, 24), (2, 4, 4, 20, 8), (3, 2, 2, 5, 4), (20, 4, 6, 4, 4)]


@pytest.mark.parametrize(("batch", "height", "width", "inputs", "outputs"), HALVINGS)
def test_convolution_of_stride_two(batch: int, height: int, width: int, inputs: int, outputs: int) -> None:
    def plain(x, kernel):
        return cpu_convolution.plain_conv3(x, kernel, 2)

    rng = np.random.default_rng(0)
    shapes = ((batch, height, width, inputs), (3, 3, inputs, outputs))
    compare(cpu_convolution.halving_conv3, plain, *(jnp.asarray(rng.normal(size=s), jnp.float32) for s in shapes))


@pytest.mark.parametrize(
    ("batch", "height", "width", "inputs", "outputs"), [(2, 3, 5, 4, 3), (1, 8, 6, 3, 8), (3, 1, 1, 2, 2)]
)
def test_convolution_of_an_enlarged_map(batch: int, height: int, width: int, inputs: int, outputs: int) -> None:
    def plain(x, kernel):
        return cpu_convolution.plain_conv3(upsample(x), kernel)

    rng = np.random.default_rng(0)
    shapes = ((batch, height, width, inputs), (3, 3, inputs, outputs))
    compare(cpu_upsampling.enlarged_conv3, plain, *(jnp.asarray(rng.normal(size=s), jnp.float32) for s in shapes))


@pytest.mark.parametrize(("size", "calls"), [(64, 1), (2, 0)])
def test_a_layer_enlarges_afterwards_where_that_is_faster(size: int, calls: int, monkeypatch) -> None:
    rng = np.random.default_rng(0)
    shapes = ((2, size, size, 16), (2, 2 * size, 2 * size, 3), (2, 2 * size, 2 * size, 2))
    x, *beside = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes)
    layer, taken, enlarged_conv3 = EnlargingConv(8), [], cpu_upsampling.enlarged_conv3
    monkeypatch.setattr(cpu_upsampling, "enlarged_conv3", lambda *given: taken.append(given) or enlarged_conv3(*given))
    variables = layer.init(jax.random.key(0), x, beside)
    taken.clear()
    found = complete(layer.apply(variables, x, beside))
    assert len(taken) == calls
    monkeypatch.setattr(cpu_ops, "chosen", lambda: False)
    np.testing.assert_allclose(found, layer.apply(variables, x, beside), atol=1e-5)


def test_columns_stand_together_only_where_they_divide_and_fit() -> None:
    assert [cpu_convolution.columns_together(64, 23, d) for d in (3, 4, 8, 9, 16, 64)] == [4, 4, 2, 1, 1, 1]
    assert [cpu_convolution.columns_together(w, 23, 4) for w in (6, 7, 12)] == [2, 1, 4]
    assert [cpu_convolution.columns_together(64, c, 16) for c in (3, 4, 5)] == [4, 4, 1]
    assert cpu_convolution.columns_together(64, 3, 17) == 1
