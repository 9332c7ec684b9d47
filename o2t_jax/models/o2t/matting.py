"""Alpha matting, without parameters: from a mask of an object to the share of each pixel that the object covers.

A pixel on a rim is a mixture I = a F + (1 - a) B of the object's colour F just inside and the background B just outside
(Porter & Duff 1984; Smith & Blinn 1996). Where a mask is certain on both sides, F and B are local means of the picture,
and a follows in closed form. The mask tower therefore needs only to find the object. Its own soft edge, trained with
one colour per object, loses a rim that is brighter than the rest, which biases the centroid
(docs/notes/identifiability.md).
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.models.ops import separable

SIGMA_PX = 1.0
FINE_SIGMA_PX, FINE_ROUNDS = 0.6, 2
# Exponent of the mask, so that only pixels wholly inside or outside count; a half covered one weighs 1.5e-5.
SURENESS = 16
_MIN_WEIGHT = 1e-4
_MIN_CONTRAST = 1e-4


def gaussian_blur(maps: jax.Array, sigma: float = SIGMA_PX) -> jax.Array:
    """Gaussian mean of `maps` [..., H, W] over H and W, zero beyond the border."""
    reach = math.ceil(2.5 * sigma)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return separable(maps, taps / taps.sum())


def coverage(mask: jax.Array, pictures: jax.Array, sigma: float = SIGMA_PX) -> jax.Array:
    """The share of each pixel that the object covers.

    Args: `mask` [..., H, W] in 0..1 of the object; `pictures` float32 [..., H, W, 3] in 0..1; `sigma` px, distance from
    the rim of "just inside" and "just outside": at least the largest error of the mask's edge.
    Returns: [..., H, W] in 0..1: the mixing share on the rim, and the mask's own decision (0 or 1) away from it.
    """
    planes = jnp.moveaxis(pictures, -1, 0)
    sure = jnp.stack([mask**SURENESS, (1.0 - mask) ** SURENESS])
    # [colours and weight, sides, ...]
    summed = gaussian_blur(jnp.concatenate([planes[:, None] * sure, sure[None]]), sigma)
    inner, outer = jnp.moveaxis(summed[:3] / (summed[3:] + 1e-9), 1, 0)
    contrast = inner - outer
    share = jnp.sum((planes - outer) * contrast, axis=0)
    share = share / jnp.maximum(jnp.sum(contrast * contrast, axis=0), _MIN_CONTRAST)
    rim = jnp.all(summed[3] > _MIN_WEIGHT, axis=0)
    return jnp.where(rim, jnp.clip(share, 0.0, 1.0), (mask > 0.5).astype(mask.dtype))


def shrink(maps: jax.Array, factor: int) -> jax.Array:
    """Area mean of `maps` [..., H, W, C] over squares of `factor` px, which must divide H and W."""
    *lead, h, w, c = maps.shape
    return maps.reshape(*lead, h // factor, factor, w // factor, factor, c).mean(axis=(-4, -2))


def coverage_through_scales(mask: jax.Array, pictures: jax.Array) -> jax.Array:
    """As `coverage`, for `pictures` [..., H, W, 3] that are 2^n times as large as their `mask` [..., h, w].

    A mask's edge is uncertain by one of its own pixels. Matting therefore proceeds through scales, each twice as large
    as the previous one, and its result on one scale is the mask on the next. On the last scale it looks nearer to the
    rim (`FINE_SIGMA_PX`), which loses less of a side that brightens towards the rim; several rounds correct the mask's
    edge.
    Returns: [..., H, W] in 0..1. Raises: ValueError if no power of two relates the sizes.
    """
    factor = pictures.shape[-2] // mask.shape[-1]
    if (factor * mask.shape[-2], factor * mask.shape[-1]) != pictures.shape[-3:-1] or factor & (factor - 1):
        raise ValueError(f"pictures {pictures.shape[-3:-1]} are not 2^n times as large as the mask {mask.shape[-2:]}")
    while factor > 1:
        mask = coverage(mask, shrink(pictures, factor))
        factor //= 2
        mask = jax.image.resize(mask, (*mask.shape[:-2], 2 * mask.shape[-2], 2 * mask.shape[-1]), "linear")
    for _ in range(FINE_ROUNDS):
        mask = coverage(mask, pictures, FINE_SIGMA_PX)
    return mask
