"""One track from end to end: its stretches between contacts, the law of each, and what the contacts tell."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from o2t_jax.evaluation.recordings.law import Points, Times
from o2t_jax.evaluation.recordings.naming import NONE, Naming, name_law
from o2t_jax.evaluation.recordings.plane import TILT, View
from o2t_jax.evaluation.recordings.quantities import Clock, Measured, Scale, measure_named
from o2t_jax.evaluation.recordings.segments import Contact, find_contacts, stretches

MOST = 4  # stretches that are fitted, the ones with the longest paths
LEAST = 8  # sightings of a stretch
WHOLE = 0.8  # of the sightings on which one law must hold for there to be no contact
STANDS = 0.1  # of the longest stretch's path that a stretch must have to stand for the track


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """A stretch without contact: sightings `rows` of the track, their `naming`, what is `measured` by its best fit."""

    rows: slice
    naming: Naming
    measured: Measured

    def path(self) -> Float[np.ndarray, "T 2"]:
        """The fitted path at the sightings' times, px (right, up) less residuals."""
        return -self.naming.best.residuals

    def as_dict(self, times: Times) -> dict[str, Any]:
        """For JSON."""
        best, kept = self.naming.best, self.naming.best.kept
        used = times[self.rows][kept]
        found: dict[str, Any] = {
            "start": float(used[0]),
            "end": float(used[-1]),
            "law": self.naming.verdict,
            "equation": best.law.equation if self.naming.named else "",
            "reason": self.naming.reason,
            "candidates": list(self.naming.candidates),
            "behind_in_log_evidence": {name: float(x) for name, x in self.naming.behind.items()},
            "sightings": int(kept.sum()),
            "left_out": int((~kept).sum()),
            "rms_px": best.rms,
            "sightings_that_count_as_one": best.memory,
            "nearest": best.law.name,
            "parameters": self.measured.parameters,
            "scale": self.measured.scale,
            "refused": list(self.measured.refused),
        }
        return found


@dataclasses.dataclass(frozen=True, eq=False)
class Analysis:
    """The `parts` of a track in order of time; `main`, the index of the one that stands for it; its `contacts`."""

    parts: tuple[Part, ...]
    main: int
    contacts: tuple[Contact, ...]

    @property
    def part(self) -> Part:
        """The one that stands for the track."""
        return self.parts[self.main]


def analyse(
    times: Times,
    points: Points,
    sigma: Float[np.ndarray, " T"],
    jitter: float,
    *,
    view: View | None,
    scale: Scale,
    clock: Clock,
    tilt: float = TILT,
) -> Analysis | None:
    """The laws of a track: of the whole where one holds, else of the stretches between contacts.

    Args: `points` px (right, up); `jitter` px. Returns None where no form describes any stretch.
    """
    pins = scale.pins()

    def named(rows: slice) -> Naming | None:
        return name_law(times[rows], points[rows], sigma[rows], jitter, view, pins)

    whole = named(slice(0, len(times)))
    contacts: list[Contact] = []
    found: list[tuple[slice, Naming]] = []
    if whole is not None and whole.verdict != NONE and whole.best.kept.mean() >= WHOLE:
        found = [(slice(0, len(times)), whole)]
    else:
        contacts = find_contacts(times, points, jitter)
        parts = stretches(len(times), contacts, LEAST)
        parts.sort(key=lambda rows: -_path(points[rows]))
        found = [(rows, each) for rows in parts[:MOST] if contacts and (each := named(rows)) is not None]
        found = found or ([(slice(0, len(times)), whole)] if whole is not None else [])
    if not found:
        return None
    found.sort(key=lambda each: each[0].start)
    main = _main([naming for _, naming in found], [_path(points[rows]) for rows, _ in found], scale)
    first = measure_named(found[main][1], scale, clock, tilt)
    # A launch, or a known g, fixes the scale of one stretch; the others are measured by it.
    side_scale = scale
    if scale.metres_per_px is None and first.scale is not None and first.scale["high"] is not None:
        spread = (first.scale["high"] - first.scale["low"]) / (2 * 1.96 * first.scale["value"])
        side_scale = Scale(1 / first.scale["value"], spread, source="that of the main stretch")
    measured = [
        Part(rows, naming, first if i == main else measure_named(naming, side_scale, clock, tilt))
        for i, (rows, naming) in enumerate(found)
    ]
    return Analysis(tuple(measured), main, tuple(contacts))


def _main(namings: list[Naming], lengths: list[float], scale: Scale) -> int:
    """The stretch that stands for the track: the longest path under a named law; of a launch, the first flight.

    A short stretch does not stand for a track most of which follows no law.
    """
    enough = [i for i, length in enumerate(lengths) if length >= STANDS * max(lengths)]
    named = [i for i in enough if namings[i].named] or enough
    flights = [i for i in named if "flight" in namings[i].best.law.name]
    if scale.speed is not None and flights:
        return flights[0]
    return max(named, key=lambda i: lengths[i])


def _path(points: np.ndarray) -> float:
    return float(np.sum(np.linalg.norm(np.diff(points, axis=0), axis=1)))


__all__ = ["Analysis", "Part", "analyse"]
