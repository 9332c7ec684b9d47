"""The complete state of a training run between two steps, in one pytree."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from o2t_jax.types import Array, PyTree


class TrainState(struct.PyTreeNode):
    """The state of a run: a pytree of arrays, so that it can be jitted, donated, replicated and saved as it is.

    Attributes:
        step: int32 [], the number of updates made so far.
        params: the parameters trained by gradient.
        opt_state: the optax state for `params`.
        extra: arrays that a step changes without gradient: running means, averaged weights. A dict of dicts, or empty.
        key: uint32 [2], the run's random key. It never changes: a step's randomness is folded from `key`, `step`
            and the sample's index in the batch, so a resumed run draws the same numbers as an uninterrupted one.
    """

    step: Array
    params: PyTree
    opt_state: PyTree
    extra: PyTree
    key: Array

    @classmethod
    def create(
        cls, *, params: PyTree, tx: optax.GradientTransformation, key: Array, extra: PyTree | None = None
    ) -> TrainState:
        """State at step 0. `key` may be typed (`jax.random.key`) or raw; it is kept raw, so that it can be saved."""
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            key = jax.random.key_data(key)
        step = jnp.zeros((), jnp.int32)
        return cls(step=step, params=params, opt_state=tx.init(params), extra={} if extra is None else extra, key=key)


class Initial:
    """The state at step 0, traced once: shapes and values both need the trace, and a network takes seconds to trace.

    Args: `init(key) -> (params, extra)`; `tx`, the optimiser; `seeds`: one, or S of them for a state whose arrays have
    a leading axis [S], each slice equal to the state of that seed alone.
    """

    def __init__(
        self, init: Callable[[Array], tuple[PyTree, PyTree]], tx: optax.GradientTransformation, seeds: Sequence[int]
    ) -> None:
        def make(key: Array) -> TrainState:
            params, extra = init(key)
            return TrainState.create(params=params, tx=tx, key=key, extra=extra)

        keys = [jax.random.PRNGKey(seed) for seed in seeds]
        self._keys = keys[0] if len(keys) == 1 else jnp.stack(keys)
        self._traced = jax.jit(make if len(keys) == 1 else jax.vmap(make)).trace(self._keys)

    @functools.cached_property
    def shapes(self) -> TrainState:
        """The state with a `jax.ShapeDtypeStruct` for every array."""
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), self._traced.out_info)

    def make(self) -> TrainState:
        """The state, made by one program (eagerly it would be thousands of small ones).

        The program runs once, so on a CPU it is compiled without optimisation. With optimisation, its hundred random
        number generators take a CPU longer to compile than the train step.
        """
        options: dict[str, str | bool] = {"xla_backend_optimization_level": "0"}
        return self._traced.lower().compile(options if jax.default_backend() == "cpu" else None)(self._keys)


def of_seed(tree: PyTree, index: int) -> PyTree:
    """One seed's slice of a state, or of any tree whose arrays have a leading axis [S]."""
    return jax.tree.map(lambda x: x[index], tree)


def tree_bytes(tree: Any) -> int:
    """Bytes of all leaves of a tree of arrays, or of their `jax.ShapeDtypeStruct`s."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def tree_size(tree: Any) -> int:
    """Number of scalars in a tree of arrays, or of their `jax.ShapeDtypeStruct`s."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
