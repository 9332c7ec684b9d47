"""The network's 23 input channels: four pictures, five PARA channels, six grey differences (O2T guide, 'Input')."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.models import cpu_ops
from o2t_jax.models.layers import MLP

NUM_INPUTS = 4
INPUT_CHANNELS = 23
PARA_MAP = 8
# Divides PARA [t, x, y, z, azimuth, elevation] so that its entries are of order one: s, m, m, m, deg, deg.
PARA_SCALE = (1.0, 10.0, 10.0, 10.0, 90.0, 45.0)
# ITU-R BT.601 luma.
GREY = (0.299, 0.587, 0.114)


def _sums_of_planes() -> tuple[tuple[float, ...], ...]:
    """[17, 23]: the channels as sums of planes (RGB of pictures 1..4, then PARA 1..5)."""
    sums = np.zeros((3 * NUM_INPUTS + NUM_INPUTS + 1, INPUT_CHANNELS))
    para = 3 * NUM_INPUTS
    for i in range(NUM_INPUTS):
        sums[3 * i : 3 * i + 3, 4 * i : 4 * i + 3] = np.eye(3)
        sums[para + i, 4 * i + 3] = 1.0
    sums[-1, 4 * NUM_INPUTS] = 1.0
    for channel, (i, j) in enumerate(combinations(range(NUM_INPUTS), 2), 4 * NUM_INPUTS + 1):
        sums[3 * j : 3 * j + 3, channel] = GREY
        sums[3 * i : 3 * i + 3, channel] -= GREY
    return tuple(map(tuple, sums.tolist()))


# A convolution of the channels is one of the 17 planes they are sums of, with the sums put into its kernel. On a CPU
# that spares 6 channels and the slow business of interleaving 15 maps; in bfloat16 it would round the differences.
SUMS_OF_PLANES = _sums_of_planes()


def as_planes(dtype: Any) -> bool:
    """Whether `InputChannels` gives the planes, for a stem of `mix` = `SUMS_OF_PLANES`, instead of the channels."""
    return cpu_ops.chosen() and dtype == jnp.float32


def scale_para(para: jax.Array) -> jax.Array:
    """PARA [..., 6] (s, m, deg; relative to camera 1) divided by `PARA_SCALE`."""
    return para / jnp.asarray(PARA_SCALE, para.dtype)


class ParaChannel(nn.Module):
    """One channel per PARA: MLP 6 -> 128 -> 256 -> 64, read as 8 x 8, enlarged bilinearly to the picture's size."""

    @nn.compact
    def __call__(self, para: jax.Array, height: int, width: int) -> jax.Array:
        """`para` float32 [B, P, 6] -> [B, P, H, W]."""
        maps = MLP((128, 256, PARA_MAP * PARA_MAP))(scale_para(para))
        maps = maps.reshape(*para.shape[:2], PARA_MAP, PARA_MAP)
        return jax.image.resize(maps, (*para.shape[:2], height, width), "bilinear")


class InputChannels(nn.Module):
    """Assembles the 23 channels."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, pictures: jax.Array, para: jax.Array) -> jax.Array:
        """`pictures` float32 [B, 4, H, W, 3] in 0..1, `para` float32 [B, 5, 6] -> [B, H, W, 23].

        Order: (RGB, PARA) of pictures 1..4, PARA5, then grey differences of the pairs 12, 13, 14, 23, 24, 34. Where
        `as_planes(dtype)`, [B, H, W, 17] instead, the planes they are sums of: RGB of pictures 1..4, then PARA 1..5.
        """
        batch, _, height, width, _ = pictures.shape
        maps = ParaChannel(name="para")(para, height, width)
        if as_planes(self.dtype):
            colours = jnp.moveaxis(pictures, 1, 3).reshape(batch, height, width, -1)
            return jnp.concatenate([colours, jnp.moveaxis(maps, 1, 3)], axis=-1)
        maps = maps[..., None]
        grey = jnp.einsum("bphwc,c->bphw", pictures, jnp.asarray(GREY, pictures.dtype))[..., None]
        parts = []
        for i in range(NUM_INPUTS):
            parts += [pictures[:, i], maps[:, i]]
        parts.append(maps[:, NUM_INPUTS])
        parts += [grey[:, j] - grey[:, i] for i, j in combinations(range(NUM_INPUTS), 2)]
        return jnp.concatenate(parts, axis=-1).astype(self.dtype)
