"""The law of system `recording`: from its weights to physical units, and the classical fit beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from o2t_jax.data.recordings.background import find_background
from o2t_jax.data.recordings.tracks import Track, find_tracks, noise_of
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.recordings import LAWS
from o2t_jax.evaluation.recordings.fitting import fit
from o2t_jax.models.recording.falling import Seen

SURE = 1.96  # standard deviations of a 95 % interval
FLIGHT, DRAG = "free flight", "free flight with drag"


@dataclasses.dataclass(frozen=True)
class Units:
    """`height` px of the film's pictures and `second`, s in the layer's unit of time; `px_per_metre`, 0: no scale."""

    height: float
    second: float
    px_per_metre: float = 0.0

    @property
    def length(self) -> float:
        """The layer's unit of length, in m, or in px without a scale."""
        return self.height / (self.px_per_metre or 1.0)

    @property
    def metre(self) -> str:
        """The name of the unit of length."""
        return "m" if self.px_per_metre else "px"

    @property
    def unit(self) -> str:
        """That of an acceleration."""
        return f"{self.metre}/s²"


def law_in(layer: Mapping[str, Any], units: Units) -> dict[str, float]:
    """g, the camera's roll (deg) and, where it is learned, drag (1/length), in `units`, from the layer's weights."""
    right, up = (float(x) for x in np.asarray(layer["gravity"], np.float64))
    found = {
        "g": float(np.hypot(right, up)) * units.length / units.second**2,
        "roll_deg": float(np.degrees(np.arctan2(right, 0.0 - up))),
    }
    return found | ({"drag": float(layer["drag"]) / units.length} if "drag" in layer else {})


def follow(colours: Callable[[], Iterator[tuple[float, np.ndarray]]]) -> Track | None:
    """The likeliest object of a film by the classical tracker; None where it follows nothing."""
    try:
        return find_tracks(colours(), find_background(colours()))[0].kept()
    except UsageError:
        return None


def classical(track: Track, units: Units, drag: bool) -> dict[str, float] | None:
    """The flight fitted to a track, seen from the front; None where it does not hold."""
    points = track.points * (1.0, -1.0)
    found = fit(LAWS.get(DRAG if drag else FLIGHT), track.times, points, track.sigma)
    if found is None:
        return None
    values = dict(zip(found.law.names, found.values, strict=True))
    scale = units.length / units.height
    return {"g": float(values["g"]) * scale} | ({"drag": float(values["k"]) / scale} if drag else {})


def law_of(
    layer: Mapping[str, Any], seen: Seen, times: np.ndarray, units: Units, truth: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The law in the weights, as JSON types, with intervals by the tower's own sightings `seen` [T, 1] at `times`.

    Half an interval is that of a least-squares fit to these sightings, with their scatter, counted as independent ones
    by their correlation. A known scale's own error, the plane's tilt and the clock are not in it. Without a fit the
    interval is infinite.
    """
    found = law_in(layer, units)
    drag = "drag" in layer
    rows = np.flatnonzero(np.asarray(seen.seen)[:, 0] > 0)
    half = {"g": np.inf, "drag": np.inf}
    if len(rows) > 8:
        points = np.asarray(seen.place, np.float64)[rows, 0] * units.height
        seconds = times[rows] * units.second
        sigma = np.full(len(rows), noise_of(seconds, points))
        best = fit(LAWS.get(DRAG if drag else FLIGHT), seconds, points, sigma)
        if best is not None:
            spread = np.sqrt(np.diag(best.covariance))
            scale = units.length / units.height
            half["g"] = SURE * spread[best.law.names.index("g")] * scale
            half["drag"] = SURE * spread[best.law.names.index("k")] / scale if drag else np.inf
    names = {"g": units.unit} | ({"drag": f"1/{units.metre}"} if drag else {})
    parameters = {
        name: {
            "value": found[name],
            "low": float(found[name] - half[name]),
            "high": float(found[name] + half[name]),
            "unit": unit,
            "truth": (truth or {}).get(name),
        }
        for name, unit in names.items()
    }
    form = "r'' = g - k |r'| r'" if drag else "r'' = g"
    return {"form": form, "nearest": form, "rivals": [], "parameters": parameters}


__all__ = ["Units", "classical", "follow", "law_in", "law_of"]
