"""One g for balls of all kinds, and a drag for each: heights over time, fitted by the closed solution of a fall.

A ball at rest until its release at t0 falls as v' = g - k v^2, so h = h0 - ln cosh((t - t0) sqrt(g k)) / k. Free are
g, one k for each kind, h0 and t0 for each drop. Errors of heights are not independent: beside 4 cm in each row they
wander by 0.2 m over 0.4 s (the values under which the residuals were likeliest, of a few tried), so residuals are
whitened by the covariance sigma^2 I + A^2 exp(-(t - t')^2 / 2 l^2).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.recorded.intervals import Estimate, estimate

ROW, WANDER, MEMORY = 0.04, 0.2, 0.4  # sigma m, A m, l s
RELEASED = 0.5  # m: rows from this fall on are used; before, a hand may still be at the ball
LAST = 2  # rows left out at the end, where a ball leaves the picture
AIR = 1.2  # kg/m^3
SPHERE, FACTOR = 0.45, 0.3  # drag coefficient of a sphere below the drag crisis, and the spread of its logarithm
_LEAST = -9.0  # of ln k: no drag


@dataclasses.dataclass(frozen=True)
class Drop:
    """One drop of a ball: `times` [T] s, `heights` [T] m; `area` m^2 over `mass` kg, None where either is unknown."""

    ball: str
    times: np.ndarray
    heights: np.ndarray
    area_per_mass: float | None = None


@dataclasses.dataclass(frozen=True)
class Fall:
    """`g` m/s^2; `drag`, k in 1/m by kind of ball; `coefficient`, drag coefficient by kind (where its size is known);
    `bend` m, the fitted bend of all heights (0 if it was not fitted); `rms` m; `misfit`, -2 log likelihood."""

    g: float
    drag: dict[str, float]
    coefficient: dict[str, float]
    bend: float
    rms: float
    misfit: float


class _Data:
    """Drops padded to one length, with the inverse root of each one's covariance."""

    def __init__(self, drops: Sequence[Drop]) -> None:
        kept = []
        for drop in drops:
            used = drop.heights[0] - drop.heights >= RELEASED
            used[len(used) - LAST :] = False
            kept.append((drop.times[used], drop.heights[used]))
            if used.sum() < 8:
                raise UsageError(f"a drop of {drop.ball!r} has {used.sum()} rows of free fall: at least 8 are needed")
        self.count, most = len(drops), max(len(t) for t, _ in kept)
        self.names = list(dict.fromkeys(drop.ball for drop in drops))
        self.ball = np.array([self.names.index(drop.ball) for drop in drops])
        by_name = {drop.ball: drop.area_per_mass for drop in drops}
        self.size = np.array([by_name[name] or np.nan for name in self.names]) * 0.5 * AIR  # k at coefficient 1
        self.times, self.heights = np.zeros((2, self.count, most))
        self.root, self.mask = np.zeros((self.count, most, most)), np.zeros((self.count, most), bool)
        self.log = 0.0
        for i, (t, h) in enumerate(kept):
            n = len(t)
            apart = t[:, None] - t
            factor = np.linalg.cholesky(ROW**2 * np.eye(n) + WANDER**2 * np.exp(-((apart / MEMORY) ** 2) / 2))
            self.times[i, :n], self.heights[i, :n], self.mask[i, :n] = t, h, True
            self.root[i, :n, :n] = np.linalg.inv(factor)
            self.log += 2 * float(np.sum(np.log(np.diag(factor))))
        self.top, self.bottom = (float(op(h.max() if op is max else h.min() for _, h in kept)) for op in (max, min))
        self.first = np.array([drop.heights[0] for drop in drops])


def fit_falls(drops: Sequence[Drop], *, spheres: bool = False, bent: bool = False) -> Fall:
    """The likeliest g, drags and releases.

    Args: `spheres`, drag coefficients have a log-normal prior, `SPHERE` with spread `FACTOR`, where sizes and masses
    are known; `bent`, heights are measured as h + b u (1 - u), u from 0 at the lowest row to 1 at the highest, as by a
    tilted camera. Raises: UsageError where a drop has too few rows.
    """
    return _fit(_Data(drops), spheres, bent)


