"""The interface of a simulated world, for models that learn from it and agents that act in it.

A new world is one file in `physics/envs/` and one line in its registry. `tests/physics/test_environments.py` then tests
this contract: the world jits, it can be batched, halving the step converges to the stated order, energy changes by the
work done, gradients agree with finite differences, and its layout and drawing are as declared.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Key

from o2t_jax.errors import UsageError
from o2t_jax.physics.primitives import Drawing
from o2t_jax.types import Array, PyTree


@dataclasses.dataclass(frozen=True)
class Actions:
    """The actions of a world: none, a vector within limits, or a choice from a table of vectors.

    Worlds take the vector itself [size] in every case, so it can be differentiated. All zeros means no action.

    Attributes: `size`, the length of the vector (0: no actions); `unit` of its entries; `held`: whether the vector acts
    during the whole step (a force) or once, at its start (a push); `limit`, the largest absolute entry of a free
    vector; `table`, the rows to choose from, or None where the vector is free.
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

    def vectors(self, choices: Int[Array, "*shape"]) -> Float[jax.Array, "*shape size"]:
        """The rows of the table with the numbers `choices`."""
        if self.table is None:
            raise ValueError("this world has no table of actions")
        return jnp.asarray(self.table)[choices]

    def sample(self, key: Key[jax.Array, ""], shape: tuple[int, ...]) -> Float[jax.Array, "*shape size"]:
        """Random actions: rows of the table with equal probability, or uniform within the limit."""
        if self.table is not None:
            return self.vectors(jax.random.randint(key, shape, 0, len(self.table)))
        if self.size and math.isinf(self.limit):
            raise ValueError("actions without a limit cannot be drawn uniformly")
        limit = self.limit if self.size else 0.0
        return jax.random.uniform(key, (*shape, self.size), minval=-limit, maxval=limit)

    def checked(self, actions: Any) -> Float[np.ndarray, "... size"]:
        """Actions given by a caller as vectors [..., size]; on the host.

        Args: vectors [..., size]; where there is a table, row indices int [...] are accepted too.
        Raises: UsageError for an index, a vector or a shape that is not valid.
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
    """The meaning of the entries of an observed vector [size], for any number of dimensions.

    Attributes: `positions` and `momenta`, indices of equal number, paired in order; `canonical`: the momenta are those
    conjugate to the positions (p = dL/dq'), else they are the velocities; `angles`, those of the positions that are
    angles in rad (not wrapped, so that they change smoothly). Entries that are neither are constant or discrete.
    """

    size: int
    positions: tuple[int, ...]
    momenta: tuple[int, ...]
    canonical: bool = False
    angles: tuple[int, ...] = ()

    def split(
        self, vector: Float[Array, "... size"]
    ) -> tuple[Float[jax.Array, "... positions"], Float[jax.Array, "... positions"]]:
        """Positions and momenta of `vector`."""
        vector = jnp.asarray(vector)
        return vector[..., list(self.positions)], vector[..., list(self.momenta)]

    def join(
        self,
        vector: Float[Array, "... size"],
        positions: Float[Array, "... positions"],
        momenta: Float[Array, "... positions"],
    ) -> Float[jax.Array, "... size"]:
        """`vector` with its positions and momenta replaced by these."""
        placed = jnp.asarray(vector).at[..., list(self.positions)].set(positions)
        return placed.at[..., list(self.momenta)].set(momenta)

    def difference(
        self, one: Float[Array, "... size"], other: Float[Array, "... size"]
    ) -> Float[jax.Array, "... size"]:
        """one - other, angles wrapped to [-pi, pi)."""
        apart = jnp.asarray(one) - other
        turn = apart[..., list(self.angles)]
        return apart.at[..., list(self.angles)].set(jnp.mod(turn + jnp.pi, 2.0 * jnp.pi) - jnp.pi)


class Environment(Protocol):
    """A world as pure functions; every method may be jitted and batched with `jax.vmap`.

    Attributes: `name`; `actions`; `layout` of what is observed; `order`, the order of convergence as dt goes to 0
    with actions held, None where steps are exact; `max_dt` s, the longest step allowed; `duration` s, how long the
    motion after a reset is of interest; `energy_jumps`, the only events at which the energy may change by other than
    `work`; `params`, the default parameters, a differentiable pytree that every method takes; `ranges`, name
    -> (low, high) of the parameters that `draw_params` varies.
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

    def draw_params(self, key: Key[jax.Array, ""]) -> Any:
        """Parameters of one sequence: those of `ranges` uniform in them, the rest as in `params`."""
        ...

    def reset(self, key: Key[jax.Array, ""], params: Any) -> Any:
        """A random initial state."""
        ...

    def step(self, state: Any, action: Float[Array, " actions"], dt: Any, params: Any) -> Any:
        """The state `dt` s later, under `action`."""
        ...

    def work(self, state: Any, action: Float[Array, " actions"], dt: Any, params: Any) -> Float[Array, " bodies"]:
        """Energy that the bodies gain in that step from the action and from friction (a loss, so negative)."""
        ...

    def energy(self, state: Any, params: Any) -> Float[Array, " bodies"]:
        """Energy of the bodies (per unit mass where their masses do not matter), or of the whole system, [1]."""
        ...

    def events(self, state: Any, params: Any) -> Mapping[str, Int[Array, " bodies"]]:
        """How often each named event happened in the step that led to `state`."""
        ...

    def observe(self, state: Any, params: Any) -> Float[Array, " size"]:
        """The state as one vector, as `layout` says."""
        ...

    def restore(self, vector: Float[Array, " size"], state: Any, params: Any) -> Any:
        """The state that is observed as `vector`. Parts that are not observed are taken from `state`.

        It lets functions of a state (energy, drawing) be applied to predicted vectors. Discrete entries may be ignored.
        """
        ...

    def draw(self, state: Any, params: Any) -> Drawing:
        """The state as discs and segments of a plane, and the part of the plane to show."""
        ...


def simulate(
    env: Environment, state: PyTree, actions: Float[Array, "steps actions"], dt: Any, params: PyTree
) -> PyTree:
    """States at all times, `state` first: leaves [steps + 1, ...].

    Args: `actions`, one a step of `dt` s. Differentiable; batch it with `jax.vmap`.
    """

    def body(now: PyTree, action: Array) -> tuple[PyTree, PyTree]:
        after = env.step(now, action, dt, params)
        return after, after

    rest = jax.lax.scan(body, state, actions)[1]
    return jax.tree.map(lambda first, later: jnp.concatenate([jnp.asarray(first)[None], later]), state, rest)


def observed(env: Environment, track: PyTree, params: PyTree) -> Float[jax.Array, "times size"]:
    """The states of a track, leaves [times, ...], as `simulate` returns it, as observed."""
    return jax.vmap(lambda state: jnp.asarray(env.observe(state, params)))(track)


def state_of(env: Environment, vector: Float[Array, " size"], params: PyTree) -> PyTree:
    """The state that is observed as `vector`; parts that are not observed are those of some start."""
    return env.restore(vector, env.reset(jax.random.key(0), params), params)


def idle(env: Environment, steps: int) -> Float[jax.Array, "steps actions"]:
    """Actions that do nothing."""
    return jnp.zeros((steps, env.actions.size))


def checked_dt(env: Environment, dt: float) -> float:
    """`dt` s, if the world allows steps of that length. Raises UsageError otherwise; on the host."""
    if not 0.0 < dt <= env.max_dt:
        raise UsageError(f"dt={dt:g} s is outside the range of {env.name!r}: above 0, at most {env.max_dt:g} s")
    return float(dt)


__all__ = ["Actions", "Environment", "Layout", "checked_dt", "idle", "observed", "simulate", "state_of"]
