"""One law fitted to one stretch of a track by shooting: robust first, then least squares on what agrees."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import least_squares
from scipy.stats import chi

from o2t_jax.evaluation.recorded.shooting import slopes, with_steps
from o2t_jax.evaluation.recordings.law import Law, Points, Times
from o2t_jax.evaluation.recordings.plane import View

OUTLIER = 5.0  # robust standard deviations beyond which a sighting is left out
LEAST_ROWS = 6
MOVES = 0.3  # of the path's extent: a form that holds where the object rests only is none
STEEP = 6.0  # standard deviations of the plane's tilt beyond which a form holds by perspective alone
LONGEST = 2.5  # standard deviations of the readout: a picture is read before the next one begins
HOPELESS = 0.1  # of the path's extent: a form that leaves more is none
SPARE = 6  # numbers seen beyond those fitted, at least
SHARE = 0.6  # of the sightings must agree
FLOOR = 0.02  # px: no track is better

Pins = Mapping[str, tuple[float, float]]
"""Name of a fitted value -> what it is known to be, and the standard deviation of that, px and s."""
FREE: Pins = MappingProxyType({})


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """`values` of `law`, and the plane's two tilts in standard deviations where it may be tilted.

    `covariance` of these, widened by the residuals' correlation; `kept`, the sightings used; `residuals` px, of all;
    `rms` px along an axis, of those kept, as of a usual one; `misfit`, the same without regard to how many values were
    fitted; `memory`, how many sightings count as one; `start`, where the search began;
    `free`, degrees of freedom; `penalty`, the sum of squares of what its priors leave.
    """

    law: Law
    values: Float[np.ndarray, " P"]
    covariance: Float[np.ndarray, "P P"]
    kept: Bool[np.ndarray, " T"]
    residuals: Float[np.ndarray, "T D"]
    rms: float
    misfit: float
    memory: float
    start: Float[np.ndarray, " P"]
    free: float
    penalty: float

    def draws(self, count: int, seed: int = 0) -> Float[np.ndarray, "N P"]:
        """Values drawn from their distribution: Student's, with `free` degrees of freedom."""
        rng = np.random.default_rng(seed)
        size = len(self.values)
        normal = rng.multivariate_normal(np.zeros(size), self.covariance, count, method="eigh")
        return self.values + normal / np.sqrt(rng.chisquare(self.free, count) / self.free)[:, None]


