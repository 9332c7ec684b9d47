"""Which of two ways of seeing one motion is better: by how well a law fitted to some sightings foretells the others."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from o2t_jax.evaluation.recordings.analysis import Analysis
from o2t_jax.evaluation.recordings.fitting import FREE, Pins, View, fit
from o2t_jax.evaluation.recordings.law import Points, Times
from o2t_jax.evaluation.recordings.naming import NONE

FOLDS = 3
LONGER = 1.2  # times as many sightings under one law: they are a longer stretch, not the same one


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOut:
    """`times` s of the sightings that the main stretch's law describes, and the distance px of each from that law as
    fitted without it; `law`, its name, or what the verdict says."""

    times: Float[np.ndarray, " N"]
    away: Float[np.ndarray, " N"]
    law: str

    def rms(self) -> float:
        """px along an axis."""
        return float(np.sqrt(np.mean(self.away**2) / 2)) if len(self.away) else float("inf")


def held_out(
    analysis: Analysis | None,
    times: Times,
    points: Points,
    sigma: Float[np.ndarray, " T"],
    view: View | None = None,
    pins: Pins = FREE,
) -> HeldOut:
    """Each third of the main stretch's sightings against the law fitted to the others; empty where no law holds.

    Args: as `analysis.analyse`, whose result `analysis` is.
    """
    nothing = HeldOut(np.zeros(0), np.zeros(0), NONE)
    if analysis is None or analysis.part.naming.verdict == NONE:
        return nothing
    part = analysis.part
    best = part.naming.best
    # A law's values hold at the first sighting used, which therefore is never left out.
    begin = int(np.flatnonzero(best.kept)[0])
    t, p, s = (each[part.rows][begin:] for each in (times, points, sigma))
    kept = best.kept[begin:]
    away = np.full(len(t), np.nan)
    order = np.cumsum(kept) - 1
    for fold in range(FOLDS):
        out = kept & (order % FOLDS == fold) & (order > 0)
        found = fit(best.law, t, p, s, kept & ~out, view, pins, best.values)
        if found is None:
            return nothing
        away[out] = np.linalg.norm(found.residuals[out], axis=1)
    used = np.isfinite(away)
    return HeldOut(t[used], away[used], part.naming.verdict)


def better(first: HeldOut, second: HeldOut) -> tuple[int, str]:
    """0 or 1, and why: the one that describes clearly more sightings, else that with the lower residual on the times
    that both have."""
    counts = len(first.away), len(second.away)
    if min(counts) == 0 or max(counts) > LONGER * min(counts):
        chosen = int(counts[1] > counts[0])
        return chosen, f"one law describes {counts[0]} and {counts[1]} sightings"
    shared = [np.isin(np.round(a.times, 6), np.round(b.times, 6)) for a, b in ((first, second), (second, first))]
    if shared[0].sum() < 0.5 * min(counts):
        return int(counts[1] > counts[0]), "the two describe different stretches"
    left = [
        float(np.sqrt(np.mean(each.away[rows] ** 2) / 2)) for each, rows in zip((first, second), shared, strict=True)
    ]
    return int(left[1] < left[0]), f"held-out residuals {left[0]:.3g} and {left[1]:.3g} px"


__all__ = ["HeldOut", "better", "held_out"]
