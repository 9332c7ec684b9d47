"""Flights between contacts: each one curve under a constant acceleration in space, seen by any pinhole camera.

A point q(t) = q0 + q1 t + q2 t^2 in space is seen by a pinhole camera at (c0 + c1 t + c2 t^2) / (1 + b1 t + b2 t^2):
numerator and denominator are the rows of the camera matrix on q (Hartley & Zisserman 2004, chapter 6). b says how the
distance changes in the flight.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools

import numpy as np
from jaxtyping import Float
from scipy.optimize import least_squares

from o2t_jax.evaluation.recordings.audit.kinds import Motion, widened
from o2t_jax.evaluation.recordings.segments import stretches

NEARER = 0.07  # standard deviation of b, with t from -1 to 1: the distance changes by this share in half a flight
LEAST = 8  # sightings of a flight
TRIED = np.linspace(-0.7, 0.7, 13)  # of the half flight, where the acceleration may jump
DRAWS = 300
SEARCHED = np.linspace(-1.5, 1.5, 121)  # frames around a contact, in which two flights meet


@dataclasses.dataclass(frozen=True, eq=False)
class Flight:
    """Sightings `rows`; time goes from -1 to 1 over `middle` ± `half` s, places count from `origin` px. `values`, rows
    of draws, the fit first: c0, c1, c2 [2 each] and b [2]. `residuals` px; `noise` px that a sighting counts with."""

    rows: slice
    middle: float
    half: float
    origin: Float[np.ndarray, " 2"]
    values: Float[np.ndarray, "N 8"]
    residuals: Float[np.ndarray, "T 2"]
    noise: float

    def place(self, time: np.ndarray) -> np.ndarray:
        """[N, ..., 2] px at `time` [N, ...] s."""
        above, _, depth, _ = self._parts(time)
        return self.origin + above / depth

    def speed(self, time: np.ndarray) -> np.ndarray:
        """[N, ..., 2] px/s at `time` [N, ...] s, as it is seen."""
        above, above_rate, depth, rate = self._parts(time)
        return (above_rate * depth - above * rate) / depth**2 / self.half

    @property
    def pull(self) -> np.ndarray:
        """Acceleration [N, 2] px/s² at the distance of the flight's middle."""
        return 2 * self.values[:, 4:6] / self.half**2

    def _parts(self, time: np.ndarray) -> tuple[np.ndarray, ...]:
        t = ((time - self.middle) / self.half)[..., None]
        v = self.values.reshape(len(self.values), *(1,) * (time.ndim - 1), 8)
        c0, c1, c2, b1, b2 = v[..., 0:2], v[..., 2:4], v[..., 4:6], v[..., 6:7], v[..., 7:8]
        depth = np.maximum(1 + b1 * t + b2 * t**2, 0.1)
        return c0 + c1 * t + c2 * t**2, c1 + 2 * c2 * t, depth, b1 + 2 * b2 * t


@functools.lru_cache(maxsize=2)
def flights_of(motion: Motion) -> tuple[Flight, ...]:
    """The flights of a track between its clear contacts, in order."""
    return tuple(
        _flight(motion, rows, seed)
        for seed, rows in enumerate(stretches(len(motion.times), list(motion.contacts), LEAST))
    )


def _flight(motion: Motion, rows: slice, seed: int) -> Flight:
    times, points = motion.times[rows], motion.points[rows]
    middle, half = 0.5 * (times[0] + times[-1]), 0.5 * (times[-1] - times[0])
    origin = points.mean(axis=0)
    values, covariance, left = fitted((times - middle) / half, points - origin, motion.noise)
    noise = widened(left, motion.noise, 8)
    spread = np.random.default_rng(seed).multivariate_normal(
        np.zeros(8), covariance * (noise / motion.noise) ** 2, DRAWS, method="eigh"
    )
    draws = np.concatenate([values[None], values + spread])
    return Flight(rows, float(middle), float(half), origin, draws, left, noise)


