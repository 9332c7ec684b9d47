"""The encoder's and decoder's two costly operations in the forms that XLA compiles well for a CPU.

Same mathematics, same parameters as the plain forms, which GPUs and TPUs keep (`chosen`). Six facts of XLA:CPU
(jaxlib 0.10) stand behind them:

- Eigen's convolution wants at least 16 output channels: with 4 most of a vector register is idle. Neighbouring columns
  of a [B, H, W, C] map are neighbours in memory, so [B, H, W/p, pC] is the same bytes: a packed convolution computes p
  columns at once. It multiplies by some zeros and is still up to three times faster.
- Of a convolution, the gradient by the kernel is one in which samples stand where channels do. With one sample it takes
  two to three times as long as with the same pixels in 16: cut a sample into strips of rows.
- A sum over pixels runs on one core per sample, and slowly where its argument is computed on the way: sum in two stages
  over arrays that are stored.
- XLA computes an array again for each reader, in each reader's order, unless its last operation counts as costly: where
  a layer's output is read by a convolution, a transposition and a sum, it ends with a division. An optimisation barrier
  does not help, it is gone before fusion.
- A repeated vector (`jnp.tile`) is index arithmetic in every loop that reads it, ten times slower than a stored one:
  repeat by a product. Two sums of one array are one pass only where they are one `lax.reduce`.
- An element-wise loop over 4 channels does not fill a register either; over [B, H, W C] it does.

What a layer's two passes do is jitted, so that Python traces it once for a shape and not at every layer.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

EPSILON = 1e-6
# Rows of partial sums, over all samples: enough for the cores at hand, few enough to add up in no time.
PARTIAL_SUMS = 32
VECTOR = 16
# Pixels of a map up to which a convolution is a matrix product: Eigen's is ten times slower on 2 x 2 maps.
TINY = 4
# Samples, or strips of them, that the gradient by a kernel is summed over at once.
STRIPS = 16
# Pixels of a sample's map from which that gradient is taken for 16 channels at a time.
LARGE = 128 * 128
# Numbers of a sample's map up to which one plain sum does: the loops of two stages take longer to compile than to run.
SMALL = 20_000
# Below it SiLU's slope is zero to float32, and exp(-z) would overflow when squared.
FLATTEST = -40.0
DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def chosen() -> bool:
    """Whether the layers take these forms: where JAX's default backend is a CPU.

    Asked while tracing. `lax.platform_dependent` would ask when lowering, but traces both forms: 11 s instead of 5.
    A step that is lowered on a CPU for another platform is correct and slower there than it could be.
    """
    return jax.default_backend() == "cpu"


def conv3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The plain 3x3 convolution, stride 1, 'same' padding: `x` [B, H, W, C], `kernel` [3, 3, C, D] -> [B, H, W, D]."""
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=DIMENSIONS)


def columns_together(width: int, channels: int) -> int:
    """How many columns a convolution to `channels` computes at once: up to four, while they fit a register."""
    pack = 1
    while 2 * pack * channels <= VECTOR and width % (2 * pack) == 0 and pack < 4:
        pack *= 2
    return pack


