"""What a simulated world offers to whoever learns from it or acts in it.

A new world is one file in `physics/envs/` and one line in its registry; `tests/physics/test_environments.py` then holds
it to this contract: it jits, it can be batched, halving the step converges to the stated order, energy changes by the
work done, gradients are those of finite differences, its layout and its drawing are what they say.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.physics.primitives import Drawing
from o2t_jax.types import Array, PyTree


@dataclasses.dataclass(frozen=True)
class Actions:
    """What can be done in a world: nothing, a vector within limits, or a choice from a table of vectors.

    Worlds take the vector itself [size], whichever it is: gradients can be taken by it. All zeros is to do nothing.

    Attributes: `size`, the length of the vector (0: nothing can be done); `unit` of its entries; `held`: the vector
    acts all through the step (a force), else once, at its start (a push); `limit`, the largest absolute entry of a free
    vector; `table`, the rows that can be chosen from, or None where the vector is free.
    """

    size: int = 0
    unit: str = ""
    held: bool = True
    limit: float = math.inf
    table: tuple[tuple[float, ...], ...] | None = None

    @classmethod
    def choice(cls, table: tuple[tuple[float, ...], ...], unit: str, held: bool = True) -> Actions:
        """One row of `table`."""
        limit = max(abs(entry) for row in table for entry in row)
        return cls(len(table[0]), unit, held, limit, table)

    def vectors(self, choices: Array) -> jax.Array:
        """The rows [..., size] of the table with the numbers `choices` int [...]."""
        if self.table is None:
            raise ValueError("this world has no table of actions")
        return jnp.asarray(self.table)[choices]

    def sample(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Random actions [*shape, size]: any row of the table alike, or uniform within the limit."""
        if self.table is not None:
            return self.vectors(jax.random.randint(key, shape, 0, len(self.table)))
        if self.size and math.isinf(self.limit):
            raise ValueError("actions without a limit cannot be drawn uniformly")
        limit = self.limit if self.size else 0.0
        return jax.random.uniform(key, (*shape, self.size), minval=-limit, maxval=limit)

    def checked(self, actions: Any) -> np.ndarray:
        """`actions` from outside as vectors [..., size]; on the host.

        Args: vectors [..., size]; where there is a table also numbers of its rows, int [...].
        Raises: UsageError for a number, a vector or a shape that is none of them.
        """
        given = np.asarray(actions)
        if self.table is not None and np.issubdtype(given.dtype, np.integer):
            count = len(self.table)
            if np.any((given < 0) | (given >= count)):
                wrong = given[(given < 0) | (given >= count)].flat[0]
                raise UsageError(f"action {wrong} is not in the table of {count}: choose 0 to {count - 1}")
            return np.asarray(self.table)[given]
        if given.ndim == 0 or given.shape[-1] != self.size:
            raise UsageError(f"actions have shape {given.shape}: give {self.size} numbers each")
        if self.table is not None:
            rows = np.asarray(self.table)
            known = np.isclose(given[..., None, :], rows, rtol=1e-5, atol=1e-6).all(axis=-1).any(axis=-1)
            if not known.all():
                raise UsageError(f"action {given[~known][0].tolist()} is not in the table {rows.tolist()}")
        elif not np.all(np.abs(given) <= self.limit):
            wrong = given[~(np.abs(given) <= self.limit)].flat[0]
            raise UsageError(f"action entry {wrong:g} {self.unit} is beyond the limit: at most {self.limit:g} in size")
        return given


@dataclasses.dataclass(frozen=True)
class Layout:
    """Which entries of an observed vector [size] are what, for any number of dimensions.

    Attributes: `positions` and `momenta`, indices of equal number, paired in order; `canonical`: the momenta are those
    conjugate to the positions (p = dL/dq'), else they are the velocities; `angles`, those of the positions that are
    angles in rad (not wrapped, so that they change smoothly). Entries that are neither are constant or discrete.
    """

    size: int
    positions: tuple[int, ...]
    momenta: tuple[int, ...]
    canonical: bool = False
    angles: tuple[int, ...] = ()

    def split(self, vector: Array) -> tuple[jax.Array, jax.Array]:
        """Positions and momenta [..., N] of `vector` [..., size]."""
        vector = jnp.asarray(vector)
        return vector[..., list(self.positions)], vector[..., list(self.momenta)]

    def join(self, vector: Array, positions: Array, momenta: Array) -> jax.Array:
        """`vector` [..., size] with these positions and momenta [..., N] in place of its own."""
        placed = jnp.asarray(vector).at[..., list(self.positions)].set(positions)
        return placed.at[..., list(self.momenta)].set(momenta)

    def difference(self, one: Array, other: Array) -> jax.Array:
        """one - other [..., size], angles by the short way round."""
        apart = jnp.asarray(one) - other
        turn = apart[..., list(self.angles)]
        return apart.at[..., list(self.angles)].set(jnp.mod(turn + jnp.pi, 2.0 * jnp.pi) - jnp.pi)


