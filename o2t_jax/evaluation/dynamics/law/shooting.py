"""An equation fitted to noisy sequences by shooting: maximum likelihood over its parameters and every initial state.

Levenberg-Marquardt on sequences in parallel. What belongs to one sequence (its initial state, parameters that vary from
sequence to sequence) is eliminated by a Schur complement, so a step costs the same per sequence however many there are.
The horizon grows in stages: a short one has fewer minima. Sources: Nocedal & Wright, Numerical Optimization, 2nd ed.,
10.3; Bock 1983 for shooting; Golub & Pereyra 1973 for the elimination.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.dynamics.law.equations import Equation, substeps, trajectory

ITERATIONS = 25
STAGES = (0.25, 0.5, 1.0)
_TINY = 1e-12


class Observed(NamedTuple):
    """Noisy sequences: `states` [S, T + 1, D], `actions` [S, T, A] held between two states, `dt` s."""

    states: np.ndarray
    actions: np.ndarray
    dt: float

    @classmethod
    def of(cls, states: Any, actions: Any, dt: float) -> Observed:
        """Checked and in double precision. Raises: UsageError where shapes do not fit or a number is not finite."""
        seen, acted = np.asarray(states, np.float64), np.asarray(actions, np.float64)
        if seen.ndim != 3 or acted.ndim != 3 or acted.shape[:2] != (seen.shape[0], seen.shape[1] - 1):
            raise UsageError(f"states {seen.shape} and actions {acted.shape}: give [S, T + 1, D] and [S, T, A]")
        if not (np.isfinite(seen).all() and np.isfinite(acted).all() and dt > 0):
            raise UsageError("states, actions and dt must be finite, dt above 0: leave out damaged sequences")
        return cls(seen, acted, float(dt))

    def windows(self, steps: int) -> tuple[Observed, np.ndarray]:
        """Cut into windows of `steps` steps that share no state, and the sequence [S'] that each came from."""
        fit = (self.states.shape[1]) // (steps + 1)
        if fit < 1:
            raise UsageError(f"windows of {steps} steps do not fit into sequences of {self.actions.shape[1]}")
        starts = np.arange(fit) * (steps + 1)
        states = np.stack([self.states[:, a : a + steps + 1] for a in starts], 1)
        actions = np.stack([self.actions[:, a : a + steps] for a in starts], 1)
        owner = np.repeat(np.arange(len(self.states)), fit)
        cut = Observed(states.reshape(-1, *states.shape[2:]), actions.reshape(-1, *actions.shape[2:]), self.dt)
        return cut, owner

    def some(self, most: int) -> Observed:
        """At most `most` sequences, evenly spaced over all."""
        chosen = np.unique(np.linspace(0, len(self.states) - 1, min(most, len(self.states))).astype(int))
        return Observed(self.states[chosen], self.actions[chosen], self.dt)


class Fit(NamedTuple):
    """`theta` [P], `own` [S, D + V] (initial state, then the varying parameters), `chi2` [] at noise `noise` [D].

    `free` [P], the parameters fitted for all; `varying`, indices fitted for each sequence, `varies` whether they act;
    `score` [S, P] and `information` [S, P, P] at the optimum, what belongs to one sequence eliminated; `residuals` [S,
    T + 1, D] in units of the noise; `gain`, the last relative drop of chi2 (small: converged).
    """

    theta: np.ndarray
    own: np.ndarray
    chi2: float
    noise: np.ndarray
    free: np.ndarray
    varying: tuple[int, ...]
    varies: bool
    score: np.ndarray
    information: np.ndarray
    residuals: np.ndarray
    gain: float

    @property
    def dof(self) -> int:
        """Numbers observed less numbers fitted."""
        return self.residuals.size - int(self.free.sum()) - self.own.size

    @property
    def converged(self) -> bool:
        """Whether the last step no longer helped, and all is finite."""
        return bool(self.gain < 1e-5 and np.isfinite(self.theta).all() and np.isfinite(self.chi2))


def merged(theta: Any, own: Any, free_own: Any, varying: tuple[int, ...], size: int) -> jax.Array:
    """One sequence's parameters [P]: its own values at `varying`, where these terms act (`free_own` [V])."""
    for slot, index in enumerate(varying):
        theta = theta.at[index].set(jnp.where(free_own[slot], own[size + slot], theta[index]))
    return theta


def _blocks(equation: Equation, varying: tuple[int, ...], inner: int) -> Any:
    """Function of one sequence: residuals, and the blocks of its normal equations."""

    def residual(theta: Any, own: Any, free_own: Any, states: Any, actions: Any, dt: Any, weight: Any) -> Any:
        size = states.shape[-1]
        values = merged(theta, own, free_own, varying, size)
        path = trajectory(equation.rates, own[:size], actions, values, dt, inner)
        return ((states - path) * weight).reshape(-1)

    def blocks(theta: Any, own: Any, free: Any, free_own: Any, *data: Any) -> Any:
        count = theta.shape[0]

        def both(joint: Any) -> Any:
            value = residual(joint[:count], joint[count:], free_own, *data)
            return value, value

        jacobian, value = jax.jacfwd(both, has_aux=True)(jnp.concatenate([theta, own]))
        keep = jnp.concatenate([free, jnp.ones(own.shape[0] - len(varying)), free_own])
        jacobian = -jacobian * keep
        shared, single = jacobian[:, :count], jacobian[:, count:]
        return value, (shared.T @ shared, shared.T @ single, single.T @ single, shared.T @ value, single.T @ value)

    return residual, blocks


def _ready(matrix: Any) -> Any:
    """Ones on the diagonal of rows that are zero, so that fixed parameters stay."""
    diagonal = jnp.diagonal(matrix, axis1=-2, axis2=-1)
    return matrix + jnp.where(diagonal <= _TINY, 1.0, 0.0)[..., None] * jnp.eye(matrix.shape[-1])


def eliminated(blocks: Any) -> tuple[jax.Array, jax.Array]:
    """Score [S, P] and information [S, P, P] of the shared parameters, the sequences' own ones eliminated."""
    shared, cross, single, score, own_score = blocks
    solved = jnp.linalg.solve(_ready(single), jnp.concatenate([cross.swapaxes(-1, -2), own_score[..., None]], -1))
    information = shared - cross @ solved[..., :-1]
    return score - (cross @ solved[..., -1:])[..., 0], information


@functools.partial(jax.jit, static_argnames=("equation", "varying", "inner", "iterations"))
def _minimise(
    theta: Any, own: Any, free: Any, states: Any, actions: Any, dt: Any, weight: Any, *, equation: Equation,
    varying: tuple[int, ...], inner: int, iterations: int,
) -> Any:  # fmt: skip
    """Levenberg-Marquardt; returns theta, own, chi2 and the last relative drop. `weight` [T + 1, D], 1 / noise or 0."""
    free_own = free[jnp.array(varying, int)]
    shared_free = free.at[jnp.array(varying, int)].set(0.0)
    residual, blocks = _blocks(equation, varying, inner)
    data = (states, actions, dt, weight)
    axes = (0, 0, None, None)
    of_all = jax.vmap(residual, (None, 0, None, *axes))
    blocks_of_all = jax.vmap(blocks, (None, 0, None, None, *axes))

    def body(now: Any) -> Any:
        theta, own, chi2, damp, _, step = now
        shared, cross, single, score, own_score = blocks_of_all(theta, own, shared_free, free_own, *data)[1]
        single = _ready(single)
        single = single + damp * jnp.eye(single.shape[-1]) * jnp.diagonal(single, axis1=-2, axis2=-1)[:, None, :]
        solved = jnp.linalg.solve(single, jnp.concatenate([cross.swapaxes(-1, -2), own_score[..., None]], -1))
        total = jnp.sum(shared, 0)
        matrix = _ready(total + damp * jnp.diag(jnp.diagonal(total)) - jnp.sum(cross @ solved[..., :-1], 0))
        move = jnp.linalg.solve(matrix, jnp.sum(score - (cross @ solved[..., -1:])[..., 0], 0))
        own_move = solved[..., -1] - solved[..., :-1] @ move
        tried, own_tried = theta + move, own + own_move
        reached = jnp.sum(of_all(tried, own_tried, free_own, *data) ** 2)
        better = reached < chi2  # False for NaN
        drop = jnp.where(better, (chi2 - reached) / jnp.maximum(chi2, _TINY), 1.0)
        keep = lambda new, old: jnp.where(better, new, old)  # noqa: E731
        damp = jnp.where(better, jnp.maximum(damp * 0.1, 1e-9), damp * 8.0)
        return keep(tried, theta), keep(own_tried, own), keep(reached, chi2), damp, drop, step + 1

    def going(now: Any) -> Any:
        _, _, _, damp, drop, step = now
        return (step < iterations) & (drop > 1e-8) & (damp < 1e8)

    chi2 = jnp.sum(of_all(theta, own, free_own, *data) ** 2)
    chi2 = jnp.where(jnp.isfinite(chi2), chi2, jnp.inf)
    first = (theta, own, chi2, jnp.asarray(1e-3, chi2.dtype), jnp.ones_like(chi2), jnp.zeros((), int))
    theta, own, chi2, damp, drop, _ = jax.lax.while_loop(going, body, first)
    # Where no step helps down to vanishing ones, the optimum is reached to rounding.
    return theta, own, chi2, jnp.where(damp >= 1e8, 0.0, drop)


@functools.partial(jax.jit, static_argnames=("equation", "varying", "inner"))
def _at(
    theta: Any, own: Any, free: Any, states: Any, actions: Any, dt: Any, weight: Any, *, equation: Equation,
    varying: tuple[int, ...], inner: int,
) -> Any:  # fmt: skip
    """Residuals, scores and information [S, ...] at a point."""
    free_own = free[jnp.array(varying, int)]
    shared_free = free.at[jnp.array(varying, int)].set(0.0)
    _, blocks = _blocks(equation, varying, inner)
    value, parts = jax.vmap(blocks, (None, 0, None, None, 0, 0, None, None))(
        theta, own, shared_free, free_own, states, actions, dt, weight
    )
    return (value, *eliminated(parts))


def fit(
    equation: Equation,
    data: Observed,
    start: Any = None,
    *,
    free: Any = None,
    varying: Sequence[int] = (),
    noise: Any = None,
    stages: Sequence[float] = STAGES,
    rounds: int = 2,
) -> Fit:
    """The parameters that make the noisy sequences most likely.

    Args: `start` [P], by default the equation's; `free` [P], which are fitted, the others stay; `varying`, indices of
    those that each sequence has its own value of; `noise`, the standard deviation of an observation, a number or [D];
    None: estimated for each entry from the residuals in `rounds` rounds; `stages`, the growing shares of the horizon.
    """
    free = equation.every if free is None else np.asarray(free, bool)
    theta = np.where(free, equation.start if start is None else start, 0.0).astype(np.float64)
    varying = tuple(varying)
    size, times = data.states.shape[-1], data.states.shape[1]
    own = own_start(data, theta, varying)
    sigma = np.broadcast_to(1.0 if noise is None else np.asarray(noise, np.float64), (size,)).copy()
    inner, mask = substeps(data.dt), free.astype(np.float64)
    static: dict[str, Any] = {"equation": equation, "varying": varying, "inner": inner}
    gain = 1.0
    with jax.enable_x64(True):
        given = (mask, data.states, data.actions, data.dt)
        plan = [*stages] + ([stages[-1]] * rounds if noise is None else [])
        for number, share in enumerate(plan):
            seen = np.arange(times) <= max(3, round(share * (times - 1)))
            weight = seen[:, None] / sigma

            def run(theta: Any, own: Any, weight: Any = weight) -> tuple[np.ndarray, ...]:
                found = _minimise(theta, own, *given, weight, iterations=ITERATIONS, **static)
                return tuple(np.asarray(x) for x in found)

            theta, own, chi2, gain = run(theta, own)
            if number == 0 and not chi2 < np.sum(((data.states - data.states.mean((0, 1))) * weight) ** 2):
                # Worse than a constant: a start from which the equation explodes. The equation's own one is tame.
                theta = np.where(free, equation.start, 0.0)
                theta, own, _, gain = run(theta, own_start(data, theta, varying))
            if noise is None and number >= len(stages) - 1:
                sigma = sigma * _spread(_at(theta, own, *given, weight, **static)[0], size, free, own, varying)
        weight = np.ones((times, 1)) / sigma
        values, score, information = (np.asarray(x) for x in _at(theta, own, *given, weight, **static))
    residuals = values.reshape(data.states.shape)
    with np.errstate(over="ignore", invalid="ignore"):  # of a start from which an equation explodes
        chi2 = float(np.sum(values**2))
    shared = free.copy()
    shared[list(varying)] = False
    return Fit(
        theta,
        own,
        chi2,
        sigma,
        shared,
        varying,
        bool(free[list(varying)].any()),
        score,
        information,
        residuals,
        float(gain),
    )


def own_start(data: Observed, theta: np.ndarray, varying: tuple[int, ...]) -> np.ndarray:
    """Initial states as observed, and the shared value of what varies, [S, D + V]."""
    return np.concatenate([data.states[:, 0], np.tile(theta[list(varying)], (len(data.states), 1))], -1)


def _spread(values: Any, size: int, free: Any, own: Any, varying: tuple[int, ...]) -> np.ndarray:
    """Standard deviation of the residuals of each entry [D], the fitted numbers shared among the entries."""
    each = np.asarray(values).reshape(-1, size)
    fitted = (int(np.sum(free)) - len(varying) + np.size(own)) / size
    return np.sqrt(np.maximum(np.sum(each**2, 0) / max(len(each) - fitted, 1.0), 1e-18))


__all__ = ["Fit", "Observed", "eliminated", "fit", "merged", "own_start"]
