"""Estimates with intervals, by bootstrap over blocks."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Estimate:
    """`value`, and the interval [low, high] of probability `LEVEL`, in `unit`."""

    value: float
    low: float
    high: float
    unit: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)


def estimate(value: float, draws: np.ndarray, unit: str = "", level: float = LEVEL) -> Estimate:
    """`value` with the percentile interval of its bootstrap `draws` [N] (Efron & Tibshirani 1993, chapter 13)."""
    low, high = np.quantile(np.asarray(draws, float), [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(min(low, value)), float(max(high, value)), unit)


def moved_blocks(count: int, length: int, draws: int, seed: int) -> np.ndarray:
    """Indices [draws, count] of a moving-block bootstrap (Künsch 1989): blocks of `length` neighbours, with repeats."""
    rng = np.random.default_rng(seed)
    length = max(1, min(length, count))
    starts = rng.integers(0, count - length + 1, (draws, -(-count // length)))
    return (starts[..., None] + np.arange(length)).reshape(draws, -1)[:, :count]


def linear_draws(jacobian: np.ndarray, residuals: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Changes [draws, P] of a least-squares fit whose residuals are drawn anew: one Gauss-Newton step each.

    Args: `jacobian` [K * T, P] and `residuals` [K, T] at the optimum, prediction less observation; `indices`
    [draws, T], the same for the K entries, so that errors that belong to one time stay together. One step suffices
    where the fit is nearly linear over the interval's width.
    """
    centred = residuals - residuals.mean(axis=1, keepdims=True)
    drawn = centred[:, indices].transpose(1, 0, 2).reshape(len(indices), -1)
    return drawn @ np.linalg.pinv(jacobian).T


__all__ = ["LEVEL", "Estimate", "estimate", "linear_draws", "moved_blocks"]
