"""3x3 convolutions in the forms that XLA compiles well for a CPU.

They follow from properties of XLA:CPU (jaxlib 0.10 and 0.12):

- Eigen's convolution needs at least 16 output channels: with 4 most of a vector register is idle. A window wide enough
  for p neighbouring columns that steps p columns gives p times the channels, in a [B, H, W/p, pD] map of the same
  bytes. It multiplies by some zeros and is up to three times faster. It also copies fewer patches, so it is used where
  few channels are read. 17 channels take two to three times as long as 16.
- The gradient of a convolution by its kernel is a convolution whose channel axis is the samples. With one sample it
  takes two to three times as long as with the same pixels in 16, so we cut a sample into strips of rows. On large maps
  most of its time is spent on patches of one side, and beyond 16 channels of the other side it grows faster than their
  number. We take the patches of the side with fewer channels, for 16 channels of the other side at a time.
- The gradient of a stride-2 convolution by its input multiplies by zeros three times out of four, and on large or tiny
  maps runs on one core. We compute each 2 x 2 block of pixels by one convolution of the gradient to four times the
  channels.

The forward and backward passes of a layer are jitted, so that Python traces them once per shape and not at every layer.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from o2t_jax.models.cpu.norm import add_bias

VECTOR = 16
# Channels of the input up to which an output of several registers per window costs nothing.
FEW = 4
# Pixels of a map up to which a convolution is a matrix product: Eigen's is ten times slower on 2 x 2 maps.
TINY = 4
# Samples, or strips of them, that the gradient by a kernel is summed over together.
STRIPS = 16
# Pixels of a sample's map from which that gradient is taken for 16 channels at a time.
LARGE = 128 * 128
DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def convolve(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: Any) -> jax.Array:
    """`lax.conv_general_dilated` of `x` [B, H, W, C] and `kernel` [k, l, C, D]."""
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=DIMENSIONS)


def plain_conv3(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """The 3x3 convolution, 'same' padding: `x` [B, H, W, C], `kernel` [3, 3, C, D] -> [B, H/stride, W/stride, D]."""
    return convolve(x, kernel, (stride, stride), "SAME")


def columns_together(width: int, inputs: int, outputs: int) -> int:
    """Columns that a convolution computes together: up to four, while they fit a register or read few channels."""
    pack = 1
    few = inputs <= FEW and outputs <= VECTOR
    while (few or 2 * pack * outputs <= VECTOR) and width % (2 * pack) == 0 and pack < 4:
        pack *= 2
    return pack


def widen(kernel: jax.Array, pack: int) -> jax.Array:
    """[3, 3, C, D] -> [3, 2 + pack, C, pack D]: the kernels of `pack` neighbouring columns in one window."""
    moved = [jnp.pad(kernel, ((0, 0), (place, pack - 1 - place), (0, 0), (0, 0))) for place in range(pack)]
    return jnp.concatenate(moved, axis=3)


def tiny_conv3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`plain_conv3` as one matrix product over the nine shifted maps."""
    b, h, w, c = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)]
    product = jnp.concatenate(shifted, axis=-1).reshape(b * h * w, 9 * c) @ kernel.reshape(9 * c, -1)
    return product.reshape(b, h, w, -1)


