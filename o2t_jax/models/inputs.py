"""The network's 23 input channels: four pictures, five PARA channels, six grey differences (O2T guide, 'Input')."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from o2t_jax.models.layers import MLP

NUM_INPUTS = 4
INPUT_CHANNELS = 23
PARA_MAP = 8
# Divides PARA [t, x, y, z, azimuth, elevation] so that its entries are of order one: s, m, m, m, deg, deg.
PARA_SCALE = (1.0, 10.0, 10.0, 10.0, 90.0, 45.0)
# ITU-R BT.601 luma.
GREY = (0.299, 0.587, 0.114)


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

        Order: (RGB, PARA) of pictures 1..4, PARA5, then grey differences of the pairs 12, 13, 14, 23, 24, 34.
        """
        height, width = pictures.shape[2:4]
        maps = ParaChannel(name="para")(para, height, width)[..., None]
        grey = jnp.einsum("bphwc,c->bphw", pictures, jnp.asarray(GREY, pictures.dtype))[..., None]
        parts = []
        for i in range(NUM_INPUTS):
            parts += [pictures[:, i], maps[:, i]]
        parts.append(maps[:, NUM_INPUTS])
        parts += [grey[:, j] - grey[:, i] for i, j in combinations(range(NUM_INPUTS), 2)]
        return jnp.concatenate(parts, axis=-1).astype(self.dtype)
