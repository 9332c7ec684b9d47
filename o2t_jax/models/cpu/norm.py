"""GroupNorm in the form that XLA compiles well for a CPU.

It follows from properties of XLA:CPU (jaxlib 0.10 and 0.12):

- A sum over pixels runs on one core per sample, so we sum in two stages. Two sums over the same pixels take one pass
  only if they are one `lax.reduce`.
- XLA computes an array again for each reader, in each reader's order, unless its last operation counts as costly. If a
  layer's output is read by a convolution, a transposition and a sum, the layer therefore ends with a division. An
  optimisation barrier does not help, because it is removed before fusion.
- A repeated vector (`jnp.tile`) becomes index arithmetic in every loop that reads it, ten times slower than a stored
  vector. We repeat by a product.
- An element-wise loop over 4 channels does not fill a register; over [B, H, W C] it does.

The forward and backward passes of a layer are jitted, so that Python traces them once per shape and not at every layer.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from o2t_jax.models.ops import EPSILON, at_least_float32

# Rows of partial sums, over all samples: enough for the available cores, few enough to be added quickly.
PARTIAL_SUMS = 32
# Size of a sample's map up to which one plain sum is used: the loops of two stages take longer to compile than to run.
SMALL = 20_000
# Below this value SiLU's slope is zero in float32, and exp(-z) would overflow when squared.
FLATTEST = -40.0


def _rows_apart(x: jax.Array) -> jax.Array:
    """[B, R, ...] -> [B, parts, R / parts, ...]: the parts that the cores sum first."""
    b, rows, _ = x.shape
    parts = max(1, PARTIAL_SUMS // b)
    while rows % parts:
        parts -= 1
    return x.reshape(b, parts, rows // parts, -1)


def two_sums(x: jax.Array, other: jax.Array, channels: int) -> tuple[jax.Array, jax.Array]:
    """Sums over pixels of `x` and of `x` times `other`, [B, R, any number of columns times `channels`].

    Returns: two arrays [B, channels].
    """
    b, rows, _ = x.shape
    if rows * x.shape[2] <= SMALL:
        first, second = (jnp.sum(v.reshape(b, -1, channels), axis=1) for v in (x, x * other))
        return first, second
    zero = jnp.zeros((), x.dtype)
    apart, beside = _rows_apart(x), _rows_apart(other)
    parts = lax.reduce((apart, apart * beside), (zero, zero), lambda a, b: (a[0] + b[0], a[1] + b[1]), (2,))
    first, second = (jnp.sum(jnp.sum(part, axis=1).reshape(b, -1, channels), axis=1) for part in parts)
    return first, second


def _group_mean(x: jax.Array, groups: int) -> jax.Array:
    """`x` [B, C] -> the mean of its group at every channel, [B, C]. A product needs no loop to be compiled."""
    size = x.shape[1] // groups
    share = jnp.asarray(np.kron(np.eye(groups), np.full((size, size), 1.0 / size)), x.dtype)
    return jnp.dot(x, share, precision=lax.Precision.HIGHEST)


def repeated(x: jax.Array, times: int) -> jax.Array:
    """`x` [B, C] -> [B, times C], by a product: with `tile` XLA would do index arithmetic at every pixel."""
    return jnp.dot(x, jnp.tile(jnp.eye(x.shape[1], dtype=x.dtype), (1, times)), precision=lax.Precision.HIGHEST)


def wide(x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, H, W C], the same bytes reshaped."""
    return x.reshape(*x.shape[:2], -1)


@jax.jit
def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """`bias` [C] added to every pixel of `x` [B, H, W, C]."""
    row = jnp.tile(bias, x.shape[2]) if math.prod(x.shape[1:]) <= SMALL else repeated(bias[None], x.shape[2])[0]
    return (wide(x) + row).reshape(x.shape)


