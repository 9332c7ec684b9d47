"""Numbers as valid JSON, whatever they are."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from o2t_jax import results
from o2t_jax.errors import UsageError
from o2t_jax.results import Curve, Result, Table


def plain(name: str, result: Result) -> dict[str, Any]:
    """A result under the names that `experiments.evaluate` gives it: numbers as they are logged, a table's rows.

    Of a curve all fields; of pictures and films nothing.
    """
    if isinstance(result, Table):
        return {name: list(result.rows)}
    return {name: results.to_json(result)} if isinstance(result, Curve) else {**results.scalars(name, result)}


def to_json(value: Any) -> str:
    """Valid JSON: what is not a number (no ball in the group) or infinite (a perfect PSNR) becomes null."""
    return json.dumps(_finite(value), indent=2, allow_nan=False) + "\n"


def write_json(value: Any, target: str | Path) -> None:
    """Writes `to_json` to a file, or to standard output where `target` is '-'.

    Raises: UsageError where the file cannot be written.
    """
    if str(target) == "-":
        sys.stdout.write(to_json(value))
        return
    write_whole(Path(target), to_json(value).encode())


def write_whole(path: Path, data: bytes) -> None:
    """Writes the whole file or none of it. Raises: UsageError where it cannot be written."""
    target = Path(os.path.realpath(path))  # a link stays one
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        if target.exists() and not target.is_file():  # a device or pipe has nothing to lose, and cannot be replaced
            target.write_bytes(data)
            return
        temporary.write_bytes(data)
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise UsageError(f"{path}: cannot be written ({error.strerror}); give another place, or make room") from error


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
