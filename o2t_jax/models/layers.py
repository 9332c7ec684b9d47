"""Layers of the encoder and the decoder: parameters for the operations of `o2t_jax.models.ops`.

All feature maps are [B, H, W, C]. `dtype` is the compute type (None: that of inputs and parameters); parameters are
float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from o2t_jax.models import ops

GROUPS = 8
HEADS = 4
# Flax traces an initialiser at every use of its parameter; a jitted one is traced once per shape.
lecun_normal = jax.jit(nn.initializers.lecun_normal(), static_argnums=(1, 2))
zeros = jax.jit(nn.initializers.zeros, static_argnums=(1, 2))
ones = jax.jit(nn.initializers.ones, static_argnums=(1, 2))
Dense = partial(nn.Dense, kernel_init=lecun_normal, bias_init=zeros)


class ConvParams(nn.Module):
    """`kernel` [k, k, channels, features] and `bias` [features] of a convolution."""

    features: int
    kernel: int = 3
    kernel_init: Any = lecun_normal

    @nn.compact
    def __call__(self, channels: int) -> tuple[jax.Array, jax.Array]:
        shape = (self.kernel, self.kernel, channels, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        return kernel, self.param("bias", zeros, (self.features,), jnp.float32)


class NormParams(nn.Module):
    """`scale` and `shift` [channels] of a GroupNorm (the shift is called `bias`, as everywhere in Flax)."""

    @nn.compact
    def __call__(self, channels: int) -> tuple[jax.Array, jax.Array]:
        scale = self.param("scale", ones, (channels,), jnp.float32)
        return scale, self.param("bias", zeros, (channels,), jnp.float32)


class Conv(nn.Module):
    """3x3 (or k x k) convolution with bias, 'same' padding."""

    features: int
    strides: int = 1
    kernel: int = 3
    kernel_init: Any = lecun_normal
    dtype: Any = None

    def setup(self) -> None:
        self.Conv_0 = ConvParams(self.features, self.kernel, self.kernel_init)

    def parameters(self, channels: int) -> tuple[jax.Array, jax.Array]:
        """Kernel and bias, for an operation that the convolution is part of."""
        return self.Conv_0(channels)

    def __call__(self, x: jax.Array) -> jax.Array:
        x, kernel, bias = promote_dtype(x, *self.Conv_0(x.shape[-1]), dtype=self.dtype)
        return ops.conv(x, kernel, bias, self.strides)

    def without_bias(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The convolution without its bias, and the bias: for `conv_blocks`."""
        x, kernel, bias = promote_dtype(x, *self.Conv_0(x.shape[-1]), dtype=self.dtype)
        return ops.conv(x, kernel, None, self.strides), bias