def _moments(sums: jax.Array, squares: jax.Array, pixels: int, groups: int) -> tuple[jax.Array, jax.Array]:
    """Mean and 1 / deviation of each channel's group, [B, C], from sums over `pixels` and sums of squares, [B, C]."""
    mean, square = (_group_mean(v, groups) / pixels for v in (sums, squares))
    return mean, lax.rsqrt(jnp.maximum(square - mean * mean, 0.0) + EPSILON)


def group_norm(x: jax.Array, scale: jax.Array, shift: jax.Array, groups: int, silu: bool = False) -> jax.Array:
    """`ops.group_norm`."""
    return biased_group_norm(x, jnp.zeros_like(scale), scale, shift, groups, silu)


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def biased_group_norm(
    x: jax.Array, bias: jax.Array, scale: jax.Array, shift: jax.Array, groups: int, silu: bool
) -> jax.Array:
    """GroupNorm of `x` + `bias`, with SiLU after it if `silu`; computed in float32 or wider.

    Args: `x` [B, H, W, C]; `bias`, that of the preceding convolution, `scale`, `shift` [C].

    Neither the bias nor its gradient costs a pass over the pixels: both follow from sums that are needed anyway. Only
    `x` is kept for the backward pass, which recomputes the activations. This is cheaper than storing and reading them.
    """
    return _group_norm_forward(x, bias, scale, shift, groups, silu)[0]


@partial(jax.jit, static_argnums=(4, 5))
def _group_norm_forward(
    x: jax.Array, bias: jax.Array, scale: jax.Array, shift: jax.Array, groups: int, silu: bool
) -> tuple[jax.Array, tuple]:
    full = at_least_float32(x)
    pixels = x.shape[1] * x.shape[2]
    sums, squares = two_sums(wide(full), wide(full), x.shape[3])
    shifted = sums + pixels * bias
    mean, rate = _moments(shifted, squares + bias * (sums + shifted), pixels, groups)
    mean = mean - bias  # since `x` excludes the bias
    slope = rate * scale
    offset = shift - mean * slope
    if x[0].size <= SMALL:
        z = full * slope[:, None, None] + offset[:, None, None]
    else:
        slopes, offsets = (repeated(v, x.shape[2])[:, None] for v in (slope, offset))
        z = wide(full) * slopes + offsets
    y = z / (1.0 + jnp.exp(-z)) if silu else z
    return y.reshape(x.shape).astype(x.dtype), (x, sums, scale, shift, mean, rate)


@partial(jax.jit, static_argnums=(0, 1))
def _group_norm_backward(groups: int, silu: bool, saved: tuple, g: jax.Array) -> tuple[jax.Array, ...]:
    x, sums, scale, shift, mean, rate = saved
    b, h, w, c = x.shape
    flat, dz = (at_least_float32(v).reshape(b, h * w, c) for v in (x, g))
    slope = rate * scale
    if silu:
        z = flat * slope[:, None] + (shift - mean * slope)[:, None]
        z = jnp.maximum(z, FLATTEST)
        e = jnp.exp(-z)
        dz = dz * (1.0 + e * (1.0 + z)) / jnp.square(1.0 + e)
    dshift, along_x = two_sums(dz, flat, c)
    dscale = rate * (along_x - mean * dshift)
    # dx = rate (scale dz - mean of scale dz - xhat mean of scale dz xhat), written as three terms of one pass.
    along = -rate * _group_mean(dscale * scale, groups) / (h * w)
    constant = -_group_mean(dshift * scale, groups) / (h * w) - along * mean
    dx = (dz * scale + flat * along[:, None] + constant[:, None]) / (1.0 / rate)[:, None]
    dbias = rate * (dshift * scale + sums * along + h * w * constant)  # dx, summed over pixels
    dbias, dscale, dshift = (jnp.sum(v, axis=0) for v in (dbias, dscale, dshift))
    return dx.reshape(x.shape).astype(x.dtype), dbias, dscale, dshift


biased_group_norm.defvjp(_group_norm_forward, _group_norm_backward)
