"""From where something is to how much of each pixel it covers: alpha matting, without parameters.

A pixel on a rim is a mixture I = a F + (1 - a) B of the thing's colour F just inside and the background B just outside
(Porter & Duff 1984; Smith & Blinn 1996). Where a mask is sure of either side, F and B are local means of the picture
itself, and a follows in closed form. The mask tower need therefore only find the thing: its own soft edge, trained with
one colour a thing, loses a rim that is brighter than the rest, and the centroid with it (BENCHMARKS.md).
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp

SIGMA_PX = 1.0
# Of the mask, so that only pixels wholly in or out count; a half covered one weighs 1.5e-5.
SURENESS = 16
_MIN_WEIGHT = 1e-4
_MIN_CONTRAST = 1e-4


def gaussian_blur(maps: jax.Array, sigma: float = SIGMA_PX) -> jax.Array:
    """Gaussian mean of `maps` [..., H, W, C] over H and W, zero beyond the border."""
    reach = math.ceil(2.5 * sigma)
    taps = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(-reach, reach + 1)]
    total = sum(taps)
    for axis in (-3, -2):
        pad = [(0, 0)] * maps.ndim
        pad[axis] = (reach, reach)
        padded, size = jnp.pad(maps, pad), maps.shape[axis]
        # Shifts and sums fuse into one pass; a convolution with one channel a group does not, on CPU.
        shifted = [jax.lax.slice_in_dim(padded, i, i + size, axis=axis % maps.ndim) for i in range(len(taps))]
        maps = functools.reduce(jnp.add, [(tap / total) * x for tap, x in zip(taps, shifted, strict=True)])
    return maps


def _local_colour(pictures: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Weighted local mean colour [..., H, W, 3] and the local weight [..., H, W]."""
    weight = weight[..., None]
    summed = gaussian_blur(jnp.concatenate([pictures * weight, weight], axis=-1))
    return summed[..., :3] / (summed[..., 3:] + 1e-9), summed[..., 3]


def coverage(mask: jax.Array, pictures: jax.Array) -> jax.Array:
    """How much of each pixel the thing covers.

    Args: `mask` [..., H, W] in 0..1, where it is; `pictures` float32 [..., H, W, 3] in 0..1.
    Returns: [..., H, W] in 0..1: the mixing share on the rim, and the mask's own decision (0 or 1) away from it.
    """
    inner, near_inner = _local_colour(pictures, mask**SURENESS)
    outer, near_outer = _local_colour(pictures, (1.0 - mask) ** SURENESS)
    contrast = inner - outer
    share = jnp.sum((pictures - outer) * contrast, axis=-1)
    share = share / jnp.maximum(jnp.sum(contrast * contrast, axis=-1), _MIN_CONTRAST)
    rim = (near_inner > _MIN_WEIGHT) & (near_outer > _MIN_WEIGHT)
    return jnp.where(rim, jnp.clip(share, 0.0, 1.0), (mask > 0.5).astype(mask.dtype))
