"""The operations of the networks in plain JAX: the form that GPUs and TPUs run, and the reference for readers.

Maps are [B, H, W, C], kernels [k, k, C, D]. Results have the inputs' type; sums over a map are at least float32.

XLA:CPU compiles some of these forms badly. `o2t_jax.models.cpu` holds others with the same values. `use("cpu")` selects
them for the process, once, where the devices are started; `using("cpu")` selects them for a block. The choice is part
of JAX's cache keys, so a jitted function is traced again for the other form.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from o2t_jax.models import scans

EPSILON = 1e-6  # added to a variance
NUM_INPUTS = 4
INPUT_CHANNELS = 23
# ITU-R BT.601 luma.
GREY = (0.299, 0.587, 0.114)
FORMS = ("plain", "cpu")
# The operations by name; a form may replace any of them.
OPS: dict[str, Callable] = {}

_form = jax.make_user_context("plain")
_P = ParamSpec("_P")
_R = TypeVar("_R")


def use(form: str) -> None:
    """Installs one of `FORMS` for the whole process."""
    _twins(form)
    _form.set_global(form)


@contextlib.contextmanager
def using(form: str) -> Iterator[None]:
    """Installs a form for a block, in this thread."""
    _twins(form)
    with _form(form):
        yield


def form() -> str:
    """The installed form."""
    return _form.value


def form_for(platform: str) -> str:
    """The form that is fast on a platform (named as `jax.default_backend` names it)."""
    return "cpu" if platform == "cpu" else "plain"


@functools.cache
def _twins(form: str) -> Mapping[str, Callable]:
    if form == "plain":
        return {}
    if form == "cpu":
        from o2t_jax.models.cpu import TWINS

        return TWINS
    raise ValueError(f"form={form!r} is unknown: choose one of {', '.join(FORMS)}")


def _op(plain: Callable[_P, _R]) -> Callable[_P, _R]:
    """The operation of this name in the installed form; `plain` if the form has none of its own."""

    @functools.wraps(plain)
    def chosen(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        return _twins(_form.value).get(plain.__name__, plain)(*args, **kwargs)

    OPS[plain.__name__] = chosen
    return chosen


def at_least_float32(x: jax.Array) -> jax.Array:
    """`x` as float32, or unchanged if it is wider."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


# Convolutions.


@_op
def conv(x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None, stride: int = 1) -> jax.Array:
    """'Same' convolution: `x` [B, H, W, C], `kernel` [k, k, C, D], `bias` [D] -> [B, H/stride, W/stride, D]."""
    strides, layout = (stride, stride), ("NHWC", "HWIO", "NHWC")
    y = lax.conv_general_dilated(x, kernel, strides, "SAME", dimension_numbers=layout)
    return y if bias is None else y + bias


@_op
def upsample_conv(
    x: jax.Array, beside: Sequence[jax.Array], kernel: jax.Array, bias: jax.Array | None = None
) -> jax.Array:
    """A decoder's upsampling: convolution of `x` enlarged by two, concatenated with maps of that size.

    Args: `x` [B, H, W, C]; `beside` [B, 2H, 2W, C_i] each; `kernel` [3, 3, C + sum of C_i, D]. -> [B, 2H, 2W, D].
    """
    return conv(jnp.concatenate([upsample(x), *beside], axis=-1), kernel, bias)


def upsample(x: jax.Array) -> jax.Array:
    """Nearest-neighbour enlargement by two: [B, H, W, C] -> [B, 2H, 2W, C]."""
    b, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None, :], (b, h, 2, w, 2, c)).reshape(b, 2 * h, 2 * w, c)


# Normalisation, residual block, attention.


@_op
def group_norm(x: jax.Array, scale: jax.Array, shift: jax.Array, groups: int, silu: bool = False) -> jax.Array:
    """GroupNorm (Wu & He 2018) of `x` [B, H, W, C], with SiLU after it if `silu`; `scale`, `shift` [C]."""
    b, h, w, c = x.shape
    full = at_least_float32(x).reshape(b, h * w, groups, c // groups)
    mean = jnp.mean(full, axis=(1, 3), keepdims=True)
    variance = jnp.mean(jnp.square(full - mean), axis=(1, 3), keepdims=True)
    y = ((full - mean) * lax.rsqrt(variance + EPSILON)).reshape(b, h, w, c) * scale + shift
    return (jax.nn.silu(y) if silu else y).astype(x.dtype)


class NormConv(NamedTuple):
    """Parameters of GroupNorm, SiLU and a 3x3 convolution: `kernel` [3, 3, C, C], the others [C]."""

    scale: jax.Array
    shift: jax.Array
    kernel: jax.Array
    bias: jax.Array


Block = tuple[NormConv, NormConv]


@_op
def res_blocks(x: jax.Array, bias: jax.Array | None, blocks: Sequence[Block], groups: int) -> jax.Array:
    """Residual blocks, each x + (GroupNorm, SiLU, 3x3 convolution) twice: `x` [B, H, W, C] -> the same shape.

    `bias` [C] is that of the preceding convolution, if it is not yet added to `x`.
    """
    x = x if bias is None else x + bias
    for block in blocks:
        y = x
        for part in block:
            y = conv(group_norm(y, part.scale, part.shift, groups, silu=True), part.kernel, part.bias)
        x = x + y
    return x


@_op
def attention(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """Scaled dot-product attention (Vaswani et al. 2017): [B, N, heads, D] each -> [B, N, heads, D]."""
    scores = at_least_float32(jnp.einsum("bqhd,bkhd->bhqk", query, key)) * query.shape[-1] ** -0.5
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores).astype(value.dtype), value)


