"""What the study of recordings asks beyond one film's law: pucks, a pitched ball, what results tell together."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

G = 9.81
PUCKS = {name: f"video/discs/{name}.mp4" for name in ("head_on", "oblique")}
BASEBALL = "stereo/baseball_2017"


def pucks(path: Path) -> dict[str, Any]:
    """Restitution and mass ratio (1: momentum is kept by equal masses) with intervals, by `experiments.discs`."""
    from o2t_jax.commands import discs

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pucks.json"
        code = discs.main([f"--infer={path}", "--fps=240", f"--json={out}"])
        if code != 0:
            return {"law": "failed", "parameters": {}}
        found = json.loads(out.read_text())
    wanted = {key: found["parameters"][key] for key in ("restitution", "mass_ratio") if key in found["parameters"]}
    return {"law": "collision of two discs", "parameters": wanted}


def baseball(folder: Path, camera: str = "L") -> dict[str, Any]:
    """The later third of one camera's sightings (L or R), from the first two thirds: px, rms of the distance.

    The clock is the number of the frame, so no g is named. Beside it: constant velocity through the last five known
    sightings, and through all. The last sighting may be one of a ball that is half hidden.
    """
    from o2t_jax.data.recorded.film import Film
    from o2t_jax.data.recordings.background import find_background
    from o2t_jax.data.recordings.tracks import find_tracks
    from o2t_jax.evaluation.recordings import LAWS
    from o2t_jax.evaluation.recordings.fitting import fit

    with tempfile.TemporaryDirectory() as pictures:
        for picture in sorted(folder.glob(f"*{camera}*.jpg")):
            (Path(pictures) / picture.name).symlink_to(picture.resolve())
        film = Film(Path(pictures), fps=1.0)
        background = find_background(film.colours())
        track = find_tracks(film.colours(), background)[0].kept()
    height, width = background.picture.shape[:2]
    points = (track.points - np.array([width - 1, height - 1]) / 2) * (1, -1)
    count = len(track.times)
    known = np.arange(count) < 2 * count // 3
    law = LAWS.get("free flight in depth")
    found = fit(law, track.times, points, track.sigma, known)
    if found is None:
        return {"law": "failed", "parameters": {}}
    off = {law.name: found.residuals[~known]}
    for name, rows in (("last five", np.flatnonzero(known)[-5:]), ("all", np.flatnonzero(known))):
        line = np.polynomial.polynomial.polyfit(track.times[rows], points[rows], 1)
        there = line[0] + track.times[~known, None] * line[1]
        off[f"constant velocity of the {name}"] = points[~known] - there
    told = {name: float(np.sqrt(np.mean(np.sum(each**2, axis=1)))) for name, each in off.items()}
    middle = {name: float(np.median(np.linalg.norm(each, axis=1))) for name, each in off.items()}
    return {
        "law": law.name,
        "parameters": {},
        "rms_px": told,
        "median_px": middle,
        "sightings": [int(known.sum()), int((~known).sum())],
        "clock": "frames: g is not named",
    }


def slide_allows(parameters: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which frictions and scales an acceleration in px/s² along a slope allows: a = g (sin s - f cos s)."""
    acceleration, slope = parameters["acceleration"], parameters["slope"]
    angle = np.radians(abs(slope["value"]))
    least = acceleration["value"] / (G * np.sin(angle))
    lines = [
        f"slope {np.degrees(angle):.1f} deg in the picture: friction from 0 to {np.tan(angle):.3f} is allowed, "
        f"each with its scale; none of them is known"
    ]
    for friction in (0.0, 0.1, 0.2, 0.3):
        pull = G * (np.sin(angle) - friction * np.cos(angle))
        if pull > 0:
            lines.append(f"friction {friction:g} needs {acceleration['value'] / pull:.0f} px/m")
    return [*lines, f"below {least:.0f} px/m no friction is left: such a scale is ruled out"]


def ratio(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, float]:
    """Of two values with intervals that are independent of each other, in logarithms."""
    value = first["value"] / second["value"]
    wide = [
        np.log((each["high"] or np.inf) / each["low"]) / 2 if each["low"] > 0 else np.inf for each in (first, second)
    ]
    reach = float(np.exp(np.hypot(wide[0], wide[1])))
    return {"value": float(value), "low": float(value / reach), "high": float(value * reach)}


def speeds(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The terminal speeds of the objects that fall with drag."""
    found = []
    for each in result.get("objects", []):
        parameters = each["segments"][each["main_segment"]]["parameters"]
        entry = parameters.get("terminal_speed")
        if entry is not None and entry["value"]:
            found.append({"law": each["nearest"], **entry})
    return found


__all__ = ["BASEBALL", "PUCKS", "baseball", "pucks", "ratio", "slide_allows", "speeds"]
