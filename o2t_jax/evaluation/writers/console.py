"""Results as text: aligned tables, one line per number."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from o2t_jax.evaluation.writers.json_file import write_json
from o2t_jax.results import Column, Result, Scalar, Score, Table

MOST_ROWS = 40  # longer tables are only written to files


def as_text(name: str, result: Result) -> str:
    """A result as console text; empty for results that only a file can show, and for numbers that a table repeats.

    The latter are named "group/measure".
    """
    if isinstance(result, Table):
        if len(result.rows) > MOST_ROWS or not result.rows:
            return f"{name}: {len(result.rows)} rows, see --json"
        return f"\n{format_table(result.rows, shown_columns(result))}\n"
    if isinstance(result, Scalar) and "/" not in name:
        return f"{name} {describe(result)}"
    return ""


def describe(result: Scalar) -> str:
    """A number with unit and interval; a Score with its best baseline."""
    text = f"{result.value:.5g}{f' {result.unit}' if result.unit else ''}"
    if result.low is not None:
        text += f" [{result.low:.5g}, {result.high:.5g}]"
    if isinstance(result, Score):
        baseline, value = result.best_baseline()
        text += f" (best baseline: {baseline} {value:.5g})"
    return text


def shown_columns(table: Table) -> dict[str, str]:
    """Name -> format of a table's printed columns; '' for text. Numbers without a format get four digits."""
    found = {}
    for name, column in table.columns.items():
        if column.shown:
            numbers = [row[name] for row in table.rows if isinstance(row[name], int | float)]
            found[name] = column.spec or ("" if not numbers else ".4g" if any(map(_is_float, numbers)) else "d")
    return found


def heading(name: str, column: Column) -> str:
    """The column's name with its unit, unless the name ends with it."""
    return f"{name} [{column.unit}]" if column.unit and not name.endswith(f"_{column.unit}") else name


def format_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str] | None = None) -> str:
    """Rows as an aligned text table; '-' marks undefined entries (NaN, None or absent).

    `columns`: name -> format of its numbers ('' for left-aligned text); None takes every field of the first row.
    """
    if columns is None:
        columns = _columns_of(rows[0])
    cells = [list(columns)] + [[format_cell(row.get(name), spec) for name, spec in columns.items()] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    left = [spec == "" for spec in columns.values()]
    lines = [
        "  ".join(
            c.ljust(w) if to_left else c.rjust(w) for c, w, to_left in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def _columns_of(row: Mapping[str, Any]) -> dict[str, str]:
    def spec(value: Any) -> str:
        if isinstance(value, int | np.integer) and not isinstance(value, bool):
            return "d"
        return ".4g" if _is_float(value) else ""

    return {name: spec(value) for name, value in row.items()}


def _is_float(value: Any) -> bool:
    return isinstance(value, float | np.floating)


def format_cell(value: Any, spec: str) -> str:
    """One entry of a table; '-' if it is undefined. Texts ignore the format."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if not spec or isinstance(value, str | bool) or (spec[-1] == "d" and not float(value).is_integer()):
        return str(value)
    return format(int(value) if spec[-1] == "d" else value, spec)


def report(text: str, value: Any, target: str | Path | None) -> None:
    """Prints `text` and, with a `target`, writes `value` by `write_json`."""
    print(text, file=text_stream(target))
    if target:
        write_json(value, target)


def text_stream(target: str | Path | None) -> TextIO:
    """The stream for text when JSON goes to `target`: '-' reserves standard output for the JSON."""
    return sys.stderr if str(target) == "-" else sys.stdout
