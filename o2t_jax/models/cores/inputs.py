"""Inputs for the networks of cores on vectors."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from o2t_jax.physics.environment import Layout
from o2t_jax.types import PyTree


def features(layout: Layout, state: jax.Array) -> jax.Array:
    """`state` [B, size] as numbers for a network: cosine and sine of each angle, all other entries unchanged."""
    angles = list(layout.angles)
    rest = [i for i in range(layout.size) if i not in layout.angles]
    turned = state[:, angles]
    return jnp.concatenate([state[:, rest], jnp.cos(turned), jnp.sin(turned)], axis=-1)


def joined(batch: int, *parts: PyTree) -> jax.Array:
    """All leaves of all parts, each [B, ...] or [] (the same for all), as one array [B, F]; None has no leaves."""

    def rows(leaf: Any) -> jax.Array:
        leaf = jnp.asarray(leaf, jnp.float32) if jnp.ndim(leaf) == 0 else jnp.asarray(leaf)
        return jnp.broadcast_to(leaf, (batch,))[:, None] if leaf.ndim < 2 else leaf.reshape(batch, -1)

    return jnp.concatenate([rows(leaf) for leaf in jax.tree.leaves(parts)], axis=-1)


__all__ = ["features", "joined"]
