"""Inputs for the networks of cores on vectors."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.physics.environment import Layout
from o2t_jax.types import PyTree


def features(layout: Layout, state: jax.Array, scale: tuple[float, ...] = ()) -> jax.Array:
    """`state` [B, size] as numbers for a network: cosine and sine of each angle, all other entries over their `scale`.

    Args: `scale`, the typical size of each entry, in its unit; empty: 1 each.
    """
    angles = list(layout.angles)
    rest = [i for i in range(layout.size) if i not in layout.angles]
    turned = state[:, angles]
    others = state[:, rest] / sizes(layout, scale)[jnp.asarray(rest, int)] if scale else state[:, rest]
    return jnp.concatenate([others, jnp.cos(turned), jnp.sin(turned)], axis=-1)


def sizes(layout: Layout, scale: tuple[float, ...]) -> jax.Array:
    """The typical size of each entry [layout.size]: `scale`, or ones where it is empty.

    Raises: ValueError where it has another length or an entry not above 0.
    """
    if scale and (len(scale) != layout.size or min(scale) <= 0):
        raise ValueError(f"scale={scale}: give {layout.size} numbers above 0, one for each entry of the state")
    return jnp.asarray(np.asarray(scale or (1.0,) * layout.size, np.float32))


def joined(batch: int, *parts: PyTree) -> jax.Array:
    """All leaves of all parts, each [B, ...] or [] (the same for all), as one array [B, F]; None has no leaves."""

    def rows(leaf: Any) -> jax.Array:
        leaf = jnp.asarray(leaf, jnp.float32) if jnp.ndim(leaf) == 0 else jnp.asarray(leaf)
        return jnp.broadcast_to(leaf, (batch,))[:, None] if leaf.ndim < 2 else leaf.reshape(batch, -1)

    return jnp.concatenate([rows(leaf) for leaf in jax.tree.leaves(parts)], axis=-1)


__all__ = ["features", "joined", "sizes"]