def bootstrap(drops: Sequence[Drop], draws: int, seed: int = 0, **how: bool) -> tuple[Fall, Estimate]:
    """`fit_falls`, and g with its interval: kinds of balls are drawn anew, each with all of its drops."""
    found = fit_falls(drops, **how)
    names = list(dict.fromkeys(drop.ball for drop in drops))
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        drawn = rng.integers(0, len(names), len(names))
        again = [
            dataclasses.replace(drop, ball=f"{place} {drop.ball}")
            for place, i in enumerate(drawn)
            for drop in drops
            if drop.ball == names[i]
        ]
        values.append(fit_falls(again, **how).g)
    return found, estimate(found.g, np.array(values), "m/s^2")


class _Falls:
    """Heights of all drops as a function of ln g, ln k of each kind, h0 and t0 of each drop and, if bent, the bend."""

    def __init__(self, data: _Data, spheres: bool, bent: bool) -> None:
        kinds, count = len(data.names), data.count
        self.data, self.bent = data, bent
        self.drag = slice(1, 1 + kinds)
        self.top = slice(1 + kinds, 1 + kinds + count)
        self.begin = slice(1 + kinds + count, 1 + kinds + 2 * count)
        self.known = np.isfinite(data.size) if spheres else np.zeros(kinds, bool)
        self.expected = np.log(np.where(np.isfinite(data.size), SPHERE * data.size, 0.01))  # ln k
        self.start = np.concatenate([[np.log(9.5)], self.expected, data.first, np.full(count, 0.1), [0.0] * bent])

    def heights(self, values: np.ndarray) -> np.ndarray:
        """[drops, rows] m."""
        data = self.data
        g, k = np.exp(values[0]), np.exp(values[self.drag])[data.ball, None]
        x = np.clip(data.times - values[self.begin, None], 0.0, None) * np.sqrt(g * k)
        found = values[self.top, None] - (np.logaddexp(x, -x) - np.log(2.0)) / k
        if self.bent:
            u = (found - data.bottom) / (data.top - data.bottom)
            found = found + values[-1] * u * (1 - u)
        return found

    def misses(self, values: np.ndarray) -> np.ndarray:
        """Whitened residuals of all rows, then those of the known drags from the prior."""
        data = self.data
        left = np.einsum("dij,dj->di", data.root, np.where(data.mask, self.heights(values) - data.heights, 0.0))
        prior = (values[self.drag] - self.expected)[self.known] / FACTOR
        return np.concatenate([left[data.mask], prior])

    def jacobian(self, values: np.ndarray) -> np.ndarray:
        """Of `misses`. A drop depends on its own k, h0 and t0: one difference serves those of all drops."""
        data, small, base, each = self.data, 1e-6, self.heights(values), np.arange(self.data.count)
        columns = np.zeros((*data.mask.shape, len(values)))

        def moved(index: slice | int) -> np.ndarray:
            shifted = values.copy()
            shifted[index] += small
            return (self.heights(shifted) - base) / small

        columns[:, :, 0] = moved(0)
        for part, own in ((self.drag, data.ball), (self.top, each), (self.begin, each)):
            columns[each, :, part.start + own] = moved(part)
        if self.bent:
            columns[:, :, -1] = moved(len(values) - 1)
        found = np.einsum("dij,djp->dip", data.root, columns * data.mask[..., None])[data.mask]
        prior = np.zeros((self.known.sum(), len(values)))
        prior[np.arange(self.known.sum()), self.drag.start + np.flatnonzero(self.known)] = 1 / FACTOR
        return np.concatenate([found, prior])


def _fit(data: _Data, spheres: bool, bent: bool) -> Fall:
    model = _Falls(data, spheres, bent)
    low = np.full(len(model.start), -np.inf)
    low[model.drag] = _LEAST
    limits, jacobian = (low, np.inf), model.jacobian
    fitted = least_squares(model.misses, model.start, jac=jacobian, bounds=limits, x_scale="jac", max_nfev=200)  # type: ignore
    drag = np.exp(fitted.x[model.drag])
    return Fall(
        g=float(np.exp(fitted.x[0])),
        drag=dict(zip(data.names, drag.tolist(), strict=True)),
        coefficient={n: float(k / s) for n, k, s in zip(data.names, drag, data.size, strict=True) if np.isfinite(s)},
        bend=float(fitted.x[-1]) if bent else 0.0,
        rms=float(np.sqrt(np.mean((model.heights(fitted.x) - data.heights)[data.mask] ** 2))),
        misfit=2 * float(fitted.cost) + data.log,
    )


__all__ = ["Drop", "Fall", "bootstrap", "fit_falls"]
