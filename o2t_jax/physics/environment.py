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

    Attributes: `name`; `action_size`, the length of an action vector; `order`, that of convergence as dt goes to 0
    (higher where a law allows it); `max_dt` s, the longest step it is meant for; `duration` s, how long after a reset
    its motion is what the world is for; `energy_jumps`, the events at which
    the energy may change without an action (nowhere else); `params`, the default parameters, a pytree that every method
    takes and that gradients may be taken by.
    """

    @property
    def name(self) -> str: ...

    @property
    def action_size(self) -> int: ...

    @property
    def order(self) -> int: ...

    @property
    def max_dt(self) -> float: ...

    @property
    def duration(self) -> float: ...

    @property
    def energy_jumps(self) -> tuple[str, ...]: ...

    @property
    def params(self) -> PyTree: ...

    def reset(self, key: jax.Array, params: PyTree) -> PyTree:
        """A random initial state."""
        ...

    def step(self, state: PyTree, action: Array, dt: Any, params: PyTree) -> PyTree:
        """The state `dt` s later, under `action` [action_size]; all zeros is to do nothing."""
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
