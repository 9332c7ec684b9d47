"""An optimiser over one vector instead of hundreds of small arrays, which compiles to few kernels.

`optax.flatten` joins the arrays too. Its way back, a slice for each array, is a kernel for each array: XLA shares one
among operations that are equal to the last constant, and where a slice begins is a constant. Here it is data.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from o2t_jax.trees import by_shape, joined
from o2t_jax.types import Array, PyTree


class FlatState(NamedTuple):
    """State of `flatten`.

    Attributes: `inner`, of the optimiser within; `ranks`, the numbers 0, 1, 2, ... as int32 [] each: an array's place
    among those of its shape. They never change. As constants XLA would compile each array's slice anew.
    """

    inner: Any
    ranks: tuple[Array, ...]


def flatten(inner: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """`inner` on a tree's arrays laid end to end, those of one shape together; use it as `optax.flatten`.

    Args: `inner`, which must treat all numbers alike: what scales an array by its own norm would take all for one.
    Returns: a transformation of trees with at least one array, all of one dtype.
    """
    inner = optax.with_extra_args_support(inner)

    def init(params: PyTree) -> FlatState:
        groups = by_shape(params)
        ranks = tuple(jnp.asarray(i, jnp.int32) for i in range(max(map(len, groups))))
        return FlatState(inner.init(joined(params)), ranks)

    def update(
        updates: PyTree, state: FlatState, params: PyTree | None = None, **extra: Any
    ) -> tuple[PyTree, FlatState]:
        groups = by_shape(updates)
        known = None if params is None else joined(params)
        flat, inner_state = inner.update(joined(updates), state.inner, known, **extra)
        leaves, structure = jax.tree.flatten(updates)
        begin = 0
        for group in groups:
            shape = leaves[group[0]].shape
            for rank, place in zip(state.ranks, group, strict=False):
                leaves[place] = _cut(flat, rank, begin, shape)
            begin += math.prod(shape) * len(group)
        return jax.tree.unflatten(structure, leaves), FlatState(inner_state, state.ranks)

    return optax.GradientTransformationExtraArgs(init, update)


def clip_by_norm(limit: float) -> optax.GradientTransformation:
    """`optax.clip_by_global_norm`, by a factor: a vector that is divided is one that XLA:CPU stores and reads again."""

    def update(updates: PyTree, state: optax.EmptyState, params: PyTree | None = None) -> tuple[PyTree, Any]:
        del params
        norm = optax.tree.norm(updates)
        factor = jnp.where(norm < limit, 1.0, limit / norm)
        return jax.tree.map(lambda x: x * factor.astype(x.dtype), updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


@partial(jax.jit, static_argnums=(2, 3))
def _cut(flat: Array, rank: Array, begin: int, shape: tuple[int, ...]) -> Array:
    """The array number `rank` of those of `shape` that lie from `begin` on."""
    size = math.prod(shape)
    return jax.lax.dynamic_slice(flat, (begin + rank * size,), (size,)).reshape(shape)
