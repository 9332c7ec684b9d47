"""Skip decoder: h (48 numbers) and the encoder's five skips -> logits of a picture (O2T guide, 'Decoder').

Level: upsample, concatenate the encoder's feature of that size, conv, ResBlock x 2, attention on the first level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax

from o2t_jax.models.layers import (
    Attention,
    Conv,
    Dense,
    NormAct,
    ResBlock,
    UpsampleConv,
    conv_blocks,
    lecun_normal,
    level_widths,
    zeros,
)
from o2t_jax.models.o2t.encoders import LEVELS, STRIDE
from o2t_jax.models.ops import at_least_float32


class Decoder(nn.Module):
    """Five levels from (H/32, W/32) to (H, W). `extra` channels (drawn slots, background) join the last level."""

    base_ch: int
    remat: bool = False
    zero_last: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, h: jax.Array, skips: Sequence[jax.Array], extra: jax.Array | None = None) -> jax.Array:
        """`h` float32 [B, latent_dim], the encoder's `skips`, `extra` [B, H, W, E] -> logits float32 [B, H, W, 3]."""
        attention = nn.remat(Attention) if self.remat else Attention
        widths = level_widths(self.base_ch)
        height, width = skips[0].shape[1:3]
        rows, columns = height // STRIDE, width // STRIDE
        x = Dense(rows * columns * widths[-1], name="seed", dtype=self.dtype)(h)
        x = x.reshape(h.shape[0], rows, columns, widths[-1])  # [B, H/32, W/32, 256]
        out_widths = (*reversed(widths[:-1]), widths[0])
        for level in range(LEVELS):
            beside = [skips[LEVELS - 1 - level]]
            if extra is not None and level == LEVELS - 1:
                beside.append(extra)
            conv = UpsampleConv(out_widths[level], dtype=self.dtype, name=f"level{level + 1}_conv")
            blocks = [ResBlock(self.dtype, name=f"level{level + 1}_res{i + 1}") for i in range(2)]
            x = conv_blocks(conv, (x, beside), blocks, self.remat)
            if level == 0:
                x = attention(self.dtype, name="level1_attention")(x)
        # [B, H, W, 16]
        x = NormAct(self.dtype, name="out_norm")(x)
        init = zeros if self.zero_last else lecun_normal
        return at_least_float32(Conv(3, dtype=self.dtype, kernel_init=init, name="out")(x))
