"""Convolutional building blocks of the encoder and the decoder.

All feature maps are [B, H, W, C]. `dtype` is the compute type (float32 or bfloat16); parameters stay float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from o2t_jax.models import cpu_convolution, cpu_ops, cpu_upsampling
from o2t_jax.models.cpu_convolution import DIMENSIONS

GROUPS = 8
HEADS = 4
# Flax traces an initialiser wherever its parameter is used; a jitted one is traced once for a shape.
lecun_normal = jax.jit(nn.initializers.lecun_normal(), static_argnums=(1, 2))
zeros = jax.jit(nn.initializers.zeros, static_argnums=(1, 2))
ones = jax.jit(nn.initializers.ones, static_argnums=(1, 2))
Dense = partial(nn.Dense, kernel_init=lecun_normal, bias_init=zeros)


class ConvParams(nn.Module):
    """`kernel` [k, k, channels, features] and `bias` [features] of a convolution, both of `dtype`."""

    features: int
    kernel: int = 3
    kernel_init: Any = lecun_normal
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, channels: int) -> tuple[jax.Array, jax.Array]:
        shape = (self.kernel, self.kernel, channels, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = self.param("bias", zeros, (self.features,), jnp.float32)
        return kernel.astype(self.dtype), bias.astype(self.dtype)


class Unbiased(NamedTuple):
    """A map whose `bias` [C] has still to be added to every pixel of `pixels` [B, H, W, C].

    On a CPU, adding it and summing up its gradient are passes over a map. A GroupNorm does either for nothing, and a
    sum of two such maps is one. Elsewhere biases are added at once.
    """

    pixels: jax.Array
    bias: jax.Array


Map = jax.Array | Unbiased


def with_bias(pixels: jax.Array, bias: jax.Array) -> Map:
    """`pixels` [B, H, W, C] and `bias` [C], added later where that is cheaper."""
    return Unbiased(pixels, bias) if cpu_ops.chosen() else pixels + bias


def complete(x: Map) -> jax.Array:
    """The map, its bias added."""
    return cpu_convolution.add_bias(*x) if isinstance(x, Unbiased) else x


def add(x: Map, y: Map) -> Map:
    """The sum of two maps."""
    if isinstance(x, Unbiased):
        if isinstance(y, Unbiased):
            return Unbiased(x.pixels + y.pixels, x.bias + y.bias)
        return Unbiased(x.pixels + y, x.bias)
    return x + complete(y)


def convolve(x: jax.Array, kernel: jax.Array, strides: int = 1) -> jax.Array:
    """'Same' convolution of `x` [B, H, W, C] and `kernel` [k, k, C, F] -> [B, H / strides, W / strides, F]."""
    if cpu_ops.chosen() and kernel.shape[:2] == (3, 3):
        if strides == 1:
            return cpu_convolution.conv3(x, kernel)
        if strides == 2 and x.shape[1] % 2 == x.shape[2] % 2 == 0:
            return cpu_convolution.halving_conv3(x, kernel)
    return jax.lax.conv_general_dilated(x, kernel, (strides, strides), "SAME", dimension_numbers=DIMENSIONS)


class Conv(nn.Module):
    """3x3 (or k x k) convolution with bias, 'same' padding; to be completed."""

    features: int
    strides: int = 1
    kernel: int = 3
    kernel_init: Any = lecun_normal
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> Map:
        params = ConvParams(self.features, self.kernel, self.kernel_init, self.dtype, name="Conv_0")
        kernel, bias = params(x.shape[-1])
        return with_bias(convolve(x.astype(self.dtype), kernel, self.strides), bias)


class EnlargingConv(nn.Module):
    """3x3 convolution with bias of a small map, enlarged by two, beside maps of that size."""

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, beside: Sequence[jax.Array]) -> Map:
        """`x` [B, H, W, C], `beside` [B, 2H, 2W, any] each -> [B, 2H, 2W, features]."""
        maps = [v.astype(self.dtype) for v in (x, *beside)]
        channels = sum(v.shape[-1] for v in maps)
        kernel, bias = ConvParams(self.features, dtype=self.dtype, name="Conv_0")(channels)
        if not (cpu_ops.chosen() and cpu_upsampling.worthwhile(x, self.features)):
            return with_bias(convolve(jnp.concatenate([upsample(maps[0]), *maps[1:]], axis=-1), kernel), bias)
        small, large = jnp.split(kernel, [x.shape[-1]], axis=2)
        rest = convolve(jnp.concatenate(maps[1:], axis=-1), large)
        return with_bias(cpu_upsampling.enlarged_conv3(maps[0], small) + rest, bias)


class GroupNorm(nn.Module):
    """GroupNorm (8 groups, fewer where the channels do not divide), with SiLU after it if `silu`."""

    silu: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Map) -> jax.Array:
        pixels, shift = x if isinstance(x, Unbiased) else (x, None)
        channels = pixels.shape[-1]
        groups = math.gcd(GROUPS, channels)
        scale = self.param("scale", ones, (channels,), jnp.float32)
        bias = self.param("bias", zeros, (channels,), jnp.float32)

        if cpu_ops.chosen():
            shift = jnp.zeros(channels) if shift is None else shift.astype(jnp.float32)
            return cpu_ops.group_norm(pixels.astype(self.dtype), shift, scale, bias, groups, self.silu)
        norm = nn.GroupNorm(groups, dtype=self.dtype, epsilon=cpu_ops.EPSILON, parent=None)
        y: Any = norm.apply({"params": {"scale": scale, "bias": bias}}, complete(x).astype(self.dtype))
        return nn.silu(y) if self.silu else y


class NormAct(nn.Module):
    """GroupNorm followed by SiLU."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Map) -> jax.Array:
        return GroupNorm(True, self.dtype, name="GroupNorm_0")(x)


