"""Bilinear sampling by one gather: on a CPU one of 4 C numbers is faster than four of C, for four times the memory."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from o2t_jax.models.ops import bilinear_places


def bilinear(maps: jax.Array, pixels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`ops.bilinear`."""
    b, h, w, c = maps.shape
    x0, y0, fx, fy, inside = bilinear_places(pixels.reshape(b, -1, 2), h, w)
    fx, fy = fx[..., None], fy[..., None]
    # The 2 x 2 neighbours side by side.
    right = jnp.concatenate([maps[:, :, 1:], maps[:, :, -1:]], axis=2)
    rows = jnp.concatenate([maps, right], axis=-1)
    below = jnp.concatenate([rows[:, 1:], rows[:, -1:]], axis=1)
    table = jnp.concatenate([rows, below], axis=-1).reshape(b, h * w, 4 * c)
    near = jnp.take_along_axis(table, (y0 * w + x0)[..., None], axis=1)
    weights = jnp.concatenate([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], axis=-1)
    values = jnp.sum(near.reshape(*near.shape[:2], 4, c) * weights[..., None], axis=2)
    return values.reshape(*pixels.shape[:-1], c), inside.reshape(pixels.shape[:-1])
