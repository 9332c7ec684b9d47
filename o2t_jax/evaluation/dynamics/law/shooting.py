"""An equation fitted to noisy sequences by shooting: maximum likelihood over its parameters and every initial state.

The horizon grows in stages: a short one has fewer minima. Sequences that end in a wrong minimum all the same (a
pendulum that turns over in the fit and not in the data) are started again, each by itself. Source: Bock 1983. The
solver is `solver.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.dynamics.law.equations import Equation, substeps
from o2t_jax.evaluation.dynamics.law.solver import ITERATIONS, TOLERANCE, at_point, minimise, minimise_each

STAGES = (0.25, 0.5, 1.0)
RESTARTS, TOGETHER = 6, 16
LOST = 2.5  # a sequence whose chi2 is this many times the median one is taken to be in a wrong minimum
MOST_LOST = 0.1
EXPLODED = 100.0


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
        return bool(self.gain < 1e-4 and np.isfinite(self.theta).all() and np.isfinite(self.chi2))


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
    own: np.ndarray | None = None,
    tolerance: float = TOLERANCE,
    restarts: int = RESTARTS,
) -> Fit:
    """The parameters that make the noisy sequences most likely.

    Args: `start` [P], by default the equation's; `free` [P], which are fitted, the others stay; `varying`, indices of
    those that each sequence has its own value of; `noise`, the standard deviation of an observation, a number or [D];
    None: estimated for each entry from the residuals in `rounds` rounds; `stages`, the growing shares of the horizon;
    `own` [S, D + V], where the sequences' own numbers start, by default at the observed states; `tolerance`, the
    relative drop of chi2 at which it ends; `restarts` of a sequence in a wrong minimum.
    """
    free = equation.every if free is None else np.asarray(free, bool)
    theta = np.where(free, equation.start if start is None else start, 0.0).astype(np.float64)
    varying = tuple(varying)
    problem = _Problem(equation, data, free, varying)
    own = own_start(data, theta, varying) if own is None else np.asarray(own)
    size = data.states.shape[-1]
    sigma = np.broadcast_to(1.0 if noise is None else np.asarray(noise, np.float64), (size,)).copy()
    gain = 1.0
    with jax.enable_x64(True):
        for number, share in enumerate([*stages] + ([stages[-1]] * rounds if noise is None else [])):
            weight = problem.seen(share) / sigma
            theta, own, gain = _stage(problem, theta, own, weight, tolerance, restarts if share == 1.0 else 0)
            if noise is None and number >= len(stages) - 1:
                sigma = sigma * _spread(problem.at(theta, own, weight)[0], size, free, own, varying)
        values, score, information = (np.asarray(x) for x in problem.at(theta, own, problem.seen(1.0) / sigma))
    with np.errstate(over="ignore", invalid="ignore"):  # of a start from which an equation explodes
        chi2 = float(np.sum(values**2))
    shared = free.copy()
    shared[list(varying)] = False
    residuals, varies = values.reshape(data.states.shape), bool(free[list(varying)].any())
    return Fit(theta, own, chi2, sigma, shared, varying, varies, score, information, residuals, gain)


class _Problem:
    """What is fitted to what: the solver's functions at `theta` [P] and `own` [S, D + V]."""

    def __init__(self, equation: Equation, data: Observed, free: np.ndarray, varying: tuple[int, ...]) -> None:
        self.equation, self.data, self.varying = equation, data, varying
        self.free, self.mask = free, free.astype(np.float64)
        self.static: dict[str, Any] = {"equation": equation, "varying": varying, "inner": substeps(data.dt)}
        self.given = (self.mask, data.states, data.actions, data.dt)

    def seen(self, share: float) -> np.ndarray:
        """Whether a time belongs to that share of the horizon [T + 1, 1]."""
        times = self.data.states.shape[1]
        return (np.arange(times) <= max(3, round(share * (times - 1))))[:, None]

    def at(self, theta: np.ndarray, own: np.ndarray, weight: np.ndarray) -> Any:
        """Residuals, score and information there."""
        return at_point(theta, own, *self.given, weight, **self.static)

    def minimised(
        self, theta: np.ndarray, own: np.ndarray, weight: np.ndarray, tolerance: float
    ) -> tuple[np.ndarray, ...]:
        """`theta`, `own`, chi2 and the last gain from there on."""
        found = minimise(theta, own, *self.given, weight, tolerance, iterations=ITERATIONS, **self.static)
        return tuple(np.asarray(x) for x in found)

    def each_alone(
        self, theta: np.ndarray, start: np.ndarray, chosen: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The sequences `chosen` [N], each by itself from `start` [N, D + V] with theta held; the horizon grows."""
        data, chi2 = self.data, np.zeros(len(chosen))
        only_own = np.where(np.isin(np.arange(len(self.mask)), self.varying), self.mask, 0.0)
        given = (only_own, data.states[chosen], data.actions[chosen], data.dt)
        for share in STAGES:
            seen = self.seen(share) * weight
            found = minimise_each(theta, start, *given, seen, iterations=ITERATIONS, **self.static)
            start, chi2 = (np.asarray(x) for x in found)
        return start, chi2


def _stage(
    problem: _Problem, theta: np.ndarray, own: np.ndarray, weight: np.ndarray, tolerance: float, restarts: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """`theta`, `own` and the last gain of one horizon."""
    states = problem.data.states
    theta, own, chi2, gain = problem.minimised(theta, own, weight, tolerance)
    if not chi2 < EXPLODED * np.sum(((states - states.mean((0, 1))) * weight) ** 2):
        # Far worse than a constant: a start from which the equation explodes. The equation's own one is tame.
        theta = np.where(problem.free, problem.equation.start, 0.0)
        start = own_start(problem.data, theta, problem.varying)
        theta, own, chi2, gain = problem.minimised(theta, start, weight, tolerance)
    if restarts:
        own, moved = _found_again(problem, theta, own, weight, restarts)
        if moved:
            theta, own, _, gain = problem.minimised(theta, own, weight, tolerance)
    return theta, own, float(gain)


def _found_again(
    problem: _Problem, theta: np.ndarray, own: np.ndarray, weight: np.ndarray, restarts: int
) -> tuple[np.ndarray, bool]:
    """`own` with the sequences in a wrong minimum started again from several places; whether any is better now.

    `weight` [T + 1, D] is one over the noise, for the whole horizon.
    """
    data = problem.data
    times, size = data.states.shape[1:]
    with np.errstate(over="ignore", invalid="ignore"):
        values = problem.at(theta, own, weight)[0]
        each = np.sum(np.asarray(values).reshape(len(own), -1) ** 2, -1)
    usual = np.median(each)
    # Residuals of 1e-4 of the noise are rounding: there is nothing to find.
    lost = np.flatnonzero(~(each < np.maximum(LOST * usual, 1e-8 * times * size)))
    if not np.isfinite(usual) or not 0 < len(lost) <= max(1, int(MOST_LOST * len(own))):
        return own, False
    known, rng = np.setdiff1d(np.arange(len(own)), lost), np.random.default_rng(0)
    noise = np.sqrt(usual / (times * size)) / weight[0]
    out, moved = own.copy(), False
    for first in range(0, len(lost), TOGETHER):
        chosen = np.tile(np.resize(lost[first : first + TOGETHER], TOGETHER), restarts)  # one shape: one compilation
        shaken = noise * rng.standard_normal((len(chosen), size))
        shaken[:TOGETHER] = 0.0
        start = np.concatenate([data.states[chosen, 0] + shaken, own[rng.choice(known, len(chosen)), size:]], -1)
        start, chi2 = problem.each_alone(theta, start, chosen, weight)
        for sequence in lost[first : first + TOGETHER]:
            tries = np.flatnonzero(chosen == sequence)
            best = tries[np.argmin(np.where(np.isfinite(chi2[tries]), chi2[tries], np.inf))]
            if chi2[best] < 0.99 * each[sequence] or not np.isfinite(each[sequence]):
                out[sequence], moved = start[best], True
    return out, moved


def own_start(data: Observed, theta: np.ndarray, varying: tuple[int, ...]) -> np.ndarray:
    """Initial states as observed, and the shared value of what varies, [S, D + V]."""
    return np.concatenate([data.states[:, 0], np.tile(theta[list(varying)], (len(data.states), 1))], -1)


def _spread(values: Any, size: int, free: Any, own: Any, varying: tuple[int, ...]) -> np.ndarray:
    """Standard deviation of the residuals of each entry [D], the fitted numbers shared among the entries."""
    each = np.asarray(values).reshape(-1, size)
    fitted = (int(np.sum(free)) - len(varying) + np.size(own)) / size
    return np.sqrt(np.maximum(np.sum(each**2, 0) / max(len(each) - fitted, 1.0), 1e-18))


__all__ = ["Fit", "Observed", "fit", "own_start"]