class UpsampleConv(nn.Module):
    """3x3 convolution, with bias, of a map enlarged by two beside maps of that size."""

    features: int
    dtype: Any = None

    def setup(self) -> None:
        self.Conv_0 = ConvParams(self.features)

    def __call__(self, x: jax.Array, beside: Sequence[jax.Array]) -> jax.Array:
        """`x` [B, H, W, C], `beside` [B, 2H, 2W, any] each -> [B, 2H, 2W, features]."""
        y, bias = self.without_bias(x, beside)
        return y + bias

    def without_bias(self, x: jax.Array, beside: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
        """See `Conv.without_bias`."""
        params = self.Conv_0(sum(v.shape[-1] for v in (x, *beside)))
        x, kernel, bias, *beside = promote_dtype(x, *params, *beside, dtype=self.dtype)
        return ops.upsample_conv(x, beside, kernel), bias


def groups_of(channels: int) -> int:
    """Groups of a norm: 8, or fewer if 8 does not divide the channels."""
    return math.gcd(GROUPS, channels)


class GroupNorm(nn.Module):
    """GroupNorm (8 groups, or fewer if 8 does not divide the channels)."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", ones, (x.shape[-1],), jnp.float32)
        shift = self.param("bias", zeros, (x.shape[-1],), jnp.float32)
        (x,) = promote_dtype(x, dtype=self.dtype)
        return ops.group_norm(x, scale, shift, groups_of(x.shape[-1]))


class NormAct(nn.Module):
    """GroupNorm followed by SiLU."""

    dtype: Any = None

    def setup(self) -> None:
        self.GroupNorm_0 = NormParams()

    def parameters(self, channels: int) -> tuple[jax.Array, jax.Array]:
        """Scale and shift, for an operation that the norm is part of."""
        return self.GroupNorm_0(channels)

    def __call__(self, x: jax.Array) -> jax.Array:
        (x,) = promote_dtype(x, dtype=self.dtype)
        return ops.group_norm(x, *self.GroupNorm_0(x.shape[-1]), groups_of(x.shape[-1]), True)


class ResBlock(nn.Module):
    """Parameters of a residual block. Its second convolution starts at zero, so the block starts as the identity."""

    dtype: Any = None

    @nn.compact
    def __call__(self, channels: int) -> ops.Block:
        parts = []
        for kernel_init in (lecun_normal, zeros):
            scale, shift = NormAct().parameters(channels)
            kernel, bias = Conv(channels, kernel_init=kernel_init).parameters(channels)
            kernel, bias = promote_dtype(kernel, bias, dtype=self.dtype)
            parts.append(ops.NormConv(scale, shift, kernel, bias))
        first, second = parts
        return first, second


class Convolution(Protocol):
    """A layer that ends with a bias, and can leave it to the blocks after it."""

    def without_bias(self, *maps: Any) -> tuple[jax.Array, jax.Array]: ...


def conv_blocks(first: Convolution, maps: Sequence[Any], blocks: Sequence[ResBlock], remat: bool = False) -> jax.Array:
    """`first(*maps)`, then residual blocks -> [B, H, W, C]. The bias of `first` is added within `ops.res_blocks`."""
    x, bias = first.without_bias(*maps)
    return _res_blocks(x, bias, blocks, remat)


def res_blocks(x: jax.Array, blocks: Sequence[ResBlock], remat: bool = False) -> jax.Array:
    """Residual blocks of `x` [B, H, W, C] -> [B, H, W, C]."""
    return _res_blocks(x, None, blocks, remat)


def _res_blocks(x: jax.Array, bias: jax.Array | None, blocks: Sequence[ResBlock], remat: bool) -> jax.Array:
    run = jax.checkpoint(ops.res_blocks, static_argnums=(3,)) if remat else ops.res_blocks
    return run(x, bias, [block(x.shape[-1]) for block in blocks], groups_of(x.shape[-1]))


class Attention(nn.Module):
    """Residual, pre-normalised self-attention with 4 heads over the pixels of a map."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        b, h, w, c = x.shape
        heads = math.gcd(HEADS, c)
        tokens = GroupNorm(dtype=self.dtype, name="GroupNorm_0")(x).reshape(b, h * w, c)
        qkv = Dense(3 * c, dtype=self.dtype, name="qkv")(tokens).reshape(b, h * w, 3, heads, c // heads)
        mixed = ops.attention(*jnp.moveaxis(qkv, 2, 0)).reshape(b, h * w, c)
        out = Dense(c, dtype=self.dtype, kernel_init=zeros, name="out")(mixed)
        return x + out.reshape(b, h, w, c)


class MLP(nn.Module):
    """Dense layers with SiLU between them (none after the last)."""

    widths: Sequence[int]
    last_init: Any = lecun_normal
    dtype: Any = None
    precision: Any = jax.lax.Precision.HIGHEST

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, width in enumerate(self.widths):
            last = i == len(self.widths) - 1
            init = self.last_init if last else lecun_normal
            x = Dense(width, dtype=self.dtype, precision=self.precision, kernel_init=init)(x)
            if not last:
                x = nn.silu(x)
        return x


def level_widths(base_ch: int) -> tuple[int, ...]:
    """Channels after each of the five downsamplings: base 32 gives 16, 32, 64, 128, 256."""
    return tuple(base_ch * m // 2 for m in (1, 2, 4, 8, 16))
