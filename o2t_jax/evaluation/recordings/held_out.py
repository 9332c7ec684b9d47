"""How well a law that is fitted to every second sighting predicts the others: which of two ways of seeing is better."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from o2t_jax.evaluation.recordings.analysis import Analysis
from o2t_jax.evaluation.recordings.fitting import FREE, Pins, fit
from o2t_jax.evaluation.recordings.law import Points, Times
from o2t_jax.evaluation.recordings.plane import View

CLEARLY = 0.95  # of the other's residual: below it a way of seeing is better


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """`residual` px along an axis (1.48 times the median) of the sightings held out, of which there are `count`;
    `named`, whether a law was named."""

    residual: float
    count: int
    named: bool

    def better_than(self, other: HeldOut) -> bool:
        """A law that is named goes before none; then the residual decides, where no sightings are given up for it."""
        if self.named != other.named:
            return self.named
        return self.residual < CLEARLY * other.residual and self.count > 0.9 * other.count


def held_out(
    analysis: Analysis,
    times: Times,
    points: Points,
    sigma: Float[np.ndarray, " T"],
    view: View | None,
    pins: Pins = FREE,
) -> HeldOut:
    """The law of the main stretch, fitted anew to its even sightings (of those it keeps), seen by its odd ones.

    Infinite residual where it cannot be fitted to half of them.
    """
    part = analysis.part
    best, rows = part.naming.best, part.rows
    named = part.naming.named
    kept = np.flatnonzero(best.kept)
    even = np.zeros(len(best.kept), bool)
    even[kept[::2]] = True
    odd = best.kept & ~even
    found = fit(best.law, times[rows], points[rows], sigma[rows], even, view, pins, best.values)
    if found is None or not odd.any():
        return HeldOut(np.inf, int(odd.sum()), named)
    return HeldOut(1.4826 * float(np.median(np.abs(found.residuals[odd]))), int(odd.sum()), named)


__all__ = ["HeldOut", "held_out"]
