"""The next experiment: which pushes, from a given start, would narrow the intervals of the wanted parameters most.

The criterion is the soft maximum, over the wanted parameters and over the values that are still possible, of the log
ratio of the Cramer-Rao interval to that under random pushes, of one sequence whose initial state is observed like all
others and eliminated: a design that is best for one guess may be poor beside it. It is minimised over the rows of the
action table by coordinate exchange: each push, and before that each stretch of several, is replaced in turn by the best
row, from several first sequences at once. Pushes that bring bodies closer than allowed are ruled out: there the
information grows without limit, and with it every error of the model. Sources: Meyer & Nachtsheim 1995
(exchange); Chaloner & Verdinelli 1995 (a range of parameters); Atkinson, Donev & Tobias 2007, chapter 10 (subsets
of parameters).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.dynamics.law import solver
from o2t_jax.evaluation.dynamics.law.equations import Equation, substeps
from o2t_jax.evaluation.dynamics.law.information import LEVEL

STARTS = 8
LENGTHS = (8, 4, 2, 1)
SHARPNESS = 3.0
RANDOM = 64
FORBIDDEN = 40.0


class Design(NamedTuple):
    """`choices` [T], rows of the table, and `actions` [T, A]; `wanted` names; `half_width` [W] that the pushes promise,
    `random` [W], the median of as many random ones that are allowed."""

    choices: np.ndarray
    actions: np.ndarray
    wanted: tuple[str, ...]
    half_width: np.ndarray
    random: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """Promised half width over that of random pushes, [W]."""
        return self.half_width / self.random


Clearance = Callable[[Any], Any]
"""State [D] -> the distance [] that must stay above `Experiment.nearest`."""


class Experiment(NamedTuple):
    """What can be done: from `start` [D], `steps` pushes of `dt` s, each a row of `table` [K, A]; states are observed
    after each with noise `noise` (a number or [D]). `clearance(state)` must stay above `nearest` m, where it is
    given."""

    start: np.ndarray
    table: np.ndarray
    steps: int
    dt: float
    noise: Any
    clearance: Clearance | None = None
    nearest: float = 0.0


@functools.partial(jax.jit, static_argnames=("equation", "inner", "clearance"))
def _log_widths(
    thetas: Any, start: Any, actions: Any, free: Any, known: Any, dt: Any, weight: Any, nearest: Any, *,
    equation: Equation, inner: int, clearance: Clearance | None,
) -> jax.Array:  # fmt: skip
    """Log standard deviations [M, R, P] for parameters [M, P] and pushes [R, T, A]; `FORBIDDEN` where too close."""
    _, blocks = solver.normal_equations(equation, (), inner)
    times = actions.shape[1] + 1

    def one(theta: Any, pushes: Any) -> jax.Array:
        states = jnp.zeros((times, start.shape[0]))  # so that residuals are the path itself
        value, parts = blocks(theta, start, free, jnp.zeros(0), states, pushes, dt, weight)
        information = solver.eliminated(jax.tree.map(lambda x: x[None], parts))[1][0] + known
        information = solver.ready(information)
        scale = jnp.sqrt(jnp.diagonal(information))
        unit = information / (scale[:, None] * scale) + 1e-12 * jnp.eye(len(scale))
        variance = jnp.diagonal(jnp.linalg.inv(unit))
        log = 0.5 * jnp.log(jnp.maximum(variance, 1e-300)) - jnp.log(scale)
        allowed = jnp.isfinite(log)
        if clearance is not None:
            allowed &= jnp.min(jax.vmap(clearance)(-value.reshape(states.shape) / weight)) >= nearest
        return jnp.where(allowed, jnp.minimum(log, FORBIDDEN - 1.0), FORBIDDEN)

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(thetas, actions)


@functools.partial(jax.jit, static_argnames=("equation", "inner", "clearance"))
def _sweep(
    choices: Any, order: Any, length: Any, table: Any, wanted: Any, reference: Any, *data: Any, **static: Any
) -> Any:
    """Exchanges the `length` pushes from each place of `order` on, in turn; returns sequences [R, T], criteria [R]."""
    thetas, start, *rest = data
    count, rows, times = choices.shape[0], table.shape[0], jnp.arange(choices.shape[1])

    def body(now: Any, at: Any) -> Any:
        inside = (times >= at) & (times < at + length)
        tried = jnp.where(inside, jnp.arange(rows)[:, None], now[:, None])  # [R, K, T], row k in the place of all
        tried = jnp.concatenate([now[:, None], tried], 1)
        actions = table[tried.reshape(count * (rows + 1), -1)]
        logs = _log_widths(thetas, start, actions, *rest, **static)[:, :, wanted] - reference
        value = (jnp.log(jnp.mean(jnp.exp(SHARPNESS * logs), (0, 2))) / SHARPNESS).reshape(count, rows + 1)
        return tried[jnp.arange(count), jnp.argmin(value, 1)], jnp.min(value, 1)

    choices, values = jax.lax.scan(body, choices, order)
    return choices, values[-1]


def first_sequences(table: np.ndarray, steps: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Where the exchange begins [count, steps]: half random rows; half square waves between two opposite rows."""
    rows = len(table)
    opposite = np.argmin(np.linalg.norm(table[None] + table[:, None], axis=-1), 1)
    moving = np.flatnonzero(np.linalg.norm(table, axis=-1) > 0)
    out = rng.integers(rows, size=(count, steps))
    for i in range(count // 2):
        row = moving[i % len(moving)]
        half = int(np.geomspace(2, steps, count // 2)[i])
        out[i] = np.where((np.arange(steps) // half) % 2 == 0, row, opposite[row])
    return out


def design(
    equation: Equation, thetas: Any, experiment: Experiment, wanted: Sequence[str], *, free: Any = None,
    known: Any = None, starts: int = STARTS, lengths: Sequence[int] = LENGTHS, seed: int = 0,
) -> Design:  # fmt: skip
    """The pushes that narrow the `wanted` parameters most.

    Args: `thetas` [P] or [M, P], the parameters that are possible (draws of the present estimate); `free` [P], those
    not known exactly, all by default; `known` [P, P], information from earlier data, none by default.
    Raises: UsageError for no table, no pushes, a wanted parameter that is unknown or not free.
    """
    table, steps = np.asarray(experiment.table, np.float64), experiment.steps
    if table.ndim != 2 or not len(table) or steps < 1:
        raise UsageError(f"a design needs a table of pushes and at least 1 push: table {table.shape}, steps={steps}")
    free = equation.every if free is None else np.asarray(free, bool)
    indices = [equation.index(name) for name in wanted]
    for index in indices:
        if not free[index]:
            raise UsageError(f"parameter {equation.names[index]!r} is held fixed: name one of those that are free")
    if not indices:
        raise UsageError("wanted is empty: name the parameters whose intervals are to shrink")
    many = np.atleast_2d(np.asarray(thetas, np.float64))
    start = np.asarray(experiment.start, np.float64)
    weight = np.ones((steps + 1, len(start))) / np.asarray(experiment.noise)
    count = len(equation.names)
    given = (many, start, free.astype(np.float64), np.zeros((count, count)) if known is None else known)
    rng = np.random.default_rng(seed)
    static: dict[str, Any] = {
        "equation": equation, "inner": substeps(experiment.dt), "clearance": experiment.clearance,
    }  # fmt: skip
    with jax.enable_x64(True):
        rest = (*given[2:], experiment.dt, weight, experiment.nearest)
        random = rng.integers(len(table), size=(RANDOM, steps))
        logs = np.mean(_log_widths(*given[:2], table[random], *rest, **static), 0)[:, indices]
        allowed = np.all(logs < FORBIDDEN - 1.0, -1)
        if not allowed.any():
            raise UsageError(f"no random pushes keep the bodies {experiment.nearest:g} m apart: choose another start")
        reference = np.median(logs[allowed], 0)
        choices = first_sequences(table, steps, starts, rng)
        choices[-1] = random[int(np.argmax(allowed))]  # one start that is allowed
        values = np.zeros(starts)
        for length in lengths:
            order = rng.permutation(steps) - length // 2
            data = (table, np.array(indices), reference, *given[:2], *rest)
            choices, values = (np.asarray(x) for x in _sweep(choices, order, length, *data, **static))
        best = choices[int(np.argmin(values))]
        reached = np.mean(_log_widths(*given[:2], table[best[None]], *rest, **static), 0)[0, indices]
    quantile = stats.norm.ppf(0.5 + 0.5 * LEVEL)
    return Design(best, table[best], tuple(wanted), quantile * np.exp(reached), quantile * np.exp(reference))


def widths(equation: Equation, theta: Any, experiment: Experiment, actions: Any, *, free: Any = None) -> np.ndarray:
    """Cramer-Rao half widths [R, P] of pushes [R, T, A] at `theta` [P]; infinite for pushes that come too close."""
    free = equation.every if free is None else np.asarray(free, bool)
    actions, start = np.asarray(actions, np.float64), np.asarray(experiment.start, np.float64)
    count, weight = len(equation.names), np.ones((actions.shape[1] + 1, len(start))) / np.asarray(experiment.noise)
    with jax.enable_x64(True):
        logs = np.asarray(_log_widths(
            np.asarray(theta, np.float64)[None], start, actions, free.astype(np.float64), np.zeros((count, count)),
            experiment.dt, weight, experiment.nearest, equation=equation, inner=substeps(experiment.dt),
            clearance=experiment.clearance,
        ))[0]  # fmt: skip
    quantile = stats.norm.ppf(0.5 + 0.5 * LEVEL)
    return np.where(logs < FORBIDDEN - 1.0, quantile * np.exp(logs), np.inf)


def telling_apart(equation: Equation, one: Sequence[str], other: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """`free` and `wanted` for the design that tells two forms apart: both forms' terms act, and the coefficients are
    wanted of the terms that only one of them has (a form is ruled out where such a coefficient is known not to be
    0)."""
    free = equation.free(tuple(dict.fromkeys([*one, *other])))
    apart = set(one) ^ set(other)
    wanted = [
        name for name, term in zip(equation.names, equation.terms, strict=True)
        if term in apart and not name.startswith("exponent")
    ]  # fmt: skip
    return free, tuple(wanted)


__all__ = ["Design", "Experiment", "design", "first_sequences", "telling_apart", "widths"]
