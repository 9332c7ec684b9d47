"""What a simulated world offers to whoever learns from it or acts in it.

A new world is one file in `physics/envs/` and one line in its registry; `tests/physics/test_environments.py` then holds
it to this contract: it jits, it can be batched, halving the step converges to the stated order, energy is conserved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import jax

from o2t_jax.types import Array, PyTree


class Environment(Protocol):
    """A world as pure functions; every method may be jitted and batched with `jax.vmap`.

    Attributes: `name`; `action_size`, the length of an action vector (0: nothing to do); `order`, that of convergence
    as dt goes to 0; `max_dt` s, the longest step it is meant for; `energy_jumps`, the events at which the energy
    may change (nowhere else); `params`, the default parameters, a pytree that every method takes and that gradients may
    be taken by.
    """

    name: str
    action_size: int
    order: int
    max_dt: float
    energy_jumps: tuple[str, ...]

    @property
    def params(self) -> PyTree: ...

    def reset(self, key: jax.Array, params: PyTree) -> PyTree:
        """A random initial state."""
        ...

    def step(self, state: PyTree, action: Array, dt: Any, params: PyTree) -> PyTree:
        """The state `dt` s later; `action` [action_size] is held meanwhile."""
        ...

    def energy(self, state: PyTree, params: PyTree) -> Array:
        """Energy [K] of the K bodies (per unit mass where their masses do not matter)."""
        ...

    def events(self, state: PyTree, params: PyTree) -> Mapping[str, Array]:
        """How often [K] each named thing happened in the step that led to `state`."""
        ...

    def observe(self, state: PyTree, params: PyTree) -> Array:
        """The state as one vector [D]."""
        ...


def rollout(env: Environment, state: PyTree, actions: Array, dt: Any, params: PyTree) -> PyTree:
    """States after each of `actions` [T, action_size], stacked along a leading axis T."""

    def body(now: PyTree, action: Array) -> tuple[PyTree, PyTree]:
        after = env.step(now, action, dt, params)
        return after, after

    return jax.lax.scan(body, state, actions)[1]


__all__ = ["Environment", "rollout"]
