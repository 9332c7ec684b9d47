"""Where two tracked discs may have met: kinks of the distance between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from o2t_jax.evaluation.discs.sliding import FEWEST

WINDOWS = (6, 12, 24, 48)  # samples on each side of a kink
LEAST_KINK = 8.0  # change of the slope over its standard deviation
LEAST_APPROACH = 4.0  # slope before, over its standard deviation
_LEAST_NOISE = 1e-6  # of the distances' range: tracks without noise have one of rounding
_LONGEST_GAP = 3.0  # typical steps of time over which a place is interpolated


class Path(NamedTuple):
    """The track of one disc: `times` [T] s, increasing, `places` [T, 2]; `radius` in the unit of places, or None."""

    times: Float[np.ndarray, " times"]
    places: Float[np.ndarray, "times 2"]
    radius: float | None = None


def kinks(first: Path, second: Path) -> list[tuple[float, float]]:
    """Times at which the distance of two discs stops falling at once, and the step of time there.

    On each side of every sample a line is fitted to `WINDOWS` samples of the distance; the change of its slope must be
    significant, and the largest nearby. Close passages without touch are among them: the distance bends there.
    """
    times, apart = _distances(first, second)
    found: list[tuple[float, float]] = []
    for size in WINDOWS:
        if len(times) < 2 * max(size, FEWEST):
            continue
        step = np.diff(times)
        noise = np.median(np.abs(np.diff(apart, 2))) / 0.6745 / np.sqrt(6) + _LEAST_NOISE * np.ptp(apart)
        at = np.arange(size, len(times) - size + 1)  # the kink lies between samples at - 1 and at
        before, spread = _slopes(times, apart, at - size, size)
        after, other = _slopes(times, apart, at, size)
        kink = (after - before) / (noise * np.sqrt(spread**2 + other**2))
        for i in np.flatnonzero((kink > LEAST_KINK) & (before / (noise * spread) < -LEAST_APPROACH)):
            if kink[i] < kink[max(0, i - size) : i + size + 1].max():
                continue
            pace = float(np.median(step[max(0, at[i] - size) : at[i] + size]))
            when = _crossing(times, apart, int(at[i]), size)
            if all(abs(when - other) > size * pace for other, _ in found):
                found.append((when, pace))
    return sorted(found)


def _distances(first: Path, second: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times of the first that the second covers without a gap, and the distances there."""
    index = np.searchsorted(second.times, first.times).clip(1, len(second.times) - 1)
    gap = second.times[index] - second.times[index - 1]
    inside = (first.times >= second.times[0]) & (first.times <= second.times[-1])
    good = inside & (gap <= _LONGEST_GAP * np.median(np.diff(second.times)))
    times = first.times[good]
    other = np.stack([np.interp(times, second.times, second.places[:, k]) for k in range(2)], axis=1)
    return times, np.hypot(*(first.places[good] - other).T)


def _slopes(times: np.ndarray, values: np.ndarray, starts: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Slopes [S] of lines through `size` samples from each start, and their deviation for noise of 1."""
    index = starts[:, None] + np.arange(size)
    t = times[index] - times[index].mean(axis=1, keepdims=True)
    square = np.sum(t**2, axis=1)
    return np.sum(t * values[index], axis=1) / square, 1 / np.sqrt(square)


def _crossing(times: np.ndarray, values: np.ndarray, at: int, size: int) -> float:
    """Where the lines through the samples before and after meet, if that is near; `at` may be off by a few samples."""
    best, when = np.inf, 0.5 * (times[at - 1] + times[at])
    for k in range(max(3, at - 3), min(len(times) - 3, at + 3) + 1):
        sides = [slice(max(0, k - size), k), slice(k, k + size)]
        lines = [np.polyfit(times[side] - times[k], values[side], 1) for side in sides]
        left = sum(
            float(np.sum((values[side] - np.polyval(line, times[side] - times[k])) ** 2))
            for side, line in zip(sides, lines, strict=True)
        )
        meet = times[k] + (lines[1][1] - lines[0][1]) / (lines[0][0] - lines[1][0])
        if left < best and times[k - 2] <= meet <= times[min(k + 1, len(times) - 1)]:
            best, when = left, meet
    return float(when)


__all__ = ["Path", "kinks"]
