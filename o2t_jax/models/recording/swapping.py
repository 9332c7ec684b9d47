"""The mask tower of one film, and the losses by which it learns to see without labels.

The tower of O2T (`models.o2t.mask_tower`) gets the picture and its difference from the background that stands still. It
is trained by swaps: the masked object of one frame, laid over the background of another where that frame's object is,
must look like that frame (`object_swap`). A mask that leaves out a part of the object, because the background happens
to have its colour there, fails before another background, so the shape is learned over the whole film. O2T's own
`swap_loss` (one object of one colour before the background) is the start.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from o2t_jax.models import ops
from o2t_jax.models.o2t.mask_tower import MaskTower, swap_loss

DIFFERS = 0.1  # distance in colour (0..1 a channel) from the background: the tracker's least seed
Crops = Float[Array, "crops H W 3"]
Masks = Float[Array, "crops H W"]


class FilmTower(nn.Module):
    """Crops of a film and of its background -> the moving object's mask, 0..1.

    Attributes: `start`, by how much the logits of pixels that differ from the background begin above 0, and of those
    that do not, below. A crop needs none; in a whole picture a small object would be lost among all that stands still.
    """

    features: int = 16
    start: float = 0.0

    @nn.compact
    def __call__(self, crops: Crops, still: Crops) -> Masks:
        """`crops` and `still` in 0..1; H and W are multiples of 4."""
        change = crops - still
        inputs = jnp.concatenate([crops, jnp.clip(2.0 * change + 0.5, -0.5, 1.5)], axis=-1)
        far = jnp.sqrt(jnp.sum(jnp.square(change), axis=-1) + 1e-6)
        begun = self.start * jnp.clip(far / DIFFERS - 1.0, -1.0, 1.0)
        return jax.nn.sigmoid(begun + MaskTower(self.features, name="tower")(inputs))


def window(side: int, reach: float) -> np.ndarray:
    """Weights [S, S] of a crop: 1 within 0.75 `reach` px of its middle, falling to 0 at `reach`: others move there."""
    at = np.arange(side) - 0.5 * (side - 1)
    away = np.hypot(at, at[:, None]) / reach
    return np.clip((1.0 - away) / 0.25, 0.0, 1.0).astype(np.float32)


def centres(mask: Masks) -> Float[Array, "crops 2"]:
    """Centroids (x, y) px, from the middle of the first pixel."""
    down, right = (jnp.arange(size, dtype=mask.dtype) for size in mask.shape[1:])
    total = jnp.sum(mask, axis=(1, 2)) + 1e-6
    return jnp.stack([jnp.sum(mask, axis=1) @ right / total, jnp.sum(mask, axis=2) @ down / total], axis=-1)


def moved(maps: Float[Array, "crops H W c"], shift: Float[Array, "crops 2"]) -> Float[Array, "crops H W c"]:
    """`maps` moved by `shift` (x, y) px, bilinear; the border is repeated."""
    right, down = (jnp.arange(maps.shape[axis], dtype=maps.dtype) + 0.5 for axis in (2, 1))
    grid = jnp.stack(jnp.meshgrid(right, down), axis=-1)
    return ops.bilinear(maps, grid - shift[:, None, None])[0]


def object_swap(
    mask: Masks, crops: Crops, others: tuple[Masks, Crops], still: Crops, weight: Any
) -> Float[Array, " crops"]:
    """Error of explaining each crop as its background with the object of another frame over it.

    Args: `mask` of `crops`; `others`, mask and crops of the other frames; `still`, the background of `crops`; `weight`
    [H, W] of pixels. Returns: mean squared error of each crop. The gradient reaches both masks: what is laid over, and
    by its centroid where.
    """
    other_mask, other_crops = others
    shift = centres(mask) - centres(other_mask)
    layers = moved(jnp.concatenate([other_crops, other_mask[..., None]], axis=-1), shift)
    share = layers[..., 3:]
    error = still + share * (layers[..., :3] - still) - crops
    return jnp.mean(jnp.square(error) * weight[..., None], axis=(1, 2, 3))


def film_loss(
    tower: FilmTower, params: Any, crops: Crops, still: Crops, weight: Any, plain: Any, area: float
) -> jax.Array:
    """The mean loss of a batch, in units of the picture's mean squared change: it does not depend on the contrast.

    Args: `weight` [H, W], see `window`; `plain` [], the weight of the one-colour swap; `area`, what a pixel of the mask
    costs, as a share of the mean change: nothing else speaks against a mask where backgrounds are alike.
    """
    mask = tower.apply({"params": params}, crops, still) * weight
    scale = jnp.mean(jnp.square(crops - still) * weight[..., None]) + 1e-6
    others = jnp.roll(mask, 1, axis=0), jnp.roll(crops, 1, axis=0)
    swap = jnp.mean(object_swap(mask, crops, others, still, weight))
    near = still + weight[..., None] * (crops - still)
    one = jnp.mean(swap_loss(mask[:, None], near[:, None], still[:, None]))
    return (swap + plain * one) / scale + area * jnp.mean(mask)


__all__ = ["FilmTower", "centres", "film_loss", "moved", "object_swap", "window"]
