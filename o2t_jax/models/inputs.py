"""The network's input (O2T guide, 'Input'), 23 channels: four pictures, five PARA channels, six grey differences."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.models import cpu_ops
from o2t_jax.models.layers import MLP, ConvParams, Map, convolve, with_bias

NUM_INPUTS = 4
INPUT_CHANNELS = 23
PARA_MAP = 8
# Divides PARA [t, x, y, z, azimuth, elevation] so that its entries are of order one: s, m, m, m, deg, deg.
PARA_SCALE = (1.0, 10.0, 10.0, 10.0, 90.0, 45.0)
# ITU-R BT.601 luma.
GREY = (0.299, 0.587, 0.114)


class Planes(NamedTuple):
    """What the 23 channels are made of.

    Attributes: `colours`, float32 [B, H, W, 12], RGB of pictures 1..4; `maps`, float32 [B, 5, 8, 8], what PARA 1..5 are
    before they are enlarged to the picture's size.
    """

    colours: jax.Array
    maps: jax.Array


def _sums_of_planes() -> np.ndarray:
    """[17, 23]: the channels as sums of planes (RGB of pictures 1..4, then PARA 1..5)."""
    sums = np.zeros((3 * NUM_INPUTS + NUM_INPUTS + 1, INPUT_CHANNELS), np.float32)
    para = 3 * NUM_INPUTS
    for i in range(NUM_INPUTS):
        sums[3 * i : 3 * i + 3, 4 * i : 4 * i + 3] = np.eye(3)
        sums[para + i, 4 * i + 3] = 1.0
    sums[-1, 4 * NUM_INPUTS] = 1.0
    for channel, (i, j) in enumerate(combinations(range(NUM_INPUTS), 2), 4 * NUM_INPUTS + 1):
        sums[3 * j : 3 * j + 3, channel] = GREY
        sums[3 * i : 3 * i + 3, channel] -= GREY
    return sums


# A convolution of the channels is one of the 17 planes they are sums of, with the sums put into its kernel.
SUMS_OF_PLANES = _sums_of_planes()


def as_planes(dtype: Any) -> bool:
    """Whether `InputChannels` gives `Planes`, not the channels: on a CPU; bfloat16 would round the differences."""
    return cpu_ops.chosen() and dtype == jnp.float32


def enlarge(maps: jax.Array, height: int, width: int) -> jax.Array:
    """`maps` [B, P, h, w] -> [B, P, height, width], bilinearly."""
    return jax.image.resize(maps, (*maps.shape[:2], height, width), "bilinear")


def _shifted_enlargement(size: int, to: int) -> jax.Array:
    """[to, 3 size]: the matrix of `enlarge` along one side, moved by each tap of a 3x3 kernel, zero outside."""
    matrix = jnp.pad(enlarge(jnp.eye(size)[None, None], to, size)[0, 0], ((1, 1), (0, 0)))
    return jnp.stack([matrix[tap : tap + to] for tap in range(3)], axis=1).reshape(to, 3 * size)


def convolve_enlarged(maps: jax.Array, kernel: jax.Array, height: int, width: int) -> jax.Array:
    """3x3 'same' convolution of the enlarged `maps` [B, P, h, w] by `kernel` [3, 3, P, F] -> [B, height, width, F].

    Enlarging is a product with a matrix from either side, and a tap of the kernel moves that matrix: the kernel is
    applied to the small maps, and the large ones are never made, neither here nor in the gradients.
    """
    b, _, h, w = maps.shape
    features = kernel.shape[3]
    product = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
    taps = product("bphw,ijpf->bihjwf", maps, kernel).reshape(b, 3 * h, 3 * w, features)
    rows = product("xw,bhwf->bhxf", _shifted_enlargement(w, width), taps).reshape(b, 3 * h, width * features)
    # The large product in the order it is read in: `einsum` would turn it over.
    pixels = jax.lax.dot_general(
        _shifted_enlargement(h, height), rows, (((1,), (1,)), ((), ())), precision=jax.lax.Precision.HIGHEST
    )
    return jnp.swapaxes(pixels, 0, 1).reshape(b, height, width, features)


def scale_para(para: jax.Array) -> jax.Array:
    """PARA [..., 6] (s, m, deg; relative to camera 1) divided by `PARA_SCALE`."""
    return para / jnp.asarray(PARA_SCALE, para.dtype)


class ParaChannel(nn.Module):
    """One channel per PARA: MLP 6 -> 128 -> 256 -> 64, read as 8 x 8, to be enlarged to the picture's size."""

    @nn.compact
    def __call__(self, para: jax.Array) -> jax.Array:
        """`para` float32 [B, P, 6] -> [B, P, 8, 8]."""
        maps = MLP((128, 256, PARA_MAP * PARA_MAP))(scale_para(para))
        return maps.reshape(*para.shape[:2], PARA_MAP, PARA_MAP)


class InputChannels(nn.Module):
    """Assembles the 23 channels."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, pictures: jax.Array, para: jax.Array) -> jax.Array | Planes:
        """`pictures` float32 [B, 4, H, W, 3] in 0..1, `para` float32 [B, 5, 6] -> [B, H, W, 23].

        Order: (RGB, PARA) of pictures 1..4, PARA5, then grey differences of the pairs 12, 13, 14, 23, 24, 34. Where
        `as_planes(dtype)`, what they are made of instead.
        """
        batch, _, height, width, _ = pictures.shape
        maps = ParaChannel(name="para")(para)
        if as_planes(self.dtype):
            return Planes(jnp.moveaxis(pictures, 1, 3).reshape(batch, height, width, -1), maps)
        maps = enlarge(maps, height, width)[..., None]
        grey = jnp.einsum("bphwc,c->bphw", pictures, jnp.asarray(GREY, pictures.dtype))[..., None]
        parts = []
        for i in range(NUM_INPUTS):
            parts += [pictures[:, i], maps[:, i]]
        parts.append(maps[:, NUM_INPUTS])
        parts += [grey[:, j] - grey[:, i] for i, j in combinations(range(NUM_INPUTS), 2)]
        return jnp.concatenate(parts, axis=-1).astype(self.dtype)


class Stem(nn.Module):
    """The encoder's first layer: a 3x3 convolution of the channels, whichever way `InputChannels` gives them."""

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, inputs: jax.Array | Planes) -> Map:
        kernel, bias = ConvParams(self.features, dtype=self.dtype, name="Conv_0")(INPUT_CHANNELS)
        if not isinstance(inputs, Planes):
            return with_bias(convolve(inputs.astype(self.dtype), kernel), bias)
        kernel = jnp.einsum("pc,hwcf->hwpf", SUMS_OF_PLANES, kernel, precision=jax.lax.Precision.HIGHEST)
        colours, para = jnp.split(kernel, [3 * NUM_INPUTS], axis=2)
        height, width = inputs.colours.shape[1:3]
        pixels = convolve(inputs.colours, colours) + convolve_enlarged(inputs.maps, para, height, width)
        return with_bias(pixels, bias)
