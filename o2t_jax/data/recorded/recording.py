"""What a recording of a real motion is: tracks of states over time, with units, a layout and what is known of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.physics.environment import Layout


@dataclasses.dataclass(frozen=True)
class Known:
    """A quantity that is known apart from the recording: `value` in `unit`, and where it is from."""

    value: float
    unit: str
    source: str


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """One continuous observation.

    Attributes: `times` [T], increasing, in the recording's `clock`; `states` [T, D]; `values`, numbers that hold for
    this track alone (a length, a mass), in SI units; `accelerations` [T, N] of the N positions, if the file has them.
    """

    name: str
    times: np.ndarray
    states: np.ndarray
    values: Mapping[str, float] = dataclasses.field(default_factory=dict)
    accelerations: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.states.ndim != 2 or self.times.shape != self.states.shape[:1] or len(self.times) < 2:
            raise UsageError(
                f"track {self.name!r}: times {self.times.shape} and states {self.states.shape} do not fit: give at "
                "least two rows of one length"
            )
        if not (np.isfinite(self.times).all() and np.isfinite(self.states).all()):
            raise UsageError(f"track {self.name!r} has numbers that are not finite: the file is damaged")
        if np.any(np.diff(self.times) <= 0):
            at = int(np.argmax(np.diff(self.times) <= 0))
            raise UsageError(
                f"track {self.name!r}: time does not increase after {self.times[at]:g}: the file is damaged"
            )


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """Tracks of one apparatus.

    Attributes: `entries`, names of the D entries of a state, and `units`; `layout` of a state (without positions where
    velocities are not given); `clock`, the unit of time; `step`, the nominal time between two rows; `known`, name ->
    what is known from elsewhere; `notes`, what misleads in the files; `licence` of the files.
    """

    name: str
    tracks: tuple[Track, ...]
    entries: tuple[str, ...]
    units: tuple[str, ...]
    layout: Layout
    step: float
    clock: str = "s"
    known: Mapping[str, Known] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    licence: str = "none given"

    def track(self, name: str) -> Track:
        """The track of that name. Raises: UsageError for an unknown one."""
        for track in self.tracks:
            if track.name == name:
                return track
        raise UsageError(
            f"recording {self.name} has no track {name!r}: it has {', '.join(t.name for t in self.tracks)}"
        )


def source_folder(folder: str | Path, source: str) -> Path:
    """Where the files of a source are: `folder`/tracks/`source`, or `folder`/`source`. Raises: UsageError."""
    if not str(folder):
        raise UsageError("the folder with the recordings is missing: give --data=DIR")
    for place in (Path(folder) / "tracks" / source, Path(folder) / source):
        if place.is_dir():
            return place
    raise UsageError(f"--data={folder} has no folder {source} (nor tracks/{source}): give the folder that holds it")


def read_numbers(path: Path, columns: int, *, separator: str | None = None, text: str | None = None) -> np.ndarray:
    """The table [rows, columns] of a text file; lines that begin with % are skipped.

    Args: `text`, the file's content where it was read already. Raises: UsageError where the file is missing, or a row
    is not `columns` numbers.
    """
    if text is None:
        text = read_text(path)
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("%"):
            continue
        try:
            row = [float(part) for part in line.split(separator)]
        except ValueError:
            row = []
        if len(row) != columns:
            raise UsageError(f"{path}, line {number}: expected {columns} numbers, found {line.strip()[:40]!r}")
        rows.append(row)
    if len(rows) < 2:
        raise UsageError(f"{path} has {len(rows)} rows of numbers: the file is cut off, at least 2 are needed")
    return np.array(rows)


def read_text(path: Path) -> str:
    """A file's text. Raises: UsageError where it is missing or is not text."""
    return read_bytes(path).decode("utf-8", errors="replace")


def read_bytes(path: Path) -> bytes:
    """A file's bytes. Raises: UsageError where it is missing or cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): is --data the right folder?") from None


__all__ = ["Known", "Recording", "Track", "read_bytes", "read_numbers", "read_text", "source_folder"]
