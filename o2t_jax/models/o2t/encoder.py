"""Encoder: 23 input channels at full resolution -> h (48 numbers) and five skips (O2T guide, 'Encoder')."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from o2t_jax.models.layers import (
    Attention,
    Conv,
    Dense,
    NormAct,
    ResBlock,
    conv_blocks,
    level_widths,
    res_blocks,
)
from o2t_jax.models.o2t.encoders import LEVELS
from o2t_jax.models.o2t.inputs import Stem
from o2t_jax.models.ops import at_least_float32


class Encoder(nn.Module):
    """3x3 conv, five levels of [ResBlock, ResBlock, downsample], bottleneck, global average, two linear layers.

    Attention is in level 5 (maps of 1/16 of the picture) and in the bottleneck (1/32). Its place is fixed by depth, so
    that the parameters do not depend on the picture's size. For the contract with the decoder see `encoders`.
    """

    base_ch: int
    latent_dim: int
    remat: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, pictures: jax.Array, para_maps: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        """`pictures` float32 [B, 4, H, W, 3], `para_maps` [B, 5, 8, 8] -> h float32 [B, latent_dim], five skips.

        Skip i = 0..4 is [B, H/2^i, W/2^i, C_i], with base width 32 C = 16, 16, 32, 64, 128.
        """
        attention = nn.remat(Attention) if self.remat else Attention
        widths = level_widths(self.base_ch)
        conv, maps = Stem(widths[0], self.dtype, name="stem"), (pictures, para_maps)  # -> [B, H, W, 16]
        skips = []
        for level, width in enumerate(widths):
            blocks = [ResBlock(self.dtype, name=f"level{level + 1}_res{i + 1}") for i in range(2)]
            x = conv_blocks(conv, maps, blocks, self.remat)
            if level == LEVELS - 1:
                x = attention(self.dtype, name=f"level{level + 1}_attention")(x)
            skips.append(x)
            conv, maps = Conv(width, strides=2, dtype=self.dtype, name=f"level{level + 1}_down"), (x,)
        # [B, H/32, W/32, 256]
        x = conv_blocks(conv, maps, [ResBlock(self.dtype, name="bottleneck_res1")], self.remat)
        x = attention(self.dtype, name="bottleneck_attention")(x)
        x = res_blocks(x, [ResBlock(self.dtype, name="bottleneck_res2")], self.remat)
        x = NormAct(self.dtype, name="head_norm")(x)
        pooled = jnp.mean(at_least_float32(x), axis=(1, 2))  # [B, 256]
        hidden = nn.silu(Dense(widths[-1], name="head1")(pooled))
        return Dense(self.latent_dim, name="head2")(hidden), skips
