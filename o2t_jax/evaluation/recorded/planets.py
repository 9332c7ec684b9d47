"""The law of the planets' motion: the exponent p of a = -GM r / r^(p + 1), and the Sun's GM, from positions alone.

Accelerations are differences of positions of sixth order. Two fits: the Sun alone, one power law through all planets;
and the Sun with all planets pulling one another by the same law, whose masses are fitted along. In the second,
heliocentric accelerations are (Murray & Dermott, Solar System Dynamics, 6.2)
    a_i = -(GM + Gm_i) r_i / r_i^(p+1) + sum_j Gm_j [(r_j - r_i) / |r_j - r_i|^(p+1) - r_j / r_j^(p+1)],
the last term being the Sun's own acceleration.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.optimize import minimize_scalar

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.recorded.intervals import Estimate, estimate

STENCIL = np.array([2.0, -27.0, 270.0, -490.0, 270.0, -27.0, 2.0]) / 180.0
REACH = 3  # rows on each side
AU = 149597870700.0  # m, the unit of length of the fits, so that powers of r are near 1


@dataclasses.dataclass(frozen=True)
class Law:
    """`exponent` p; `gm` of the Sun, m^3/s^2; `masses`, Gm of each planet over that of the Sun (zeros if it has none);
    `residual`, rms of what is left over the rms of the acceleration, the largest of all planets."""

    exponent: Estimate
    gm: Estimate
    masses: np.ndarray
    residual: float


def accelerations(positions: np.ndarray, step: float, every: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions [N, K, 3] and accelerations [N, K, 3] at each `every`-th row of `positions` [T, K, 3], `step` s apart.

    Raises: UsageError where there are fewer than 7 rows.
    """
    count = len(positions)
    if count < 2 * REACH + 1:
        raise UsageError(f"accelerations need {2 * REACH + 1} rows of positions: there are {count}")
    at = np.arange(REACH, count - REACH, every)
    rows = positions[at[:, None] + np.arange(-REACH, REACH + 1)]
    return positions[at], np.einsum("s,nski->nki", STENCIL, rows - positions[at][:, None]) / step**2


def sun_alone(positions: np.ndarray, pulls: np.ndarray, blocks: int = 30, draws: int = 300, seed: int = 0) -> Law:
    """log a = log GM - p log r through all planets, each weighted alike; bootstrap over `blocks` of time.

    Args: `positions` [N, K, 3] m from the Sun, `pulls` [N, K, 3] m/s^2.
    """
    place = positions / AU
    far = np.linalg.norm(place, axis=-1)
    inward = -np.sum(pulls * place, axis=-1) / far
    x, y = np.log(far), np.log(inward)

    def fit(rows: np.ndarray) -> tuple[float, float]:
        slope, level = np.polyfit(x[rows].ravel(), y[rows].ravel(), 1)
        return -slope, float(np.exp(level)) * AU**2

    p, gm = fit(np.arange(len(x)))
    drawn = np.array([fit(rows) for rows in _block_rows(len(x), blocks, draws, seed)])
    left = np.sqrt(np.mean((inward - gm / AU**2 * far**-p) ** 2, 0) / np.mean(inward**2, 0))
    zeros = np.zeros(place.shape[1])
    return Law(estimate(p, drawn[:, 0]), estimate(gm, drawn[:, 1], "m^3/s^2"), zeros, float(left.max()))


def all_pulling(positions: np.ndarray, pulls: np.ndarray, blocks: int = 30, draws: int = 100, seed: int = 0) -> Law:
    """p, GM and the planets' masses together; equations are divided by each planet's mean pull. Args as `sun_alone`.

    Linear in GM and masses for a given p, which is found by golden section in 1.9 to 2.1.
    """
    place = positions / AU
    size = np.sqrt(np.mean(np.sum(pulls**2, axis=-1), axis=0))[None, :, None]
    target = pulls / size
    count = len(place)
    groups = np.array_split(np.arange(count), min(blocks, count))

    def normal(p: float) -> list[tuple[np.ndarray, np.ndarray, float]]:
        """Of each block of time: the normal equations and the target's square."""
        design = _design(place, p) / size[..., None]
        return [
            (np.einsum("nkip,nkiq->pq", d, d), np.einsum("nkip,nki->p", d, t), float(np.sum(t**2)))
            for d, t in ((design[rows], target[rows]) for rows in groups)
        ]

    def solve(parts: list[tuple[np.ndarray, np.ndarray, float]], weights: np.ndarray) -> tuple[np.ndarray, float]:
        matrix, right = (sum(w * part[i] for w, part in zip(weights, parts, strict=True)) for i in (0, 1))
        unit = np.sqrt(np.diag(matrix))
        values = np.linalg.lstsq(matrix / np.outer(unit, unit), right / unit, rcond=1e-14)[0] / unit
        square = sum(w * part[2] for w, part in zip(weights, parts, strict=True))
        return values, float(square - values @ right)

    ones = np.ones(len(groups))

    def left(p: float) -> float:
        values = solve(normal(p), ones)[0]
        return float(np.sum((_design(place, p) @ values / size - target) ** 2))

    p = float(minimize_scalar(left, bounds=(1.9, 2.1), method="bounded", options={"xatol": 1e-10}).x)  # type: ignore
    values = solve(normal(p), ones)[0]
    # The sum of squares is a parabola in p near its least; three points give every draw its own least.
    h = 1e-4
    grid = [normal(p - h), normal(p), normal(p + h)]
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(groups), ones / len(groups), draws).astype(float)
    drawn = []
    for weight in (ones, *weights):
        (a, low), (b, mid), (c, high) = (solve(parts, weight) for parts in grid)
        bend = low - 2 * mid + high
        move = 0.5 * (low - high) / bend if bend > 0 else 0.0
        drawn.append((h * move, b[0] + 0.5 * move * (c[0] - a[0])))
    # Relative to all blocks once: the parabola's own error is the same in every draw.
    table = np.array(drawn[1:]) - drawn[0] + (p, values[0])
    miss = np.sqrt(np.mean(np.sum((_design(place, p) @ values / size - target) ** 2, -1), 0))
    to_si = AU**2
    gm = estimate(values[0] * to_si, table[:, 1] * to_si, "m^3/s^2")
    return Law(estimate(p, table[:, 0]), gm, values[1:] / values[0], float(miss.max()))


def _design(place: np.ndarray, p: float) -> np.ndarray:
    """[N, K, 3, 1 + K]: accelerations that a unit of the Sun's GM, and of each planet's, makes. Lengths in AU."""
    count = place.shape[1]
    far = np.linalg.norm(place, axis=-1, keepdims=True)
    toward_sun = -place / far ** (p + 1)
    apart = place[:, None, :, :] - place[:, :, None, :]  # [N, on, source, 3]
    gap = np.linalg.norm(apart, axis=-1, keepdims=True) + np.eye(count)[None, :, :, None]
    pulls = apart / gap ** (p + 1) + toward_sun[:, None, :, :]  # the Sun moves as well
    # The source i itself: its pull on the Sun adds to the Sun's on it, which the term above has.
    return np.concatenate([toward_sun[..., None], pulls.transpose(0, 1, 3, 2)], axis=-1)


def _block_rows(count: int, blocks: int, draws: int, seed: int) -> list[np.ndarray]:
    groups = np.array_split(np.arange(count), min(blocks, count))
    rng = np.random.default_rng(seed)
    return [np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))]) for _ in range(draws)]


__all__ = ["AU", "Law", "accelerations", "all_pulling", "sun_alone"]
