"""Which equation one degree of freedom follows: every choice of up to three terms is fitted to the whole track.

Only positions are fitted: recorded speeds and accelerations are smoothed, which biases a regression on them by more
than the terms in question. Errors of tracking are alike from row to row, so rows are counted as n / tau, with tau the
residuals' correlation time: BIC = (n / tau) ln(RSS / n) + k ln(n / tau).
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from o2t_jax.evaluation.recorded.intervals import Estimate, estimate, linear_draws, moved_blocks
from o2t_jax.evaluation.recorded.shooting import paths

TERMS = {
    "1": lambda x, v: np.ones_like(x),
    "x": lambda x, v: x,
    "v": lambda x, v: v,
    "x^3": lambda x, v: x * x * x,
    "v|v|": lambda x, v: v * np.abs(v),
    "sin x": lambda x, v: np.sin(x),
}
RESTORING = ("x", "sin x", "x^3")  # a form has at least one of them: what swings is pulled back
MOST = 3
SHARES = 0.1, 0.3, 1.0  # of the track, one after the other: a short horizon has fewer optima
ITERATIONS = 25
MARGIN = 10.0  # of BIC, within which another form is a rival (Kass & Raftery 1995: "very strong" beyond)
LONGEST = 0.25  # rad of phase, the longest step of integration


@dataclasses.dataclass(frozen=True)
class Oscillation:
    """`answer`: "named" or "cannot tell"; `terms` of the best form, with `coefficients`; `rivals`, forms within
    `MARGIN` that do not merely add to it -> how much their BIC is above; `shared`, terms that all of these have;
    `lacking`, the best form without one of its terms, and its BIC above; `plainest`, the best form of the fewest terms
    among all of these, and its coefficients; `rms` of the residual over that of x, `tau` its correlation time in
    rows."""

    answer: str
    terms: tuple[str, ...]
    coefficients: dict[str, Estimate]
    rivals: dict[str, float]
    shared: tuple[str, ...]
    lacking: tuple[str, float]
    plainest: tuple[tuple[str, ...], dict[str, Estimate]]
    rms: float
    tau: float


@dataclasses.dataclass(frozen=True)
class _Fitted:
    values: np.ndarray
    residuals: np.ndarray
    jacobian: np.ndarray


def name_form(
    times: np.ndarray, x: np.ndarray, *, angle: bool, most: int = MOST, draws: int = 1000, seed: int = 0
) -> Oscillation:
    """The form of x'' = sum of c_i * term_i(x, x') that the track `x` [T] at `times` [T] supports.

    Args: `angle`: x is an angle in rad, so that sin x is a term; `most` terms. Inside, x is over its typical size
    and time over 1 / frequency; coefficients are given back in the units of x and time.
    """
    size = 1.0 if angle else float(np.std(x)) * np.sqrt(2)
    frequency = _frequency(times, x)
    scaled, clock = x / size, (times - times[0]) * frequency
    names = [name for name in TERMS if angle or name != "sin x"]
    forms = [some for count in range(1, most + 1) for some in itertools.combinations(names, count)]
    fits = _fit_all(clock, scaled, [some for some in forms if set(RESTORING) & set(some)])
    least = min(fits, key=lambda some: float(np.sum(fits[some].residuals ** 2)))
    tau = correlation_time(fits[least].residuals)
    bic = {some: _bic(found.residuals, len(found.values), tau) for some, found in fits.items()}
    best = min(bic, key=bic.__getitem__)
    above = {some: value - bic[best] for some, value in bic.items() if some != best}
    rivals = {some: value for some, value in above.items() if value < MARGIN and not set(some) > set(best)}
    lacking = min((some for some in above if not set(best) <= set(some)), key=above.__getitem__)
    chosen = [best, *rivals]
    plainest = min(chosen, key=lambda some: (len(some), bic[some]))
    block = max(int(3 * tau), 10)

    def coefficients(some: tuple[str, ...]) -> dict[str, Estimate]:
        found, values = fits[some], {}
        shifts = linear_draws(found.jacobian, found.residuals[None], moved_blocks(len(x), block, draws, seed))
        for i, name in enumerate(name for name in TERMS if name in some):
            unit = frequency**2 * size / _value(name, size, size * frequency)
            values[name] = estimate(found.values[i] * unit, (found.values[i] - shifts[:, i]) * unit)
        return values

    return Oscillation(
        "cannot tell" if rivals else "named",
        best,
        coefficients(best),
        {" + ".join(some): value for some, value in sorted(rivals.items(), key=lambda pair: pair[1])},
        tuple(name for name in names if all(name in some for some in chosen)),
        (" + ".join(lacking), above[lacking]),
        (plainest, coefficients(plainest)),
        float(np.sqrt(np.mean(fits[best].residuals ** 2)) / np.std(scaled)),
        tau,
    )


def _value(name: str, x: float, v: float) -> float:
    """A term at these sizes; sin x is only used where x is not rescaled."""
    return 1.0 if name == "sin x" else float(TERMS[name](np.array(x), np.array(v)))


def _frequency(times: np.ndarray, x: np.ndarray) -> float:
    """Angular frequency from upward crossings of the mean."""
    aside = x - np.mean(x)
    crossings = times[1:][(aside[1:] > 0) & (aside[:-1] <= 0)]
    return float(2 * np.pi / np.median(np.diff(crossings))) if len(crossings) > 2 else 2 * np.pi / np.ptp(times)


def _fit_all(times: np.ndarray, x: np.ndarray, forms: list[tuple[str, ...]]) -> dict[tuple[str, ...], _Fitted]:
    """Least squares over coefficients and start of each form, on a horizon that grows to the whole track.

    Levenberg-Marquardt (Nocedal & Wright, 10.3) on all forms at once: the paths of all are integrated together.
    """
    names, shapes = list(TERMS), list(TERMS.values())
    used = np.array([[name in some for name in names] + [True, True] for some in forms], float)
    near = np.polyfit(times[:5], x[:5], 2)
    begin = np.array([x[0], 2 * near[0] * times[0] + near[1]])
    values = np.concatenate([np.zeros((len(forms), len(names))), np.tile(begin, (len(forms), 1))], axis=1)
    for i, some in enumerate(forms):
        values[i, names.index(next(name for name in RESTORING if name in some))] = -1.0
    count = values.shape[1]

    def force(q: np.ndarray, v: np.ndarray, c: np.ndarray) -> np.ndarray:
        return sum((c[:, i] * shape(q, v) for i, shape in enumerate(shapes)), np.zeros_like(q))

    def left(some: np.ndarray, seen: int) -> np.ndarray:
        """Residuals [..., seen] at `some` [..., count]."""
        flat = paths(force, some.reshape(-1, count), times[:seen], LONGEST)
        return (flat - x[:seen]).reshape(*some.shape[:-1], seen)

    residuals, jacobian = np.zeros((len(forms), len(x))), np.zeros((len(forms), len(x), count))
    for share in SHARES:
        seen = max(12, int(share * len(x)))
        damp, active = np.full(len(forms), 1e-3), np.arange(len(forms))
        for _ in range(ITERATIONS):
            now, on = values[active], used[active]
            moved = left(now[:, None] + 1e-6 * np.concatenate([np.zeros((1, count)), np.eye(count)]), seen)
            miss, slopes = moved[:, 0], ((moved[:, 1:] - moved[:, :1]) * 1e6).transpose(0, 2, 1) * on[:, None]
            residuals[active, :seen], jacobian[active, :seen] = miss, slopes
            square, pull = slopes.transpose(0, 2, 1) @ slopes, np.einsum("fti,ft->fi", slopes, miss)
            size = np.diagonal(square, axis1=1, axis2=2) + (1 - on) + 1e-12
            square = square + np.eye(count) * (damp[active, None] * size + (1 - on))[:, None]
            tried = now - np.linalg.solve(square, pull[..., None])[..., 0] * on
            cost, reached = np.sum(miss**2, axis=1), np.sum(left(tried, seen) ** 2, axis=1)
            better = reached < cost
            values[active] = np.where(better[:, None], tried, now)
            damp[active] = np.where(better, damp[active] * 0.2, damp[active] * 8).clip(1e-9, 1e9)
            active = active[np.where(better, cost - reached > 1e-6 * cost, damp[active] < 1e6)]
            if not len(active):
                break
    # Residuals and Jacobian are those at the last point but one: the last step changed nothing that matters.
    return {
        some: _Fitted(values[i][used[i] > 0], residuals[i], jacobian[i][:, used[i] > 0]) for i, some in enumerate(forms)
    }


def correlation_time(residuals: np.ndarray) -> float:
    """1 + 2 sum of autocorrelations up to the first that is below 0.05, at least 1, in rows."""
    aside = residuals - residuals.mean()
    total = float(np.sum(aside**2)) + 1e-300
    found = 1.0
    for lag in range(1, len(aside) // 3):
        rho = float(np.sum(aside[lag:] * aside[:-lag])) / total
        if rho < 0.05:
            break
        found += 2 * rho
    return found


def _bic(residuals: np.ndarray, parameters: int, tau: float) -> float:
    count = len(residuals) / tau
    return float(count * np.log(np.mean(residuals**2) + 1e-300) + parameters * np.log(count))


__all__ = ["MARGIN", "MOST", "TERMS", "Oscillation", "correlation_time", "name_form"]
