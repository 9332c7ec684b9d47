"""One scan for every dynamics core: steps a batch of states, with a number of steps per sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from o2t_jax.types import PyTree

Core = Callable[[Any, Any, Any, Any], Any]
"""`core(state, action, dt, context) -> state`: one step of a batch, pure.

State, action and context are pytrees of arrays [B, ...], or None; `dt` s is one number for all samples, or one for each
sample [B].
"""


def unroll(
    core: Core,
    state: PyTree,
    actions: PyTree,
    dt: Any,
    context: PyTree = None,
    lengths: jax.Array | None = None,
    *,
    steps: int | None = None,
) -> tuple[PyTree, PyTree]:
    """Applies `core` once for each action, sample b at most `lengths[b]` times.

    Args:
      core: see `Core`.
      state: pytree of arrays [B, ...].
      actions: pytree of arrays [B, T, ...], the t-th held for step t; or None, with `steps` = T.
      dt: s, given to the core unchanged.
      context: values that hold for the whole sequence; given to the core unchanged.
      lengths: int32 [B], each in 0..T; None for T. A sample keeps its last state from then on; no gradient passes
        through the steps it did not take, whatever their actions contain.
      steps: T, static, so that one compilation serves all lengths; only if there are no actions.
    Returns: the last states [B, ...], and the trajectory [B, T, ...]: the states after each step (not the first one).
    """
    if (actions is None) == (steps is None):
        raise ValueError("give either actions [B, T, ...] or, if there are none, steps=T")
    by_time = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), actions)
    count = jax.tree.leaves(by_time)[0].shape[0] if steps is None else steps

    def body(now: PyTree, step: tuple[jax.Array, PyTree]) -> tuple[PyTree, PyTree]:
        index, action = step
        if lengths is None:
            after = core(now, action, dt, context)
            return after, after

        def chosen(new: jax.Array, old: Any) -> jax.Array:
            return jnp.where(expand(index < lengths, new), new, old)

        # Padding of actions may be NaN, which a mask after the core would let into gradients.
        known = jax.tree.map(lambda x: chosen(x, jnp.zeros_like(x)), action)
        after = jax.tree.map(chosen, core(now, known, dt, context), now)
        return after, after

    last, trajectory = jax.lax.scan(body, state, (jnp.arange(count), by_time))
    return last, jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), trajectory)


def expand(each: Any, like: jax.Array) -> jax.Array:
    """`each` [] or [B] (one number per sample, as dt) with trailing axes of size one; broadcasts over `like` [B, ...].

    With `like` [B, D] a core multiplies by `expand(dt, like)`, whichever of the two dt is.
    """
    each = jnp.asarray(each)
    return each.reshape(each.shape + (1,) * (like.ndim - 1)) if each.ndim else each


__all__ = ["Core", "expand", "unroll"]
