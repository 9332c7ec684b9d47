"""The view of a recording that `experiments.recording` measured: its film with track and fitted path, moment by moment.

The folder is enough: the original film need not be there any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from o2t_jax.data.recorded.film import Film
from o2t_jax.data.recordings.track_files import read_tracks
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.recordings.quantities import told_entry
from o2t_jax.parsing import plain_name
from o2t_jax.systems.view import Chart, Shown, Slider, Values
from o2t_jax.training.workdir import CONFIG, RESULT, read_json

TRACK = "track.csv"


def is_recording(folder: Path) -> bool:
    """Whether `experiments.recording` wrote this folder: it has a result and tracks, and no config."""
    return (folder / RESULT).is_file() and (folder / TRACK).is_file() and not (folder / CONFIG).exists()


class RecordingView:
    """See `systems.view.View`. The state is empty: the frame is a control."""

    def __init__(self, folder: Path) -> None:
        """Raises: UsageError where the folder holds no film, as that of tracks or of several cameras does not, or is
        damaged."""
        result: Any = read_json(folder / RESULT)
        if isinstance(result, dict) and not result.get("overlay"):
            raise UsageError(f"{folder} holds no film with its times: measure it again from a film of one camera")
        try:
            file, self.times = str(result["overlay"]["file"]), np.asarray(result["overlay"]["times"], np.float64)
            self.law, self._law_facts = str(result["law"]), _facts_of(result)
            if self.times.ndim != 1 or not np.isfinite(self.times).all() or not plain_name(file):
                raise ValueError("the film's name or times")
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise UsageError(f"{folder / RESULT} is damaged ({error!r}): measure the film again") from None
        self.frames = [picture for _, picture in Film(folder / file).colours()]
        self.tracks = read_tracks(folder / TRACK)
        if len(self.frames) != len(self.times):
            raise UsageError(f"{folder}: {file} has {len(self.frames)} frames and {RESULT} {len(self.times)} times")
        self.title = f"{folder.name}: {self.law}"
        self.period = float(np.median(np.diff(self.times))) if len(self.times) > 1 else 1.0
        self.controls = {"frame": Slider("frame", "", 0, len(self.frames) - 1, 1, 0)}

    def begin(self, values: Values) -> None:
        """No state."""

    def advance(self, state: None, values: Values) -> tuple[None, Values]:
        """The next frame; after the last one the first."""
        return None, {**values, "frame": (round(values["frame"]) + 1) % len(self.frames)}

    def show(self, state: None, values: Values) -> Shown:
        """The frame with sightings (circles) and fitted paths (lines); the tracks over time; the law with intervals."""
        index = round(values["frame"])
        now = float(self.times[index])
        lines = {}
        for number, track in enumerate(self.tracks):
            for axis, name in enumerate(("right", "down")):
                lines[f"object {number}, {name}"] = np.stack([track.times, track.points[:, axis]], axis=-1)
        facts = {"time": f"{now:.3f} s", "law": self.law} | self._law_facts
        chart = Chart("the track", "time, s", "place in the film, px", lines, now)
        return Shown({"film, sightings (circles), fitted path (line)": self.frames[index]}, (chart,), facts)


def _facts_of(result: Mapping[str, Any]) -> dict[str, str]:
    """The law's quantities with intervals, what was refused, and where the scale is from; then the `further` laws."""
    facts = _told(result)
    facts["scale"] = str(result["scale"]["source"])
    for entry in result.get("further", ()):
        tracks = " and ".join(str(number) for number in entry["tracks"])
        which = f"track {tracks} by {entry['sees']}"
        facts[f"law of {which}"] = f"{entry['law']} ({entry['start']:.3f} to {entry['end']:.3f} s)"
        facts |= {f"{name}, {which}": text for name, text in _told(entry).items()}
    return facts


def _told(entry: Mapping[str, Any]) -> dict[str, str]:
    """The `parameters` of one law with intervals, and what was `refused`."""
    facts = {name.replace("_", " "): told_entry(each) for name, each in entry["parameters"].items()}
    return facts | {f"refused {i + 1}": str(reason) for i, reason in enumerate(entry["refused"])}


__all__ = ["RecordingView", "is_recording"]
