"""Tracks as CSV files: our own (t, id, x, y), Tracker's (Open Source Physics) and DeepLabCut's exports."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from o2t_jax.data.recordings.tracks import LEAST, Track, noises_of
from o2t_jax.errors import UsageError

LIKELY = 0.6  # DeepLabCut's own threshold for a sighting
LARGEST = 1e9  # s, px: far beyond any film
COLUMNS = ("t", "id", "x", "y", "sigma", "area", "used")


def write_tracks(tracks: Sequence[Track]) -> str:
    """The CSV text of tracks: t s, id, x and y px (right, down, from the top left pixel), sigma px, area px²."""
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(COLUMNS)
    for number, track in enumerate(tracks):
        for i in range(len(track.times)):
            rows.writerow(
                [
                    f"{track.times[i]:.6f}",
                    number,
                    f"{track.points[i, 0]:.3f}",
                    f"{track.points[i, 1]:.3f}",
                    f"{track.sigma[i]:.3f}",
                    f"{track.areas[i]:.0f}",
                    int(track.whole[i]),
                ]
            )
    return file.getvalue()


def read_tracks(path: Path, fps: float | None = None) -> list[Track]:
    """The tracks of a CSV file, in the order of their numbers.

    `t, id, x, y` (id may be absent) has times in s, and x, y px right and down; Tracker's export (t, x, y below a line
    with the object's name) has y up; DeepLabCut's has frame numbers, so it needs `fps`.

    Raises: UsageError where the file is none of these, times are missing or given twice, or a track is too short.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = csv.reader(io.StringIO(text), delimiter=_delimiter(text))
        lines = [row for row in rows if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as a CSV file ({error})") from None
    if lines and lines[0][0].strip() == "scorer":
        found = _deeplabcut(path, lines, fps)
    else:
        if fps is not None:
            raise UsageError(f"{path} has times, and --fps={fps:g} is a second clock: leave --fps out")
        found = _plain(path, lines)
    tracks = []
    for name, (times, points) in found.items():
        if len(times) < LEAST:
            raise UsageError(f"{path}: track {name} has {len(times)} sightings: at least {LEAST} are needed")
        if not (np.abs(times) < LARGEST).all() or not (np.abs(points) < LARGEST).all():
            raise UsageError(f"{path}: track {name} has times or places that are no numbers below {LARGEST:g}")
        if np.any(np.diff(times) <= 0):
            raise UsageError(f"{path}: track {name} has two clocks: its time does not increase")
        ones = np.ones(len(times))
        sigma = noises_of(times, points)
        tracks.append(Track(times, points, np.nan * ones, ones, sigma, ones > 0, float("nan"), 1.0))
    if not tracks:
        raise UsageError(f"{path} holds no track: it needs columns t, x, y")
    return tracks


def _delimiter(text: str) -> str:
    """Tracker separates by tabs unless it is told otherwise; spreadsheets of some languages by semicolons."""
    head = text[:2000]
    return max(",\t;", key=head.count)


def _plain(path: Path, lines: list[list[str]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    head = next((i for i, row in enumerate(lines[:5]) if {"t", "x", "y"} <= {cell.strip() for cell in row}), None)
    if head is None:
        raise UsageError(f"{path} holds no track: it needs columns t, x, y (and id for several objects)")
    names = [cell.strip() for cell in lines[head]]
    at = {name: names.index(name) for name in ("t", "x", "y")}
    which = names.index("id") if "id" in names else None
    used = names.index("used") if "used" in names else None
    up = -1.0 if which is None and head > 0 else 1.0  # Tracker writes the object's name in a line above, and y up
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for number, row in enumerate(lines[head + 1 :], head + 2):
        try:
            values = tuple(float(row[at[name]]) for name in ("t", "x", "y"))
        except (ValueError, IndexError):
            if len(row) > at["x"] and not row[at["x"]].strip():
                continue  # a frame in which the object was not marked
            raise UsageError(f"{path}, line {number}: t, x, y are not three numbers") from None
        if not np.isfinite(values).all():
            raise UsageError(f"{path}, line {number}: t, x, y are not finite")
        if len(row) <= max(used or 0, which or 0):
            raise UsageError(f"{path}, line {number}: {len(row)} cells, the columns are {', '.join(names)}")
        if used is None or row[used].strip() != "0":
            rows.setdefault(row[which].strip() if which is not None else "0", []).append(values)  # type: ignore[arg-type]
    tables = {name: np.array(values) for name, values in rows.items()}
    return {name: (table[:, 0], table[:, 1:] * (1.0, up)) for name, table in tables.items()}


def _deeplabcut(path: Path, lines: list[list[str]], fps: float | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if fps is None:
        raise UsageError(f"{path} (DeepLabCut) numbers its frames and has no clock: give --fps")
    head = next((i for i, row in enumerate(lines[:4]) if row[0].strip() == "coords"), None)
    if head is None:
        raise UsageError(f"{path} begins as a DeepLabCut export, but has no line 'coords'")
    try:
        table = np.array([[float(cell.strip() or "nan") for cell in row] for row in lines[head + 1 :]], ndmin=2)
    except ValueError:  # a word, or rows of different lengths
        raise UsageError(f"{path} (DeepLabCut) must have the same count of numbers in each row") from None
    found = {}
    for column in range(1, table.shape[1] - 2, 3):
        rows = table[:, column + 2] >= LIKELY
        rows &= ~np.isnan(table[:, column : column + 2]).any(axis=1)  # blank cells
        name = " ".join(lines[i][column].strip() for i in range(1, head) if column < len(lines[i]))
        found[name] = (table[rows, 0] / fps, table[rows, column : column + 2])
    return found


__all__ = ["COLUMNS", "read_tracks", "write_tracks"]