# The network's input of 23 channels, and the rotation of its latent.


def input_channels(pictures: jax.Array, para_maps: jax.Array) -> jax.Array:
    """The 23 input channels (O2T guide, 'Input') at the pictures' size.

    Args: `pictures` [B, 4, H, W, 3] in 0..1; `para_maps` [B, 5, h, w], enlarged bilinearly. -> [B, H, W, 23]: (RGB,
    PARA) of pictures 1..4, PARA5, then grey differences of the pairs 12, 13, 14, 23, 24, 34.
    """
    height, width = pictures.shape[2:4]
    maps = enlarge(para_maps, height, width)[..., None]
    grey = jnp.einsum("bphwc,c->bphw", pictures, jnp.asarray(GREY, pictures.dtype))[..., None]
    parts = []
    for i in range(NUM_INPUTS):
        parts += [pictures[:, i], maps[:, i]]
    parts.append(maps[:, NUM_INPUTS])
    parts += [grey[:, j] - grey[:, i] for i, j in combinations(range(NUM_INPUTS), 2)]
    return jnp.concatenate(parts, axis=-1)


def enlarge(maps: jax.Array, height: int, width: int) -> jax.Array:
    """`maps` [B, P, h, w] -> [B, P, height, width], bilinearly."""
    return jax.image.resize(maps, (*maps.shape[:2], height, width), "bilinear")


@_op
def stem(pictures: jax.Array, para_maps: jax.Array, kernel: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """3x3 convolution of `input_channels`, of the kernel's type: `kernel` [3, 3, 23, D] -> [B, H, W, D]."""
    wide = jnp.promote_types(pictures.dtype, kernel.dtype)
    channels = input_channels(pictures.astype(wide), para_maps.astype(wide))
    return conv(channels.astype(kernel.dtype), kernel, bias)


@_op
def cayley(skew: jax.Array) -> jax.Array:
    """(I + A)^-1 (I - A) of a skew-symmetric A [D, D]: a rotation (Cayley 1846)."""
    eye = jnp.eye(skew.shape[0], dtype=skew.dtype)
    return jnp.linalg.solve(eye + skew, eye - skew)


# Sequences.


@_op
def selective_scan(x: jax.Array, step: jax.Array, b: jax.Array, c: jax.Array, rate: jax.Array) -> jax.Array:
    """A selective state-space recurrence over time, see `models.scans`: -> [B, T, E].

    Args: `x`, `step` [B, T, E]; `b`, `c` [B, T, N]; `rate` [N, E] or [N, 1], negative.
    """
    return scans.associative(x, step, b, c, rate)


# Pictures.


def bilinear_places(pixels: jax.Array, height: int, width: int) -> tuple[jax.Array, ...]:
    """Indices and weights of bilinear sampling at `pixels` [B, N, 2] (u, v).

    Returns: `x0`, `y0` int32 [B, N], the top left of four neighbours; `fx`, `fy` [B, N], weights of the right and the
    lower ones; `inside` [B, N], False where a neighbour is missing.
    """
    u, v = pixels[..., 0] - 0.5, pixels[..., 1] - 0.5
    inside = (u > -0.5) & (u < width - 0.5) & (v > -0.5) & (v < height - 0.5)
    x, y = jnp.clip(u, 0.0, width - 1.0), jnp.clip(v, 0.0, height - 1.0)
    x0 = jnp.clip(jnp.floor(x), 0, width - 2).astype(jnp.int32)
    y0 = jnp.clip(jnp.floor(y), 0, height - 2).astype(jnp.int32)
    return x0, y0, x - x0, y - y0, inside


@_op
def bilinear(maps: jax.Array, pixels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Samples `maps` [B, H, W, C] at `pixels` [B, ..., 2] (u, v).

    Returns: values [B, ..., C] (clamped at the border) and `inside` [B, ...], False where a neighbour is missing.
    """
    b, h, w, c = maps.shape
    x0, y0, fx, fy, inside = bilinear_places(pixels.reshape(b, -1, 2), h, w)
    flat = maps.reshape(b, h * w, c)

    def at(row: int, column: int) -> jax.Array:
        return jnp.take_along_axis(flat, ((y0 + row) * w + x0 + column)[..., None], axis=1)

    fx, fy = fx[..., None], fy[..., None]
    upper = (1 - fx) * at(0, 0) + fx * at(0, 1)
    lower = (1 - fx) * at(1, 0) + fx * at(1, 1)
    values = (1 - fy) * upper + fy * lower
    return values.reshape(*pixels.shape[:-1], c), inside.reshape(pixels.shape[:-1])


@_op
def separable(maps: jax.Array, taps: np.ndarray) -> jax.Array:
    """Both axes of `maps` [..., H, W] filtered by `taps` (an odd number, symmetric), zero beyond the border."""
    column = jnp.asarray(taps, maps.dtype).reshape(-1, 1, 1, 1)
    y = maps.reshape(-1, *maps.shape[-2:], 1)
    for kernel in (column, jnp.swapaxes(column, 0, 1)):
        y = lax.conv_general_dilated(
            y, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), precision=lax.Precision.HIGHEST
        )
    return y.reshape(maps.shape)
