"""A folder of clips in one command: `--root=DIR --table=FILE.csv`, or all films of a folder. One row a quantity, beside
the truth and what a fit that begins at 10 would claim; a clip that fails is a row too."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from o2t_jax.data.recorded.pictures import SUFFIXES
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.writers.json_file import write_json, write_whole
from o2t_jax.training.workdir import RESULT, read_json

FILMS = {".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".webm", ".zip"}
START = 10.0  # where published fits begin
# What may be said of a clip: what is known of it and which part counts. Others read or write further files.
SAYS = ("angle", "diameter", "end", "focal", "fps", "known", "level", "objects", "roi", "scale", "scale_error")
SAYS += ("shutter", "speed", "start", "tilt", "up")
COLUMNS = ("file", "row", "expected", "law", "quantity", "value", "low", "high", "unit")
COLUMNS += ("truth", "error_percent", "holds", "audit", "seconds", "message")


@dataclasses.dataclass(frozen=True)
class Clip:
    """A line of the table: `file` below the root, the `law` that is expected (empty: not known), flags of the command
    that say what is `known` (those of `SAYS`), and `truth`, quantity -> SI value."""

    file: str
    law: str = ""
    known: tuple[str, ...] = ()
    truth: dict[str, float] = dataclasses.field(default_factory=dict)


def is_clips(path: Path) -> bool:
    """Whether a folder holds films, not the pictures of one film."""
    if not path.is_dir():
        return False
    suffixes = {child.suffix.lower() for child in path.iterdir() if child.is_file()}
    return not suffixes & SUFFIXES and bool(clips_of(path))


def clips_of(root: Path) -> list[Clip]:
    """All films below a folder, in the order of their names."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix.lower() in FILMS)
    return [Clip(str(path.relative_to(root))) for path in files]


def read_table(path: Path) -> list[Clip]:
    """A CSV file with the columns file, law, known and truth, of which only file must be there.

    known: flags of `SAYS` with spaces between them, such as "--fps=240 --speed=2.7 --angle=30"; truth: such as
    "g=9.81 length=0.5". Raises: UsageError where it is no such file, or says anything else.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"--table={path} cannot be read as a CSV file ({error})") from None
    if not rows or "file" not in rows[0]:
        raise UsageError(f"--table={path} needs the columns file, law, known, truth, and a row for each clip")
    clips = []
    for number, row in enumerate(rows, 2):
        cells = {name: (row.get(name) or "").strip() for name in ("file", "law", "known", "truth")}
        if not cells["file"] or Path(cells["file"]).is_absolute() or ".." in Path(cells["file"]).parts:
            raise UsageError(f"--table={path}, line {number}: file {cells['file']!r} must be a path below --root")
        known = tuple(_flag(path, number, word) for word in cells["known"].split())
        clips.append(Clip(cells["file"], cells["law"], known, _truth(path, number, cells["truth"])))
    return clips


def _flag(path: Path, number: int, word: str) -> str:
    name, equals, value = word.removeprefix("--").partition("=")
    if name not in SAYS or not equals:
        raise UsageError(f"--table={path}, line {number}: known {word!r} must be --name=value of {', '.join(SAYS)}")
    return f"--{name}={value}"


def _truth(path: Path, number: int, text: str) -> dict[str, float]:
    found = {}
    for word in text.replace(";", " ").split():
        name, _, value = word.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise UsageError(f"--table={path}, line {number}: truth {word!r} must be such as g=9.81") from None
    return found


def run_table(
    clips: Sequence[Clip], root: Path, out: Path, base: Sequence[str], one: Callable[[list[str], Path], dict[str, Any]]
) -> str:
    """Measures each clip into a folder of its own in `out`, which may hold finished ones, and returns the table's text.

    Args: `base`, flags for all clips; `one`, (flags, folder) -> result, which may raise UsageError.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    taken: dict[str, int] = {}  # a file may come twice, with other flags
    for clip in clips:
        name = clip.file.replace("/", "_").replace(".", "_")
        taken[name] = taken.get(name, 0) + 1
        folder = out / (name if taken[name] == 1 else f"{name}_{taken[name]}")
        begin = time.monotonic()
        try:
            result = _result(clip, root, folder, base, one)
        except UsageError as error:
            message = " ".join(str(error).split())
            rows.append({"file": clip.file, "row": "failed", "expected": clip.law, "message": message})
        else:
            seconds = result["seconds"].get("all", time.monotonic() - begin)
            rows += rows_of(clip, result, seconds)
        _write(rows, out)  # after each clip: what is done is there if the next one takes long
    return format_rows(rows)


