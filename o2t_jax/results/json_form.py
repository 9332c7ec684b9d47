"""Results without pictures as plain JSON, and back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from o2t_jax.results.checks import Cell
from o2t_jax.results.kinds import NUMERIC, Column, Curve, Scalar, Table, kind_of


def to_json(result: Scalar | Curve | Table) -> dict[str, Any]:
    """All fields and the `kind`, as JSON types: NaN as null, infinities as "inf" and "-inf".

    Raises: ValueError for pictures and films, which are files of their own.
    """
    if not isinstance(result, Scalar | Curve | Table):
        raise ValueError(f"a {kind_of(result)} has no JSON form: write it as a file")
    fields = {field.name: _encode(getattr(result, field.name)) for field in dataclasses.fields(result)}
    if isinstance(result, Table):  # cells have their own encoding, which keeps None, NaN and texts apart
        fields["rows"] = [[_encode_cell(cell) for cell in row.values()] for row in result.rows]
    return {"kind": kind_of(result), **fields}


def from_json(value: Mapping[str, Any]) -> Scalar | Curve | Table:
    """The inverse of `to_json`. Raises: ValueError if `value` is not its output."""
    kind = NUMERIC.get(str(value.get("kind")))
    if kind is None:
        raise ValueError(f"kind={value.get('kind')!r} is unknown: it must be one of {', '.join(NUMERIC)}")
    try:
        return _decoded(kind, value)
    except (TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a valid {value['kind']}: {error}") from error


def _decoded(kind: type[Scalar | Curve | Table], value: Mapping[str, Any]) -> Scalar | Curve | Table:
    known = {field.name for field in dataclasses.fields(kind)}
    fields = {name: item for name, item in value.items() if name in known}
    if issubclass(kind, Table):
        fields["columns"] = {name: Column(**column) for name, column in fields["columns"].items()}
        names = list(fields["columns"])
        fields["rows"] = [
            {name: _decode_cell(cell) for name, cell in zip(names, row, strict=True)} for row in fields["rows"]
        ]
        return kind(**fields)
    for field in dataclasses.fields(kind):
        if field.name in fields and field.type not in _TEXTS:  # a unit may be named "inf"
            fields[field.name] = _decode(fields[field.name], optional=field.name in ("low", "high", "truth"))
    return kind(**fields)


_TEXTS = ("str", "Better")  # types of fields that are no numbers
_INFINITIES = {"inf": math.inf, "-inf": -math.inf}


def _encode(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    if isinstance(value, np.ndarray):
        return [_encode(item) for item in value.tolist()]
    if isinstance(value, Column):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {name: _encode(item) for name, item in value.items()}
    return [_encode(item) for item in value] if isinstance(value, list | tuple) else value


def _decode(value: Any, optional: bool = False) -> Any:
    if value is None:
        return None if optional else math.nan
    if isinstance(value, Mapping):
        return {name: _decode(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return _INFINITIES.get(value, value) if isinstance(value, str) else value


def _encode_cell(cell: Cell) -> Any:
    """A float that JSON lacks becomes {"float": "nan"}, since None has its own meaning in a table."""
    return {"float": str(cell)} if isinstance(cell, float) and not math.isfinite(cell) else cell


def _decode_cell(cell: Any) -> Cell:
    return float(cell["float"]) if isinstance(cell, Mapping) else cell
