"""Trees of arrays as one vector, always in the same order: XLA then joins a tree's arrays once for all who ask."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp

from o2t_jax.types import Array, PyTree


def by_shape(tree: PyTree) -> list[list[int]]:
    """Places of the tree's leaves, those of one shape together."""
    leaves = jax.tree.leaves(tree)
    order = sorted(range(len(leaves)), key=lambda place: leaves[place].shape)
    return [list(group) for _, group in itertools.groupby(order, key=lambda place: leaves[place].shape)]


def joined(tree: PyTree) -> Array:
    """The tree's arrays laid end to end in the order of `by_shape`: float [N]."""
    leaves = jax.tree.leaves(tree)
    return jnp.concatenate([leaves[place].ravel() for group in by_shape(tree) for place in group])