class Environment(Protocol):
    """A world as pure functions; every method may be jitted and batched with `jax.vmap`.

    Attributes: `name`; `actions`; `layout` of what is observed; `order`, that of convergence as dt goes to 0 with
    actions held, None where steps are exact; `max_dt` s, the longest step it is meant for; `duration` s, how long after
    a reset its motion is what the world is for; `energy_jumps`, the events at which the energy may change beside `work`
    (nowhere else); `params`, the default parameters, a pytree that every method takes and that gradients may be taken
    by; `ranges`, name -> (low, high) of the parameters that `draw_params` varies.
    """

    @property
    def name(self) -> str: ...

    @property
    def actions(self) -> Actions: ...

    @property
    def layout(self) -> Layout: ...

    @property
    def order(self) -> int | None: ...

    @property
    def max_dt(self) -> float: ...

    @property
    def duration(self) -> float: ...

    @property
    def energy_jumps(self) -> tuple[str, ...]: ...

    @property
    def params(self) -> Any: ...

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]: ...

    def draw_params(self, key: jax.Array) -> Any:
        """Parameters of one sequence: those of `ranges` uniform in them, the rest as in `params`."""
        ...

    def reset(self, key: jax.Array, params: Any) -> Any:
        """A random initial state."""
        ...

    def step(self, state: Any, action: Array, dt: Any, params: Any) -> Any:
        """The state `dt` s later, under `action` [actions.size]."""
        ...

    def work(self, state: Any, action: Array, dt: Any, params: Any) -> Array:
        """Energy [K] that the bodies take up in that step from the action and from friction (which takes some away)."""
        ...

    def energy(self, state: Any, params: Any) -> Array:
        """Energy [K] of the K bodies (per unit mass where their masses do not matter), or of the whole, [1]."""
        ...

    def events(self, state: Any, params: Any) -> Mapping[str, Array]:
        """How often [K] each named thing happened in the step that led to `state`."""
        ...

    def observe(self, state: Any, params: Any) -> Array:
        """The state as one vector [layout.size]."""
        ...

    def restore(self, vector: Array, state: Any, params: Any) -> Any:
        """The state that is observed as `vector`, with what cannot be observed as it is in `state`.

        For what is said of states (energy, drawing) to be said of predicted vectors. Discrete entries may be ignored.
        """
        ...

    def draw(self, state: Any, params: Any) -> Drawing:
        """The state as discs and segments of a plane, and the part of the plane to show."""
        ...


def simulate(env: Environment, state: PyTree, actions: Array, dt: Any, params: PyTree) -> PyTree:
    """States at all times, `state` first: leaves [T + 1, ...].

    Args: `actions` [T, actions.size], one a step of `dt` s. Differentiable; batch it with `jax.vmap`.
    """

    def body(now: PyTree, action: Array) -> tuple[PyTree, PyTree]:
        after = env.step(now, action, dt, params)
        return after, after

    rest = jax.lax.scan(body, state, actions)[1]
    return jax.tree.map(lambda first, later: jnp.concatenate([jnp.asarray(first)[None], later]), state, rest)


def idle(env: Environment, steps: int) -> jax.Array:
    """Actions [steps, actions.size] that do nothing."""
    return jnp.zeros((steps, env.actions.size))


def checked_dt(env: Environment, dt: float) -> float:
    """`dt` s, if steps of that length can be made. Raises UsageError; on the host."""
    if not 0.0 < dt <= env.max_dt:
        raise UsageError(f"dt={dt:g} s is outside the range of {env.name!r}: above 0, at most {env.max_dt:g} s")
    return float(dt)


__all__ = ["Actions", "Environment", "Layout", "checked_dt", "idle", "simulate"]
