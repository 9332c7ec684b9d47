"""How far a roll-out of discs follows the truth: directions, speeds, the order of hits, energy and momentum.

Arrays are numpy: velocities [N, T, B, 2] of N scenes, `moves` [N, B] where a disc is there and is no obstacle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from o2t_jax.evaluation.recorded.intervals import moved_blocks

SLOW = 0.01  # of the speed limit: slower discs have no direction
HIT = 0.02  # of the speed limit: a change of a predicted velocity that counts as a hit


class Followed(NamedTuple):
    """Per scene and step [N, T]: NaN where no disc has a direction.

    Attributes: `cosine` of predicted and true velocity, mean over discs; `magnitude`, |true - predicted| / true speed.
    """

    cosine: np.ndarray
    magnitude: np.ndarray


def follow(predicted: np.ndarray, truth: np.ndarray, moves: np.ndarray, speed: float) -> Followed:
    """Cosine and relative error of the speed, mean over the discs that truly move faster than `SLOW`.

    A prediction that is no finite number has cosine 0 and an infinite error: it is not left out.
    """
    there = np.all(np.isfinite(predicted), axis=-1)
    predicted = np.where(there[..., None], predicted, 0.0).astype(float)
    size, own = np.linalg.norm(truth, axis=-1), np.linalg.norm(predicted, axis=-1)
    counted = moves[:, None] & (size > SLOW * speed)
    cosine = np.sum(predicted * truth, axis=-1) / np.maximum(own * size, 1e-12)
    magnitude = np.where(there, np.abs(size - own) / np.maximum(size, 1e-12), np.inf)
    number = counted.sum(axis=-1)

    def mean(x: np.ndarray) -> np.ndarray:
        total = np.where(counted, x, 0.0).sum(axis=-1)
        return np.where(number > 0, total / np.maximum(number, 1), np.nan)

    return Followed(mean(cosine), mean(magnitude))


class Interval(NamedTuple):
    """Means [T] over scenes with the ends [T] of their 95 % intervals."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def interval(values: np.ndarray) -> Interval:
    """Means over scenes of values [N, T], by the normal approximation; NaN entries are left out.

    Where fewer than two scenes have a value the interval is NaN.
    """
    there = ~np.isnan(values)
    count = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    with np.errstate(invalid="ignore"):  # infinite means have no interval
        square = np.where(there, np.square(values - mean), 0.0).sum(axis=0)
        half = np.where(count > 1, 1.96 * np.sqrt(square / np.maximum(count - 1, 1) / np.maximum(count, 1)), np.nan)
        return Interval(mean, mean - half, mean + half)


def drawn_ratios(errors: np.ndarray, idle: np.ndarray, draws: int = 1000) -> np.ndarray:
    """Ratios [draws] of the sums of `errors` and of `idle`, both [N] by scene: a bootstrap over scenes."""
    drawn = moved_blocks(len(errors), 1, draws, seed=0)
    return errors[drawn].sum(axis=1) / idle[drawn].sum(axis=1)


def share_of_way(model: float, idle: float, ceiling: float) -> float:
    """How far `model` is on the way from `idle` to `ceiling`: 1 is all; NaN where that is no higher."""
    return (model - idle) / (ceiling - idle) if ceiling > idle else float("nan")


def hits_of(velocity: np.ndarray, moves: np.ndarray, speed: float) -> list[list[frozenset[int]]]:
    """For each scene, in order, the discs that are hit in a step: their velocities change by more than `HIT`."""
    changed = np.any(np.abs(np.diff(velocity, axis=1)) > HIT * speed, axis=-1) & moves[:, None]
    return [[frozenset(np.flatnonzero(step).tolist()) for step in scene if step.any()] for scene in changed]


def right_in_order(
    predicted: Sequence[Sequence[frozenset[int]]], truth: Sequence[Sequence[frozenset[int]]]
) -> np.ndarray:
    """How many hits [N] of each scene are predicted in the right order before the first that is not."""
    counts = []
    for mine, true in zip(predicted, truth, strict=True):
        same = [one == other for one, other in zip(mine, true, strict=False)]
        counts.append(same.index(False) if False in same else len(same))
    return np.asarray(counts)


def energy(velocity: np.ndarray, mass: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Kinetic energy [N, T] of the moving discs; masses [N, B]."""
    weight = np.where(moves, np.where(np.isfinite(mass), mass, 0.0), 0.0)
    return 0.5 * np.einsum("nb,ntbi,ntbi->nt", weight, *[velocity.astype(float)] * 2)


def drift(energies: np.ndarray) -> float:
    """Mean over scenes of the largest |E - E(0)| / E(0); scenes that rest are left out."""
    moving = energies[:, 0] > 0
    first = energies[moving, :1]
    return float(np.mean(np.max(np.abs(energies[moving] - first) / first, axis=1))) if moving.any() else float("nan")


__all__ = [
    "HIT",
    "SLOW",
    "Followed",
    "Interval",
    "drawn_ratios",
    "drift",
    "energy",
    "follow",
    "hits_of",
    "interval",
    "right_in_order",
    "share_of_way",
]