class _Problem:
    """Sightings and one law, with the view's values as further ones. The law begins at the first sighting `used`."""

    def __init__(
        self, law: Law, times: Times, points: Points, weight: np.ndarray, view: View | None, pins: Pins
    ) -> None:
        self.law, self.times, self.points, self.weight = law, times, points, weight
        self.view, self.pins = view, pins
        self.size = len(law.names)
        self.first = 0

    def begin(self, rows: np.ndarray) -> None:
        """The law's first time is that of the first of `rows`."""
        self.first = int(np.argmax(rows))

    def paths(self, values: np.ndarray) -> np.ndarray:
        """[B, T, 2] px at all sightings; before the first one, the place at that."""
        times = self.times[self.first :] - self.times[self.first]
        if self.view is None or not self.view.readout:
            found = self.law.paths(values[:, : self.size], times)
        else:
            found = self._rolling(values, times, self.view.late(self.points[self.first :]))
        if self.view is not None:
            found = self.view.seen(found, values[:, self.size : self.size + 2])
        return np.concatenate([np.repeat(found[:, :1], self.first, axis=1), found], axis=1)

    def _rolling(self, values: np.ndarray, times: np.ndarray, late: np.ndarray) -> np.ndarray:
        """Paths at the times at which the rows of the picture were read; small steps of the readout by velocity."""
        found = np.empty((len(values), len(times), 2))
        readouts = np.clip(np.nan_to_num(values[:, -1]), -LONGEST, LONGEST)
        for readout in np.unique(np.round(readouts, 3)):
            rows = np.abs(readouts - readout) < 1e-3
            late_by = readout * late
            moments = np.maximum.accumulate(times + late_by - late_by[0])
            paths = self.law.paths(values[rows, : self.size], moments)
            with np.errstate(all="ignore"):
                speed = np.nan_to_num(np.gradient(paths, axis=1) / np.gradient(moments)[:, None])
            found[rows] = paths + speed * ((readouts[rows] - readout)[:, None] * (late - late[0]))[..., None]
        return found

    def start(self, rows: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            tries = self.law.start(self.times[rows] - self.times[rows][0], self.points[rows])
        for name, (value, _) in self.pins.items():
            if name in self.law.names and len(tries):
                at = self.law.names.index(name)
                known = tries.copy()
                known[:, at] = value
                if "k" in self.law.names:  # at the same terminal speed
                    known[:, self.law.names.index("k")] *= value / tries[:, at]
                tries = known
        return np.pad(tries, ((0, 0), (0, 0 if self.view is None else self.view.size)))

    def misses(self, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """[B]: the median distance, px, of sightings from the paths of `values` [B, P]."""
        with np.errstate(all="ignore"):
            away = np.linalg.norm((self.paths(values) - self.points)[:, rows], axis=-1)
        return np.nan_to_num(np.median(away, axis=1), nan=np.inf)

    def search(self, start: np.ndarray, rows: np.ndarray, loss: str, most: int, held: int = 0):
        """From `start`, at most `most` steps; the last `held` values stay as they are."""
        rest = start[len(start) - held :]
        start = start[: len(start) - held]
        sizes = np.abs(start) + 0.01
        pins = [(self.law.names.index(name), *pin) for name, pin in self.pins.items() if name in self.law.names]

        def residuals(values: np.ndarray) -> np.ndarray:
            values = np.concatenate([values, np.broadcast_to(rest, (len(values), held))], axis=1)
            with np.errstate(all="ignore"):
                away = ((self.paths(values) - self.points) * self.weight[:, None])[:, rows]
            parts = [away.reshape(len(values), -1), self.law.prior(values), values[:, self.size :]]
            parts += [(values[:, i : i + 1] - value) / spread for i, value, spread in pins]
            return np.nan_to_num(np.concatenate(parts, axis=1), nan=1e8, posinf=1e8, neginf=-1e8)

        return least_squares(
            lambda values: residuals(values[None])[0],
            start,
            jac=lambda values: slopes(residuals(with_steps(values, sizes)), sizes),  # type: ignore[arg-type]
            x_scale="jac",
            loss=loss,
            max_nfev=most,
            ftol=1e-9,
        )

    def agreeing(self, values: np.ndarray) -> np.ndarray:
        """The longest run of sightings that the law describes, without single outliers inside."""
        away = np.linalg.norm(self.points - self.paths(values[None])[0], axis=1) * self.weight
        spread = max(FLOOR, float(np.median(away[self.first :])) / chi.median(self.points.shape[1]))
        good = (away < OUTLIER * spread) & (np.arange(len(away)) >= self.first)
        # A run ends where three of five neighbours disagree: a hand, a wall. Single ones are left out.
        bad = np.convolve(~good, np.ones(5), "same") >= 3
        bad[:2] |= ~good[:2]
        bad[-2:] |= ~good[-2:]
        edges = np.flatnonzero(np.diff(np.concatenate([[True], bad, [True]]).astype(int)))
        runs = list(zip(edges[::2], edges[1::2], strict=True))
        rows = np.zeros(len(self.times), bool)
        if runs:
            begin, end = max(runs, key=lambda run: run[1] - run[0])
            rows[begin:end] = good[begin:end]
        return rows


def fit(
    law: Law,
    times: Times,
    points: Points,
    sigma: Float[np.ndarray, " T"],
    kept: Bool[np.ndarray, " T"] | None = None,
    view: View | None = None,
    pins: Pins = FREE,
    begin: Float[np.ndarray, " P"] | None = None,
) -> Fit | None:
    """The likeliest values of `law`; None where the form makes no sense or does not describe most sightings.

    Args: `times` s, `points` px (right, up), `sigma` px of each sighting, of which only ratios and a lower limit count;
    `kept`, the sightings to use (found here if it is left out), where the first one's time is that at which the law
    begins; `view`, how the plane is seen (None: exactly from the front); `pins`, values that are known; `begin`, values
    to start from, the law's own if it is left out.
    """
    unit = max(FLOOR, float(np.median(sigma)))
    problem = _Problem(law, times - times[0], points, 1 / np.maximum(sigma, FLOOR), view, pins)
    rows = np.ones(len(times), bool) if kept is None else kept
    if points.shape[1] * rows.sum() < len(law.names) + SPARE or rows.sum() < LEAST_ROWS:
        return None
    problem.begin(rows)
    start = _best(problem, problem.start(rows), rows) if begin is None else begin
    if start is None:
        return None
    values = start
    if kept is None:
        found = _agreed(problem, start, rows)
        if found is None:
            return None
        values, rows = found
    last = problem.search(values, rows, "linear", 60)
    if kept is None and _extent(points[rows]) < MOVES * _extent(points):
        return None
    if np.abs(last.x[len(law.names) : len(law.names) + 2]).max(initial=0.0) > STEEP:
        return None
    if not (np.isfinite(last.cost) and law.holds(last.x, float(np.ptp(times[rows])))):
        return None
    residuals = points - problem.paths(last.x[None])[0]
    penalty = float(np.sum(last.fun[points[rows].size :] ** 2))
    return _summed(law, last.x, last.jac, residuals, problem.weight * unit, rows, start, unit, penalty)


def _best(problem: _Problem, tries: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
    """The values [P] of `tries` [K, P] that miss the sightings of `rows` least; None of none."""
    return tries[int(np.argmin(problem.misses(tries, rows)))] if len(tries) else None


def _agreed(problem: _Problem, values: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Values searched from `values`, and the sightings that agree with them; None where most do not."""
    # A shutter and a tilt can take drag's place: the law's own values are searched first, the shutter's last.
    view = problem.view
    for held in sorted({0, view.size, view.size - 2} if view else {0}, reverse=True):
        found = problem.search(values, rows, "soft_l1", 40, held)
        values = np.concatenate([found.x, values[len(found.x) :]])
    if problem.misses(values[None], rows)[0] > HOPELESS * _extent(problem.points):
        return None
    for _ in range(3):
        now = problem.agreeing(values)
        if now.sum() < max(LEAST_ROWS, SHARE * len(now)):
            return None
        if np.array_equal(now, rows):
            break
        rows = now
        problem.begin(rows)
        # The law may begin later than before.
        better = _best(problem, np.concatenate([values[None], problem.start(rows)]), rows)
        assert better is not None
        values = problem.search(better, rows, "linear", 20).x
    return values, rows


def _extent(points: Points) -> float:
    return float(np.linalg.norm(np.ptp(points, axis=0)))


def _summed(law: Law, values, jacobian, residuals, weight, rows, start, unit, penalty) -> Fit:
    scaled = (residuals * weight[:, None])[rows]
    count, size = scaled.size, len(law.names)  # what the view adds is known by priors
    memory = max(memory_of(scaled), min(memory_of(scaled, len(values)), count / (2 * size)))
    total = max(FLOOR**2 * count, float(np.sum(scaled**2)))
    rms, misfit = float(np.sqrt(total / max(1, count - len(values)))), float(np.sqrt(total / count))
    variance = total / max(1.0, count / 4, count - size * memory)
    # The search's residuals are in `unit`, and priors (the last rows) in their own standard deviations.
    data, prior = jacobian[:count], jacobian[count:]
    information = data.T @ data * unit**2 / (variance * memory) + prior.T @ prior
    scale = 1 / np.sqrt(np.maximum(np.diag(information), 1e-300))
    covariance = np.linalg.pinv(information * np.outer(scale, scale), rcond=1e-13) * np.outer(scale, scale)
    free = max(2.0, count / memory - size)
    return Fit(law, values, covariance, rows, residuals, rms, misfit, memory, np.asarray(start), free, penalty)


def memory_of(residuals: Float[np.ndarray, "T D"], fitted: int = 0) -> float:
    """1 + 2 times the sum of autocorrelations up to the first that is not positive: how many sightings count as one.

    Args: `fitted`, how many values were fitted to leave these residuals. Each takes away slow errors as if they were
    motion, which lowers every autocorrelation by about the memory over the count of numbers; this is added again.
    """
    count = len(residuals)
    power = float(np.sum(residuals**2))
    total = 1.0
    for lag in range(1, max(2, count // 4)):
        r = float(np.sum(residuals[lag:] * residuals[:-lag])) / max(power, 1e-300)
        if r + fitted / residuals.size <= 2 / np.sqrt(residuals.size) * (lag > 1):
            break
        total += 2 * (r + total * fitted / residuals.size)
    return total


__all__ = ["STEEP", "Fit", "Pins", "fit", "memory_of"]
