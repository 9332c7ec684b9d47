"""The network's input (O2T guide, 'Input'): four pictures and five PARA, turned into 23 channels by the first layer."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from o2t_jax.models import ops
from o2t_jax.models.layers import MLP, ConvParams

PARA_MAP = 8
# Divides PARA [t, x, y, z, azimuth, elevation] so that its entries are of order one: s, m, m, m, deg, deg.
PARA_SCALE = (1.0, 10.0, 10.0, 10.0, 90.0, 45.0)


def scale_para(para: jax.Array) -> jax.Array:
    """PARA [..., 6] (s, m, deg; relative to camera 1) divided by `PARA_SCALE`."""
    return para / jnp.asarray(PARA_SCALE, para.dtype)


class ParaChannel(nn.Module):
    """One channel per PARA: MLP 6 -> 128 -> 256 -> 64, reshaped to 8 x 8, later enlarged to the picture's size."""

    @nn.compact
    def __call__(self, para: jax.Array) -> jax.Array:
        """`para` float32 [B, P, 6] -> [B, P, 8, 8]."""
        maps = MLP((128, 256, PARA_MAP * PARA_MAP))(scale_para(para))
        return maps.reshape(*para.shape[:2], PARA_MAP, PARA_MAP)


class ParaMaps(nn.Module):
    """The PARA channels as small maps."""

    @nn.compact
    def __call__(self, para: jax.Array) -> jax.Array:
        """`para` float32 [B, 5, 6] -> [B, 5, 8, 8]."""
        return ParaChannel(name="para")(para)


class Stem(nn.Module):
    """The encoder's first layer: a 3x3 convolution of the 23 channels (`ops.input_channels`)."""

    features: int
    dtype: Any = None

    def setup(self) -> None:
        self.Conv_0 = ConvParams(self.features)

    def __call__(self, pictures: jax.Array, para_maps: jax.Array) -> jax.Array:
        """`pictures` float32 [B, 4, H, W, 3] in 0..1, `para_maps` [B, 5, 8, 8] -> [B, H, W, features]."""
        x, bias = self.without_bias(pictures, para_maps)
        return x + bias

    def without_bias(self, pictures: jax.Array, para_maps: jax.Array) -> tuple[jax.Array, jax.Array]:
        """See `layers.Conv.without_bias`."""
        kernel, bias = promote_dtype(*self.Conv_0(ops.INPUT_CHANNELS), dtype=self.dtype)
        return ops.stem(pictures, para_maps, kernel), bias
