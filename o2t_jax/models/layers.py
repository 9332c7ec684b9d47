"""Convolutional building blocks of the encoder and the decoder.

All feature maps are [B, H, W, C]. `dtype` is the compute type (float32 or bfloat16); parameters stay float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

GROUPS = 8
HEADS = 4


class Conv(nn.Module):
    """3x3 convolution with bias, 'same' padding."""

    features: int
    strides: int = 1
    kernel: int = 3
    kernel_init: Any = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size = (self.kernel, self.kernel)
        strides = (self.strides, self.strides)
        return nn.Conv(self.features, size, strides, dtype=self.dtype, kernel_init=self.kernel_init)(x)


class NormAct(nn.Module):
    """GroupNorm (8 groups, fewer where the channels do not divide) followed by SiLU."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.silu(nn.GroupNorm(math.gcd(GROUPS, x.shape[-1]), dtype=self.dtype)(x))


class ResBlock(nn.Module):
    """x + (GroupNorm, SiLU, conv3) twice; the second convolution starts at zero, so the block starts as identity."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = Conv(x.shape[-1], dtype=self.dtype)(NormAct(self.dtype)(x))
        y = Conv(x.shape[-1], dtype=self.dtype, kernel_init=nn.initializers.zeros)(NormAct(self.dtype)(y))
        return x + y


class Attention(nn.Module):
    """Self-attention with 4 heads over the pixels of a map, residual, pre-normalised."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        b, h, w, c = x.shape
        heads = math.gcd(HEADS, c)
        tokens = nn.GroupNorm(math.gcd(GROUPS, c), dtype=self.dtype)(x).reshape(b, h * w, c)
        query, key, value = jnp.split(nn.Dense(3 * c, dtype=self.dtype, name="qkv")(tokens), 3, axis=-1)
        split = (b, h * w, heads, c // heads)
        mixed = jax.nn.dot_product_attention(query.reshape(split), key.reshape(split), value.reshape(split))
        mixed = mixed.reshape(b, h * w, c)
        out = nn.Dense(c, dtype=self.dtype, kernel_init=nn.initializers.zeros, name="out")(mixed)
        return x + out.reshape(b, h, w, c)


class MLP(nn.Module):
    """Dense layers with SiLU between them (none after the last)."""

    widths: Sequence[int]
    last_init: Any = nn.initializers.lecun_normal()
    dtype: Any = None  # that of inputs and parameters
    precision: Any = jax.lax.Precision.HIGHEST

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, width in enumerate(self.widths):
            last = i == len(self.widths) - 1
            init = self.last_init if last else nn.initializers.lecun_normal()
            x = nn.Dense(width, dtype=self.dtype, precision=self.precision, kernel_init=init)(x)
            if not last:
                x = nn.silu(x)
        return x


def upsample(x: jax.Array) -> jax.Array:
    """Nearest-neighbour enlargement by two."""
    b, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None, :], (b, h, 2, w, 2, c)).reshape(b, 2 * h, 2 * w, c)


def level_widths(base_ch: int) -> tuple[int, ...]:
    """Channels after each of the five downsamplings: base 32 gives 16, 32, 64, 128, 256."""
    return tuple(base_ch * m // 2 for m in (1, 2, 4, 8, 16))
