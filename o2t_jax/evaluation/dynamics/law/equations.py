"""What an equation of motion is here: the rate of change of an observed state, with named parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.config import did_you_mean
from o2t_jax.errors import UsageError
from o2t_jax.physics.ode import rk4_step
from o2t_jax.types import Array

Rates = Callable[[Any, Any, Any], jax.Array]
"""(state [D], action [A], theta [P]) -> the state's rate of change [D]."""

LONGEST_STEP = 0.05
"""s, the longest Runge-Kutta step inside an observed step."""


@dataclasses.dataclass(frozen=True, eq=False)
class Equation:
    """d state/dt = rates(state [D], action [A], theta [P]). Compared and hashed by identity, so that JAX compiles it
    once.

    Attributes: `names` of the P parameters; `terms`, for each the name of the term that it belongs to ("" for one that
    always acts); `start` [P], where a fit begins if nothing better is known.
    """

    name: str
    names: tuple[str, ...]
    terms: tuple[str, ...]
    start: tuple[float, ...]
    rates: Rates

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.terms) == len(self.start):
            raise ValueError("an equation needs as many terms and starts as names")

    def free(self, terms: Sequence[str]) -> np.ndarray:
        """Mask [P] of the parameters that these terms have. Raises: UsageError for an unknown term."""
        for term in terms:
            if term not in self.terms:
                hint = did_you_mean(term, self.terms) or f"it has {', '.join(dict.fromkeys(filter(None, self.terms)))}"
                raise UsageError(f"{self.name} has no term {term!r}: {hint}")
        return np.array([not term or term in terms for term in self.terms])

    @property
    def every(self) -> np.ndarray:
        """Mask [P] of all parameters."""
        return np.ones(len(self.names), bool)

    def index(self, name: str) -> int:
        """Where a parameter is in theta. Raises: UsageError for an unknown name."""
        if name not in self.names:
            hint = did_you_mean(name, self.names) or f"it has {', '.join(self.names)}"
            raise UsageError(f"{self.name} has no parameter {name!r}: {hint}")
        return self.names.index(name)


def substeps(dt: float, longest: float = LONGEST_STEP) -> int:
    """Runge-Kutta steps in an observed step of `dt` s."""
    return max(1, int(np.ceil(dt / longest - 1e-9)))


def trajectory(rates: Rates, start: Array, actions: Array, theta: Array, dt: Any, inner: int) -> jax.Array:
    """States [T + 1, D] from `start` [D], the actions [T, A] held for `dt` s each; `inner` Runge-Kutta steps in
    each."""

    def step(state: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        def substep(_: int, now: jax.Array) -> jax.Array:
            return rk4_step(lambda at: rates(at, action, theta), now, dt / inner)

        state = jax.lax.fori_loop(0, inner, substep, state)
        return state, state

    first = jnp.asarray(start)
    rest = jax.lax.scan(step, first, jnp.asarray(actions))[1]
    return jnp.concatenate([first[None], rest])


__all__ = ["LONGEST_STEP", "Equation", "Rates", "substeps", "trajectory"]
