"""Tracks of several objects as comma-separated values: columns t (s), id, x, y, and perhaps r, in any order."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from o2t_jax.data.recorded.recording import read_text
from o2t_jax.errors import UsageError

NEEDED = ("t", "id", "x", "y")
MOST_OBJECTS = 50


def read_tracks(path: Path) -> dict[str, np.ndarray]:
    """Rows [T, 4] (t, x, y, r) by id, in the file's order; r is NaN where the file has no such column.

    Raises: UsageError for a missing file or column, what is no number or not finite, and times of an id that do not
    increase.
    """
    if not path.is_file():
        raise UsageError(f"{path} is no file: give a table with the columns {', '.join(NEEDED)}")
    lines = csv.reader(io.StringIO(read_text(path).removeprefix("\ufeff")))
    try:
        return _tracks(path, lines)
    except csv.Error as error:
        raise UsageError(f"{path}, line {lines.line_num} cannot be read as comma-separated values ({error})") from None


def _tracks(path: Path, lines: Any) -> dict[str, np.ndarray]:
    names = [name.strip().lower() for name in next(lines, [])]
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise UsageError(f"{path} has no column {', '.join(missing)}: its first line must name {', '.join(NEEDED)}")
    where = {name: names.index(name) for name in (*NEEDED, "r") if name in names}
    rows: dict[str, list[list[float]]] = {}
    for line in lines:
        if not any(cell.strip() for cell in line):
            continue
        if len(line) != len(names):
            raise UsageError(f"{path}, line {lines.line_num}: {len(line)} cells, but the first line has {len(names)}")
        row = [_number(line[where[name]], path, lines.line_num) if name in where else math.nan for name in "txyr"]
        one = rows.setdefault(line[where["id"]].strip(), [])
        if one and row[0] <= one[-1][0]:
            raise UsageError(
                f"{path}, line {lines.line_num}: time {row[0]:g} of id {line[where['id']].strip()} is not after "
                f"{one[-1][0]:g}: sort the rows by time, each once"
            )
        one.append(row)
        if len(rows) > MOST_OBJECTS:
            raise UsageError(f"{path} has more than {MOST_OBJECTS} ids: is the column id that of the object?")
    if not rows:
        raise UsageError(f"{path} has no rows: give one for each object and time")
    return {name: np.array(one) for name, one in rows.items()}


def tracks_text(tracks: Mapping[str, np.ndarray]) -> str:
    """The file's text for rows [T, 4] (t, x, y, r) by id, in order of time."""
    rows = sorted((row[0], name, *row[1:]) for name, one in tracks.items() for row in one.tolist())
    lines = [f"{t:.6f},{name},{x:.4f},{y:.4f},{r:.4f}" for t, name, x, y, r in rows]
    return "\n".join(["t,id,x,y,r", *lines]) + "\n"


def _number(text: str, path: Path, line: int) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{path}, line {line}: {text.strip()[:20]!r} is no finite number: leave such rows out")
    return number


__all__ = ["MOST_OBJECTS", "NEEDED", "read_tracks", "tracks_text"]