class ResBlock(nn.Module):
    """x + (GroupNorm, SiLU, conv3) twice; the second convolution starts at zero, so the block starts as identity."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Map) -> Map:
        normed = NormAct(self.dtype)(x)
        y = Conv(normed.shape[-1], dtype=self.dtype)(normed)
        y = Conv(normed.shape[-1], dtype=self.dtype, kernel_init=zeros)(NormAct(self.dtype)(y))
        return add(x, y)


class Attention(nn.Module):
    """Self-attention with 4 heads over the pixels of a map, residual, pre-normalised."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Map) -> Map:
        normed = GroupNorm(dtype=self.dtype, name="GroupNorm_0")(x)
        b, h, w, c = normed.shape
        heads = math.gcd(HEADS, c)
        tokens = normed.reshape(b, h * w, c)
        query, key, value = jnp.split(Dense(3 * c, dtype=self.dtype, name="qkv")(tokens), 3, axis=-1)
        split = (b, h * w, heads, c // heads)
        attend = cpu_ops.attention if cpu_ops.chosen() else jax.nn.dot_product_attention
        mixed = attend(query.reshape(split), key.reshape(split), value.reshape(split)).reshape(b, h * w, c)
        out = Dense(c, dtype=self.dtype, kernel_init=zeros, name="out")(mixed)
        return add(x, out.reshape(b, h, w, c))


class MLP(nn.Module):
    """Dense layers with SiLU between them (none after the last)."""

    widths: Sequence[int]
    last_init: Any = lecun_normal
    dtype: Any = None  # that of inputs and parameters
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


def upsample(x: jax.Array) -> jax.Array:
    """Nearest-neighbour enlargement by two."""
    b, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None, :], (b, h, 2, w, 2, c)).reshape(b, 2 * h, 2 * w, c)


def level_widths(base_ch: int) -> tuple[int, ...]:
    """Channels after each of the five downsamplings: base 32 gives 16, 32, 64, 128, 256."""
    return tuple(base_ch * m // 2 for m in (1, 2, 4, 8, 16))
