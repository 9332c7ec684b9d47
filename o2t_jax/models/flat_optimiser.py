"""Adam over one vector instead of hundreds of small arrays, which compiles to few kernels.

`optax.flatten` joins the arrays too. Its way back, a slice for each array, is a kernel for each array: XLA shares one
among operations that are equal to the last constant, and where a slice begins is a constant. Here it is data. And what
is cut out are the moments, not the update: that would be one more vector written and read again.
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
    """State of `flat_adam`.

    Attributes: `adam`, its moments one vector each; `ranks`, the numbers 0, 1, 2, ... as int32 [] each: an array's
    place among those of its shape. They never change. As constants XLA would compile each array's slice anew.
    """

    adam: Any
    ranks: tuple[Array, ...]


def flat_adam(clip: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> optax.GradientTransformation:
    """`optax.clip_by_global_norm(clip)` and then `optax.scale_by_adam`, the moments one vector each (Kingma & Ba 2015).

    Takes trees with at least one array, all of one dtype.
    """
    scaling = optax.scale_by_adam(b1=b1, b2=b2, eps=eps)

    def init(params: PyTree) -> FlatState:
        groups = by_shape(params)
        ranks = tuple(jnp.asarray(i, jnp.int32) for i in range(max(map(len, groups))))
        return FlatState(scaling.init(joined(params)), ranks)

    def update(updates: PyTree, state: FlatState, params: PyTree | None = None) -> tuple[PyTree, FlatState]:
        del params
        adam: Any = scaling.update(clip_by_norm(joined(updates), clip), state.adam)[1]
        corrections = 1.0 - b1**adam.count, 1.0 - b2**adam.count
        leaves, structure = jax.tree.flatten(updates)
        begin = 0
        for group in by_shape(updates):
            shape = leaves[group[0]].shape
            for rank, place in zip(state.ranks, group, strict=False):
                leaves[place] = _direction(adam.mu, adam.nu, corrections, rank, begin, shape, eps)
            begin += math.prod(shape) * len(group)
        return jax.tree.unflatten(structure, leaves), FlatState(adam, state.ranks)

    return optax.GradientTransformation(init, update)


@partial(jax.jit, static_argnums=(4, 5, 6))
def _direction(
    mu: Array, nu: Array, corrections: tuple[Array, Array], rank: Array, begin: int, shape: tuple[int, ...], eps: float
) -> Array:
    """Adam's update of the array number `rank` of those of `shape` that lie from `begin` on."""
    size = math.prod(shape)
    place = (begin + rank * size,)
    first, second = (
        jax.lax.dynamic_slice(moment, place, (size,)).reshape(shape) / correction.astype(moment.dtype)
        for moment, correction in zip((mu, nu), corrections, strict=True)
    )
    return first / (jnp.sqrt(second) + eps)


def clip_by_norm(updates: PyTree, limit: float) -> PyTree:
    """`optax.clip_by_global_norm`, by a factor: a vector that is divided is one that XLA:CPU stores and reads again."""
    norm = optax.tree.norm(updates)
    factor = jnp.where(norm < limit, 1.0, limit / norm)
    return jax.tree.map(lambda x: x * factor.astype(x.dtype), updates)