def _result(clip: Clip, root: Path, folder: Path, base: Sequence[str], one: Callable) -> dict[str, Any]:
    if (folder / RESULT).exists():
        return kept_result(folder, clip)
    path = root / clip.file
    kind = "track" if path.suffix.lower() == ".csv" else "video"
    return one([*base, *clip.known, f"--{kind}={path}"], folder)


def kept_result(folder: Path, clip: Clip) -> dict[str, Any]:
    """What an earlier call has left in a clip's folder. Raises: UsageError where it is damaged."""
    result = read_json(folder / RESULT)
    try:
        rows_of(clip, result, result["seconds"].get("all", 0.0))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(f"{folder / RESULT} is damaged ({error!r}): delete the folder to measure it again") from None
    return result


def rows_of(clip: Clip, result: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    """A row for each quantity with a truth, and for its start value; without truths, one for each quantity."""
    common = {"file": clip.file, "expected": clip.law, "law": result["law"], "seconds": round(seconds, 1)}
    if "audit" in result:
        common["audit"] = result["audit"]["verdict"]
    parameters, rows = {}, []
    for entry in [*result.get("further", [])[::-1], result]:  # the first object's own law goes before others
        parameters |= entry["parameters"]
    for name in clip.truth or parameters:
        entry, true = parameters.get(name), clip.truth.get(name)
        row = {**common, "row": "found", "quantity": name, "truth": true}
        if entry is None or entry["value"] is None:
            row["message"] = f"no {name}: {'; '.join(result['refused']) or 'not a quantity of this law'}"
        else:
            row |= entry
            if true is not None and entry["unit"].startswith("px"):
                row["message"] = "no scale: not compared"
            elif true is not None:
                row["error_percent"] = 100 * (entry["value"] / true - 1) if true else None
                row["holds"] = entry["low"] <= true <= (math.inf if entry["high"] is None else entry["high"])
        rows.append(row)
        start = start_value(name, clip)
        if true is not None and start is not None:
            error = 100 * (start / true - 1) if true else None
            start_row = {"file": clip.file, "row": "start value", "quantity": name, "value": start, "truth": true}
            rows.append({**start_row, "unit": (entry or {}).get("unit", ""), "error_percent": error})
    return rows or [{**common, "row": "found", "message": "; ".join(result["refused"])}]


def start_value(name: str, clip: Clip) -> float | None:
    """What a fit that begins at 10 claims without looking: 10 for g and for g over a length, and the other one of g and
    the length where one of them is known."""
    known = {}
    for word in clip.known:
        if word.startswith("--known="):
            known = {key: float(value) for key, _, value in (w.partition(":") for w in word[8:].split(","))}
    if name in ("g", "g_over_length"):
        return START
    if name == "length" and "g" in known:
        return known["g"] / START
    return None


def format_rows(rows: Sequence[dict[str, Any]]) -> str:
    """The table as a text."""
    lines, last = [], None
    for row in rows:
        if row["file"] != last:
            law = row.get("law", "failed")
            wanted = f" (expected: {row['expected']})" if row.get("expected") and row["expected"] != law else ""
            lines.append(f"{row['file']}: {law}{wanted}" + (f"; audit: {row['audit']}" if row.get("audit") else ""))
            last = row["file"]
        if row.get("value") is not None:
            interval = f" ({row['low']:.5g} to {_text(row['high'])})" if "low" in row else ""
            label = f"{row['quantity']}, start value" if row["row"] == "start value" else row["quantity"]
            line = f"  {label}: {row['value']:.5g}{interval} {row.get('unit', '')}".rstrip()
            if row.get("error_percent") is not None:
                line += f", truth {row['truth']:g}: {row['error_percent']:+.2f} %"
                held = row.get("holds")
                line += "" if held is None else f", the interval {'holds' if held else 'misses'} it"
            lines.append(line)
        if row.get("message"):
            lines.append(f"  {row['message']}")
    return "\n".join(lines)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _write(rows: Sequence[dict[str, Any]], out: Path) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: row.get(name) for name in COLUMNS} for row in rows)
    write_whole(out / "table.csv", text.getvalue().encode())
    write_json(list(rows), out / "table.json")


__all__ = ["Clip", "clips_of", "format_rows", "is_clips", "read_table", "rows_of", "run_table", "start_value"]
