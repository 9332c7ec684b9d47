"""The mask tower, which segments the moving object in one picture, and its loss.

Named prior (`moving, one colour`): the tower is trained to explain each picture of the left eye as its other one with
one object of a single colour drawn over it (`swap_loss`). It uses no true state.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from o2t_jax.models.layers import Conv, Dense


class MaskTower(nn.Module):
    """One picture -> coverage logits of the moving object; works at half and quarter resolution (space-to-depth)."""

    features: int = 16

    @nn.compact
    def __call__(self, pictures: jax.Array) -> jax.Array:
        """`pictures` float32 [N, H, W, 3] in 0..1 -> logits [N, H, W]."""
        fine = nn.silu(Conv(self.features, name="fine_1")(space_to_depth(pictures - 0.5)))
        coarse = nn.silu(Dense(2 * self.features, name="down")(space_to_depth(fine)))
        for i in (1, 2):
            coarse = coarse + nn.silu(Conv(2 * self.features, name=f"coarse_{i}")(coarse))
        fine = fine + depth_to_space(Dense(4 * self.features, name="up")(coarse))
        fine = nn.silu(Conv(self.features, name="fine_2")(fine))
        logits = Dense(4, bias_init=nn.initializers.constant(-2.0), name="out")(fine)
        return depth_to_space(logits)[..., 0]


def space_to_depth(x: jax.Array) -> jax.Array:
    """[N, H, W, C] -> [N, H/2, W/2, 4 C]: each 2 x 2 block becomes one pixel."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)


def depth_to_space(x: jax.Array) -> jax.Array:
    """The inverse of `space_to_depth`: [N, H, W, 4 C] -> [N, 2 H, 2 W, C]."""
    n, h, w, c = x.shape
    return x.reshape(n, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, c // 4)


def swap_loss(mask: jax.Array, pictures: jax.Array, others: jax.Array) -> jax.Array:
    """Error of explaining each picture as another of the same camera with one object of a single colour over it.

    Args: `mask` [B, P, H, W]; `pictures` float32 [B, P, H, W, 3] in 0..1; `others`, of the same shape, pictures of the
    same cameras at other times.
    Returns: [B], mean squared error over pictures, pixels and channels. The colour is the mean over the mask, weighted
    by each pixel's change: it needs no start value and no true colour.
    """
    change = jnp.sum(jnp.square(pictures - others), axis=-1)
    weight = jax.lax.stop_gradient(mask * change) + 1e-8
    colour = jnp.einsum("bphw,bphwc->bpc", weight, pictures) / jnp.sum(weight, axis=(-2, -1))[..., None]
    colour = colour[:, :, None, None, :]
    error = others + mask[..., None] * (colour - others) - pictures
    return jnp.mean(jnp.square(error), axis=(1, 2, 3, 4))