def packed_conv3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`plain_conv3` by groups of columns, or as a matrix product if the map is tiny."""
    _, h, w, c = x.shape
    if h * w <= TINY:
        return tiny_conv3(x, kernel)
    pack = columns_together(w, c, kernel.shape[3])
    if pack == 1:
        return plain_conv3(x, kernel)
    return convolve(x, widen(kernel, pack), (1, pack), ((1, 1), (1, 1))).reshape(*x.shape[:3], -1)


def kernel_gradient(x: jax.Array, g: jax.Array) -> jax.Array:
    """The gradient [3, 3, C, D] of `plain_conv3` by its kernel: `x` [B, H, W, C], output gradient `g` [B, H, W, D]."""
    c, d = x.shape[3], g.shape[3]
    if x.shape[1] * x.shape[2] < LARGE:
        return _gradient_by_strips(x, g, 1)
    if c > d and c % VECTOR == 0:
        # The sum of x at a tap times g equals that of x times g at the opposite tap: exchange the two, flip the result.
        return jnp.swapaxes(kernel_gradient(g, x)[::-1, ::-1], 2, 3)
    parts = [_gradient_by_strips(x, g[..., i : i + VECTOR], 1) for i in range(0, d, VECTOR)]
    return jnp.concatenate(parts, axis=3)


def _gradient_by_strips(x: jax.Array, g: jax.Array, stride: int) -> jax.Array:
    """`kernel_gradient`, or for a `stride` of 2 that of `halving_conv3`; computed on all strips of rows together."""
    b, h, w, c = x.shape
    count = max(n for n in range(1, max(STRIPS // b, 1) + 1) if g.shape[1] % n == 0)  # equal strips of a sample
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
    _, pull = jax.vjp(lambda k: convolve(x, k, (stride, stride), padding), blank)
    return pull(g)[0]


def few_pixels(g: jax.Array) -> bool:
    """Whether a kernel to the channels of `g` [B, H, W, D] is larger than its maps, so that flipping it costs most."""
    return math.prod(g.shape[:3]) <= g.shape[3]


def input_gradient_by_products(g: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """The gradient of `plain_conv3` by its input, without flipping the kernel: one product, then a sum of nine maps.

    Args: `g` [B, H, W, D], `kernel` [3, 3, C, D], `stride` s, 1 or 2 (of an even input). Returns: [B, s H, s W, C].
    """
    b, h, w, d = g.shape
    c = kernel.shape[2]
    product = lax.dot_general(g.reshape(-1, d), kernel.reshape(9 * c, d), (((1,), (1,)), ((), ())))
    taps = product.reshape(b, h, w, 3, 3, c)
    zero, none = jnp.zeros((), g.dtype), (0, 0, 0)
    # The pixels that each tap reads. The input has one more pixel on either side, or on the far side for stride 2.
    read = [
        lax.pad(taps[:, :, :, i, j], zero, (none, (i, 2 - i, stride - 1), (j, 2 - j, stride - 1), none))
        for i in range(3)
        for j in range(3)
    ]
    begin = 2 - stride
    return sum(read[1:], read[0])[:, begin : begin + h * stride, begin : begin + w * stride]


@jax.custom_vjp
def conv3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`plain_conv3`."""
    return _conv3_forward(x, kernel)[0]


@jax.jit
def _conv3_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple]:
    return packed_conv3(x, kernel), (x, kernel)


@jax.jit
def _conv3_backward(saved: tuple, g: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    if few_pixels(g):
        return input_gradient_by_products(g, kernel, 1), kernel_gradient(x, g)
    # The input's gradient is the convolution with the flipped kernel, its channels exchanged.
    return packed_conv3(g, jnp.swapaxes(kernel[::-1, ::-1], 2, 3)), kernel_gradient(x, g)


conv3.defvjp(_conv3_forward, _conv3_backward)


def halved_input_gradient(g: jax.Array, kernel: jax.Array) -> jax.Array:
    """The gradient [B, H, W, C] of `halving_conv3` by its input: of `g` [B, H/2, W/2, D] and `kernel` [3, 3, C, D].

    The same 2 x 2 outputs read each 2 x 2 block of the input, so this is one convolution to 4 C channels.
    """
    b, h, w, d = g.shape
    c = kernel.shape[2]
    # Tap 2 a + r of the kernel leads from pixel r of a block to the output a blocks before.
    taps = jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0))).reshape(2, 2, 2, 2, c, d)[::-1, :, ::-1]
    blocks = taps.transpose(0, 2, 5, 1, 3, 4).reshape(2, 2, d, 4 * c)
    pixels = convolve(g, blocks, (1, 1), ((1, 0), (1, 0)))
    return pixels.reshape(b, h, w, 2, 2 * c).swapaxes(2, 3).reshape(b, 2 * h, 2 * w, c)


@jax.custom_vjp
def halving_conv3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The 3x3 convolution of stride 2, 'same' padding: `x` [B, H, W, C], H and W even -> [B, H/2, W/2, D]."""
    return _halving_conv3_forward(x, kernel)[0]


@jax.jit
def _halving_conv3_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple]:
    return plain_conv3(x, kernel, 2), (x, kernel)


@jax.jit
def _halving_conv3_backward(saved: tuple, g: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    if few_pixels(g):
        dx = input_gradient_by_products(g, kernel, 2)
    elif kernel.shape[2] <= VECTOR or g.shape[1] * g.shape[2] <= TINY:
        dx = halved_input_gradient(g, kernel)
    else:
        _, pull = jax.vjp(lambda v: plain_conv3(v, kernel, 2), x)
        dx = pull(g)[0]
    return dx, _gradient_by_strips(x, g, 2)


halving_conv3.defvjp(_halving_conv3_forward, _halving_conv3_backward)


def conv(x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None, stride: int = 1) -> jax.Array:
    """`ops.conv`."""
    y = _unbiased(x, kernel, stride)
    return y if bias is None else add_bias(y, bias)


def _unbiased(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    if kernel.shape[:2] == (3, 3):
        if stride == 1:
            return conv3(x, kernel)
        if stride == 2 and x.shape[1] % 2 == x.shape[2] % 2 == 0:
            return halving_conv3(x, kernel)
    return convolve(x, kernel, (stride, stride), "SAME")
