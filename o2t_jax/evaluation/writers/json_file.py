"""Numbers as valid JSON, including NaN and infinities."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from o2t_jax import results
from o2t_jax.errors import UsageError
from o2t_jax.results import Curve, Result, Table


def plain(name: str, result: Result) -> dict[str, Any]:
    """A result under its names in `experiments.evaluate`: numbers as they are logged, a table's rows.

    A curve gives all its fields; pictures and films give nothing.
    """
    if isinstance(result, Table):
        return {name: list(result.rows)}
    return {name: results.to_json(result)} if isinstance(result, Curve) else {**results.scalars(name, result)}


def nested(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> dict[str, Any]:
    """Rows of a table as dicts within dicts, by the values of `columns` as texts.

    The leaves are dicts of the other columns, or the value itself where there is one other column.
    """
    tree: dict[str, Any] = {}
    for row in rows:
        branch = tree
        *outer, last = columns
        for column in outer:
            branch = branch.setdefault(str(row[column]), {})
        rest = {name: value for name, value in row.items() if name not in columns}
        branch[str(row[last])] = next(iter(rest.values())) if len(rest) == 1 else rest
    return tree


def to_json(value: Any) -> str:
    """Valid JSON: NaN (no ball in the group) and infinities (a perfect PSNR) become null."""
    return json.dumps(_finite(value), indent=2, allow_nan=False) + "\n"


def write_json(value: Any, target: str | Path) -> None:
    """Writes `to_json` to a file, or to standard output if `target` is '-'.

    Raises: UsageError if the file cannot be written.
    """
    if str(target) == "-":
        sys.stdout.write(to_json(value))
        return
    write_whole(Path(target), to_json(value).encode())


def write_whole(path: Path, data: bytes) -> None:
    """Writes the whole file or none of it. Raises: UsageError if it cannot be written."""
    target = Path(os.path.realpath(path))  # a link remains a link
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        if target.exists() and not target.is_file():  # a device or pipe cannot be replaced, and has no content to lose
            target.write_bytes(data)
            return
        temporary.write_bytes(data)
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise UsageError(f"{path}: cannot be written ({error.strerror}): give another path, or make room") from error


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
