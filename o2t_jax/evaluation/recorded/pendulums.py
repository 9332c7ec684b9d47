"""g from pendulums of different lengths, whose common error (where the string begins) cancels in the difference of T^2.

Each film is fitted by the whole equation of motion, so amplitude and damping need no correction afterwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.optimize import OptimizeResult, least_squares

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.recorded.intervals import Estimate, estimate, linear_draws, moved_blocks
from o2t_jax.evaluation.recorded.shooting import paths, slopes, with_steps

BLOCK = 60  # frames, about 2 s: longer than the errors of tracking are alike
LONGEST = 0.1  # rad of the swing's phase, the longest step of integration
SOLID_SPHERE = 0.4  # moment of inertia over mass and squared radius
READING = 0.005  # m, half of the last digit in which lengths are given


@dataclasses.dataclass(frozen=True)
class Swing:
    """One fitted film. `period` s, of small swings without damping, with `draws` [N] of its bootstrap; `damping` 1/s of
    the velocity; `amplitude` rad at the start and `last` at the end; `scale` px from pivot to ball; `rms` px."""

    period: float
    draws: np.ndarray
    damping: float
    amplitude: float
    last: float
    scale: float
    rms: float


def fit_swing(times: np.ndarray, points: np.ndarray, draws: int = 1000, seed: int = 0) -> Swing:
    """Fits a'' = -w^2 sin a - c a' to a ball's picture: `times` [T] s, `points` [T, 2] px (right, down).

    Free are w, c, the start, the pivot, the length in px and a tilt of the camera. Raises: UsageError where no swing
    fits.
    """
    fitted = _fit(times, points)
    values = fitted.x
    shift = linear_draws(fitted.jac, fitted.fun.reshape(2, -1), moved_blocks(len(times), BLOCK, draws, seed))
    angles = _angles(values[None], times, LONGEST / values[0])[0]
    part = max(2, len(times) // 8)
    return Swing(
        period=float(2 * np.pi / values[0]),
        draws=2 * np.pi / (values[0] - shift[:, 0]),
        damping=float(values[1]),
        amplitude=float(np.ptp(angles[:part]) / 2),
        last=float(np.ptp(angles[-part:]) / 2),
        scale=float(values[4]),
        rms=float(np.sqrt(np.mean(fitted.fun**2))),
    )


def _fit(times: np.ndarray, points: np.ndarray) -> OptimizeResult:
    times, points = np.asarray(times, float), np.asarray(points, float)
    middle = points.mean(axis=0)
    aside = points[:, 0] - middle[0]
    crossings = times[1:][(aside[1:] > 0) & (aside[:-1] <= 0)]
    if len(crossings) < 3:
        raise UsageError("the film has fewer than two whole swings: a period cannot be fitted")
    period = float(np.median(np.diff(crossings)))
    if period < 8 * np.median(np.diff(times)):
        raise UsageError(f"the film is not that of a pendulum: it crosses its middle every {period:.2g} s, in noise")
    frequency = 2 * np.pi / period
    # A circle through the points tells the length in px roughly; it is fitted below.
    design = np.column_stack([points, np.ones(len(points))])
    circle = np.linalg.lstsq(design, np.sum(points**2, axis=1), rcond=None)[0]
    length = float(np.sqrt(max(circle[2] + np.sum(circle[:2] ** 2) / 4, np.var(aside))))
    begin = aside[:4] / length
    speed = np.polyfit(times[:4], begin, 1)[0]
    start = np.array([frequency, 0.01, begin[0], speed, length, middle[0], middle[1] - length, 0.0])
    size = np.abs(start) + 0.01

    def pictures(values: np.ndarray, count: int) -> np.ndarray:
        """[B, 2 count]: x and y less the film's, for each row of `values` [B, 8]."""
        angles = _angles(values, times[:count], LONGEST / frequency) - values[:, [7]]
        x = values[:, [5]] + values[:, [4]] * np.sin(angles) - points[:count, 0]
        y = values[:, [6]] + values[:, [4]] * np.cos(angles) - points[:count, 1]
        return np.concatenate([x, y], axis=1)

    # Few swings first: over all of them a wrong period has many local optima.
    for count in (len(times) // 4, len(times)):
        fitted = least_squares(
            lambda values, count=count: pictures(values[None], count)[0],
            start,
            jac=lambda values, count=count: slopes(pictures(with_steps(values, size), count), size),  # type: ignore
            x_scale=size,
            max_nfev=50,
        )
        start = fitted.x
    if not np.isfinite(fitted.cost) or np.mean(fitted.fun**2) > 0.05 * np.mean(aside**2):
        raise UsageError("the film is not that of a pendulum: the best swing leaves more than a fifth of its amplitude")
    return fitted


def _angles(values: np.ndarray, times: np.ndarray, step: float) -> np.ndarray:
    """[B, T] for each row (w, c, angle, speed, ...) of `values` [B, P], by steps of `step` s."""

    def force(angle: np.ndarray, speed: np.ndarray, c: np.ndarray) -> np.ndarray:
        return -(c[:, 0] ** 2) * np.sin(angle) - c[:, 1] * speed

    return paths(force, values[:, :4], times, step)


@dataclasses.dataclass(frozen=True)
class Gravity:
    """g in m/s^2 from the slope of T^2 over length: `value` with the interval of the timing alone; `with_reading`, that
    with lengths known to +- `READING`; `point_mass`, without the ball's own inertia; `small_swings`, the period taken
    from zero crossings, without a correction of amplitude."""

    value: Estimate
    with_reading: Estimate
    point_mass: float
    small_swings: float


def gravity(
    lengths: Sequence[float], swings: Sequence[Swing], radii: Sequence[float], periods: Sequence[float]
) -> Gravity:
    """g = 4 pi^2 dL / d(T^2), where a ball of radius r at length L counts as L + 0.4 r^2 / L (a solid sphere).

    Args, one for each of at least two lengths: `lengths` m, `swings`, `radii` m, `periods` s, of zero crossings.
    """
    given = np.asarray(lengths, float)
    if len(given) < 2:
        raise UsageError(f"g from a difference of lengths needs two of them: there are {len(given)}")
    effective = given + SOLID_SPHERE * np.square(radii) / given
    squares = np.square([swing.period for swing in swings])
    draws = np.square([swing.draws for swing in swings])
    found = _slope(effective, squares[:, None])[0]
    timing = _slope(effective, draws)
    rng = np.random.default_rng(0)
    read = effective[:, None] + rng.uniform(-READING, READING, draws.shape)
    both = np.array([_slope(read[:, i], draws[:, i : i + 1])[0] for i in range(draws.shape[1])])
    return Gravity(
        estimate(found, timing, "m/s^2"),
        estimate(found, both, "m/s^2"),
        float(_slope(given, squares[:, None])[0]),
        float(_slope(given, np.square(periods)[:, None])[0]),
    )


def _slope(lengths: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """4 pi^2 over the slope of T^2 [K, N] on length [K], [N]."""
    aside = lengths - lengths.mean()
    return 4 * np.pi**2 * np.sum(aside**2) / (aside @ (squares - squares.mean(axis=0)))


def crossing_period(times: np.ndarray, aside: np.ndarray) -> float:
    """Mean period, s, from the first to the last upward zero crossing of `aside` [T], interpolated."""
    aside = aside - np.mean(aside)
    at = np.flatnonzero((aside[1:] > 0) & (aside[:-1] <= 0))
    if len(at) < 2:
        raise UsageError("fewer than two zero crossings: a period cannot be measured")
    exact = times[at] - aside[at] * (times[at + 1] - times[at]) / (aside[at + 1] - aside[at])
    return float((exact[-1] - exact[0]) / (len(exact) - 1))


__all__ = ["Gravity", "Swing", "crossing_period", "fit_swing", "gravity"]