def pack_kernel(kernel: jax.Array, pack: int) -> jax.Array:
    """[3, 3, C, D] -> [3, 3, pack C, pack D], for maps whose columns stand together in groups of `pack`."""
    place = np.zeros((3, 3, pack, pack), np.float32)  # tap, group of columns, column in its group, output column
    for out in range(pack):
        for tap in range(3):
            column = out + tap - 1
            place[tap, column // pack + 1, column % pack, out] = 1.0
    packed = jnp.einsum("htcd,tsio->hsicod", kernel, place.astype(kernel.dtype), precision=lax.Precision.HIGHEST)
    return packed.reshape(3, 3, pack * kernel.shape[2], pack * kernel.shape[3])


def tiny_conv3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`conv3` as one matrix product over the nine shifted maps."""
    b, h, w, c = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)]
    product = jnp.concatenate(shifted, axis=-1).reshape(b * h * w, 9 * c) @ kernel.reshape(9 * c, -1)
    return product.reshape(b, h, w, -1)


def packed_conv3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`conv3` by groups of columns, or as a matrix product where the map is tiny."""
    b, h, w, c = x.shape
    if h * w <= TINY:
        return tiny_conv3(x, kernel)
    pack = columns_together(w, kernel.shape[3])
    if pack == 1:
        return conv3(x, kernel)
    grouped = conv3(x.reshape(b, h, w // pack, pack * c), pack_kernel(kernel, pack))
    return grouped.reshape(b, h, w, kernel.shape[3])


def kernel_gradient(x: jax.Array, g: jax.Array) -> jax.Array:
    """The gradient [3, 3, C, D] of `conv3` by its kernel: of `x` [B, H, W, C] and the gradient `g` [B, H, W, D]."""
    c, d = x.shape[3], g.shape[3]
    if x.shape[1] * x.shape[2] < LARGE:
        return _gradient_by_strips(x, g, 1)
    if c > d and c % VECTOR == 0:
        # Of every tap's pixel with every pixel, or of every pixel with its tap's: the same sums, turned over.
        return jnp.swapaxes(kernel_gradient(g, x)[::-1, ::-1], 2, 3)
    parts = [_gradient_by_strips(x, g[..., i : i + VECTOR], 1) for i in range(0, d, VECTOR)]
    return jnp.concatenate(parts, axis=3)


def _gradient_by_strips(x: jax.Array, g: jax.Array, stride: int) -> jax.Array:
    """`kernel_gradient`, or with a `stride` of 2 that of `halving_conv3`; summed over strips of rows at once."""
    b, h, w, c = x.shape
    count = max(n for n in range(1, max(STRIPS // b, 1) + 1) if g.shape[1] % n == 0)  # of a sample, all of one height
    padding: Any = "SAME"
    if count > 1:
        strips = x.reshape(b, count, h // count, w, c)
        outside = jnp.zeros((b, 1, 1, w, c), x.dtype)
        parts = [strips, jnp.concatenate([strips[:, 1:, :1], outside], axis=1)]  # each with the row below it
        if stride == 1:
            parts.insert(0, jnp.concatenate([outside, strips[:, :-1, -1:]], axis=1))  # and above it
        x = jnp.concatenate(parts, axis=2).reshape(b * count, -1, w, c)
        g = g.reshape(b * count, -1, *g.shape[2:])
        padding = ((0, 0), (2 - stride, 1))
    blank = jnp.zeros((3, 3, c, g.shape[3]), x.dtype)
    _, pull = jax.vjp(
        lambda k: lax.conv_general_dilated(x, k, (stride,) * 2, padding, dimension_numbers=DIMENSIONS), blank
    )
    return pull(g)[0]


@jax.custom_vjp
def conv3_bias(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """3x3 convolution with bias [D]."""
    return _conv3_bias_forward(x, kernel, bias)[0]


@jax.jit
def _conv3_bias_forward(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> tuple[jax.Array, tuple]:
    y = packed_conv3(x, kernel)
    row = jnp.tile(bias, y.shape[2]) if math.prod(y.shape[1:]) <= SMALL else _repeat(bias[None], y.shape[2])[0]
    return (_wide(y) + row).reshape(y.shape), (x, kernel)


@jax.jit
def _conv3_bias_backward(saved: tuple, g: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, kernel = saved
    # The input's gradient is the convolution with the kernel turned over, its channels exchanged.
    dx = packed_conv3(g, jnp.swapaxes(kernel[::-1, ::-1], 2, 3))
    dkernel = kernel_gradient(x, g)
    d = g.shape[-1]
    columns = jnp.sum(g.reshape(-1, g.shape[2] * d), axis=0, dtype=jnp.float32)
    return dx, dkernel, jnp.sum(columns.reshape(-1, d), axis=0).astype(g.dtype)


conv3_bias.defvjp(_conv3_bias_forward, _conv3_bias_backward)


def halved_input_gradient(g: jax.Array, kernel: jax.Array) -> jax.Array:
    """The gradient [B, H, W, C] of `halving_conv3` by its input: of `g` [B, H/2, W/2, D] and `kernel` [3, 3, C, D].

    Two by two pixels of the input are read by the same two by two outputs: one convolution to 4 C channels.
    """
    b, h, w, d = g.shape
    c = kernel.shape[2]
    # Tap 2 a + r of the kernel leads from pixel r of a block to the output a blocks before.
    taps = jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0))).reshape(2, 2, 2, 2, c, d)[::-1, :, ::-1]
    blocks = taps.transpose(0, 2, 5, 1, 3, 4).reshape(2, 2, d, 4 * c)
    pixels = lax.conv_general_dilated(g, blocks, (1, 1), ((1, 0), (1, 0)), dimension_numbers=DIMENSIONS)
    return pixels.reshape(b, h, w, 2, 2 * c).swapaxes(2, 3).reshape(b, 2 * h, 2 * w, c)


@jax.custom_vjp
def halving_conv3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The 3x3 convolution of stride 2, 'same' padding: `x` [B, H, W, C], H and W even -> [B, H/2, W/2, D]."""
    return _halving_conv3_forward(x, kernel)[0]


@jax.jit
def _halving_conv3_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple]:
    return lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=DIMENSIONS), (x, kernel)


@jax.jit
def _halving_conv3_backward(saved: tuple, g: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    if kernel.shape[2] <= VECTOR or g.shape[1] * g.shape[2] <= TINY:
        dx = halved_input_gradient(g, kernel)
    else:
        _, pull = jax.vjp(
            lambda v: lax.conv_general_dilated(v, kernel, (2, 2), "SAME", dimension_numbers=DIMENSIONS), x
        )
        dx = pull(g)[0]
    return dx, _gradient_by_strips(x, g, 2)


halving_conv3.defvjp(_halving_conv3_forward, _halving_conv3_backward)


def _rows_apart(x: jax.Array) -> jax.Array:
    """[B, R, ...] -> [B, parts, R / parts, ...]: what each core sums first."""
    b, rows, _ = x.shape
    parts = max(1, PARTIAL_SUMS // b)
    while rows % parts:
        parts -= 1
    return x.reshape(b, parts, rows // parts, -1)


def channel_sums(x: jax.Array, channels: int) -> jax.Array:
    """Sums over pixels of `x` [B, R, any number of columns times `channels`], in two stages -> [B, channels]."""
    b, rows, _ = x.shape
    if rows * x.shape[2] <= SMALL:
        return jnp.sum(x.reshape(b, -1, channels), axis=1)
    # Without the barrier XLA makes one sum of the two again: half of the step's time at 512 px with batch 1.
    stored = lax.optimization_barrier(jnp.sum(_rows_apart(x), axis=2))
    return jnp.sum(jnp.sum(stored, axis=1).reshape(b, -1, channels), axis=1)


def two_sums(x: jax.Array, other: jax.Array, channels: int) -> tuple[jax.Array, jax.Array]:
    """`channel_sums` of `x` and of `x` times `other`, in one pass."""
    b, rows, _ = x.shape
    if rows * x.shape[2] <= SMALL:
        return channel_sums(x, channels), channel_sums(x * other, channels)
    zero = jnp.zeros((), x.dtype)
    apart, beside = _rows_apart(x), _rows_apart(other)
    parts = lax.reduce((apart, apart * beside), (zero, zero), lambda a, b: (a[0] + b[0], a[1] + b[1]), (2,))
    first, second = (jnp.sum(jnp.sum(part, axis=1).reshape(b, -1, channels), axis=1) for part in parts)
    return first, second


def _group_mean(x: jax.Array, groups: int) -> jax.Array:
    """`x` [B, C] -> the mean of its group at every channel, [B, C]. A product is a call, no loop to be compiled."""
    size = x.shape[1] // groups
    share = np.kron(np.eye(groups, dtype=np.float32), np.full((size, size), 1.0 / size, np.float32))
    return jnp.dot(x, share, precision=lax.Precision.HIGHEST)


def _repeat(x: jax.Array, times: int) -> jax.Array:
    """`x` [B, C] -> [B, times C]. A product: XLA would put a repetition's index arithmetic into every pixel."""
    return jnp.dot(x, jnp.tile(jnp.eye(x.shape[1], dtype=x.dtype), (1, times)), precision=lax.Precision.HIGHEST)


def _wide(x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, H, W C], the same bytes."""
    return x.reshape(*x.shape[:2], -1)


def _moments(x: jax.Array, groups: int) -> tuple[jax.Array, jax.Array]:
    """Mean and 1 / deviation of each channel's group, [B, C], in one pass over `x` [B, H, W, C] float32."""
    pixels, c = x.shape[1] * x.shape[2], x.shape[3]
    mean, square = (_group_mean(sums, groups) / pixels for sums in two_sums(_wide(x), _wide(x), c))
    return mean, lax.rsqrt(jnp.maximum(square - mean * mean, 0.0) + EPSILON)


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def group_norm(x: jax.Array, scale: jax.Array, bias: jax.Array, groups: int, silu: bool) -> jax.Array:
    """GroupNorm of `x` [B, H, W, C], `scale` and `bias` [C] float32, with SiLU after it if `silu`; computed in float32.

    Only `x` is kept for the backward pass, which computes the activations again: cheaper than to store and read them.
    """
    return _group_norm_forward(x, scale, bias, groups, silu)[0]


@partial(jax.jit, static_argnums=(3, 4))
def _group_norm_forward(
    x: jax.Array, scale: jax.Array, bias: jax.Array, groups: int, silu: bool
) -> tuple[jax.Array, tuple]:
    full = x.astype(jnp.float32)
    mean, rate = _moments(full, groups)
    slope = rate * scale
    offset = bias - mean * slope
    if x[0].size <= SMALL:
        z = full * slope[:, None, None] + offset[:, None, None]
    else:
        slopes, offsets = (_repeat(v, x.shape[2])[:, None] for v in (slope, offset))
        z = _wide(full) * slopes + offsets
    y = z / (1.0 + jnp.exp(-z)) if silu else z
    return y.reshape(x.shape).astype(x.dtype), (x, scale, bias, mean, rate)


@partial(jax.jit, static_argnums=(0, 1))
def _group_norm_backward(groups: int, silu: bool, saved: tuple, g: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, scale, bias, mean, rate = saved
    b, h, w, c = x.shape
    flat, dz = (v.astype(jnp.float32).reshape(b, h * w, c) for v in (x, g))
    slope = rate * scale
    if silu:
        z = flat * slope[:, None] + (bias - mean * slope)[:, None]
        z = jnp.maximum(z, FLATTEST)
        e = jnp.exp(-z)
        dz = dz * (1.0 + e * (1.0 + z)) / jnp.square(1.0 + e)
    dbias, along_x = two_sums(dz, flat, c)
    dscale = rate * (along_x - mean * dbias)
    # dx = rate (scale dz - mean of scale dz - xhat mean of scale dz xhat), written as three terms of one pass.
    along = -rate * _group_mean(dscale * scale, groups) / (h * w)
    constant = -_group_mean(dbias * scale, groups) / (h * w) - along * mean
    dx = (dz * scale + flat * along[:, None] + constant[:, None]) / (1.0 / rate)[:, None]
    return dx.reshape(x.shape).astype(x.dtype), jnp.sum(dscale, axis=0), jnp.sum(dbias, axis=0)


group_norm.defvjp(_group_norm_forward, _group_norm_backward)


def attention(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """`jax.nn.dot_product_attention` of [B, N, heads, D] each, scores with heads before pixels, divided when summed."""
    query, key, value = (jnp.swapaxes(v, 1, 2) for v in (query * query.shape[-1] ** -0.5, key, value))
    scores = jnp.einsum("bhqd,bhkd->bhqk", query, key)
    weights = jnp.exp(scores - lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True)))
    mixed = jnp.einsum("bhqk,bhkd->bhqd", weights, value) / jnp.sum(weights, axis=-1, keepdims=True)
    return jnp.swapaxes(mixed, 1, 2)