def fitted(t: np.ndarray, points: np.ndarray, noise: float, kink: float | None = None):
    """Values [8], their covariance and residuals [T, 2] px; [10] with a jump of the acceleration at `kink`: c2 is then
    the one before, and the jump comes after it."""
    base = np.vander(t, 3, increasing=True)
    if kink is not None:
        base = np.column_stack([base, np.maximum(t - kink, 0) ** 2])
    start = np.linalg.lstsq(base, points, rcond=None)[0]

    def residuals(values: np.ndarray) -> np.ndarray:
        depth = np.maximum(1 + values[-2] * t + values[-1] * t**2, 0.1)
        path = base @ values[:-2].reshape(-1, 2) / depth[:, None]
        return np.concatenate([((points - path) / noise).ravel(), values[-2:] / NEARER])

    def slopes(values: np.ndarray) -> np.ndarray:
        depth = np.maximum(1 + values[-2] * t + values[-1] * t**2, 0.1)[:, None]
        share, path = base / depth, base @ values[:-2].reshape(-1, 2) / depth
        found = np.zeros((2 * len(t) + 2, len(values)))
        found[0:-2:2, 0:-2:2] = found[1:-2:2, 1:-2:2] = -share / noise
        for column, power in ((-2, 1), (-1, 2)):
            found[:-2, column] = (path * (t**power)[:, None] / depth / noise).ravel()
        found[-2:, -2:] = np.eye(2) / NEARER
        return found

    begin = np.concatenate([start.ravel(), [0.0, 0.0]])
    found = least_squares(residuals, begin, jac=slopes, x_scale="jac", max_nfev=30)  # type: ignore[arg-type]
    covariance = np.linalg.pinv(found.jac.T @ found.jac, rcond=1e-13)
    return found.x, covariance, found.fun[:-2].reshape(-1, 2) * noise


def jump_of(flight: Flight, motion: Motion) -> tuple[float, float, float]:
    """Acceleration after over before the moment at which a jump explains most, its standard deviation, and that moment,
    s. The jump counts along the acceleration. NaN where the flight is too short."""
    times, points = motion.times[flight.rows], motion.points[flight.rows]
    t = (times - flight.middle) / flight.half
    fits = [
        (float(np.sum(left**2)), values, covariance, left, kink)
        for kink in TRIED
        if min(np.sum(t < kink), np.sum(t > kink)) >= 4
        for values, covariance, left in [fitted(t, points - flight.origin, motion.noise, float(kink))]
    ]
    if not fits:
        return float("nan"), float("nan"), float("nan")
    _, values, covariance, left, kink = min(fits, key=lambda each: each[0])
    before, jump = values[4:6], values[6:8]
    size = float(np.linalg.norm(before))
    along = before / max(size, 1e-12)
    slope = np.zeros(10)
    slope[6:8] = along / size
    slope[4:6] = -along * float(jump @ along) / size**2
    error = widened(left, motion.noise, 10) / motion.noise * float(np.sqrt(slope @ covariance @ slope))
    return 1 + float(jump @ along) / size, error, flight.middle + float(kink) * flight.half


@dataclasses.dataclass(frozen=True, eq=False)
class Meeting:
    """Where flight number `first` and the next one meet: draws of the `time` [N] s, `place` [N, 2] px and the
    velocities `before` and `after` [N, 2] px/s."""

    first: int
    time: np.ndarray
    place: np.ndarray
    before: np.ndarray
    after: np.ndarray


@functools.lru_cache(maxsize=2)
def meetings_of(motion: Motion) -> tuple[Meeting, ...]:
    """The contacts between neighbouring flights, in order: where their curves come nearest to each other."""
    found = []
    step = float(np.median(np.diff(motion.times)))
    for number, (one, two) in enumerate(itertools.pairwise(flights_of(motion))):
        if one.rows.stop != two.rows.start:
            continue
        about = 0.5 * (motion.times[one.rows.stop - 1] + motion.times[two.rows.start])
        grid = np.broadcast_to(about + step * SEARCHED, (DRAWS + 1, len(SEARCHED)))
        apart = np.linalg.norm(one.place(grid) - two.place(grid), axis=-1)
        time = np.take_along_axis(grid, apart.argmin(axis=1)[:, None], 1)[:, 0]
        found.append(Meeting(number, time, one.place(time), one.speed(time), two.speed(time)))
    return tuple(found)


__all__ = ["DRAWS", "Flight", "Meeting", "fitted", "flights_of", "jump_of", "meetings_of"]
