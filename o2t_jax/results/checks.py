"""Checks of the fields of results. Each returns the field as it is stored, or raises a one-line ValueError."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

Cell: TypeAlias = str | int | float | bool | None


def number(name: str, value: Any) -> float:
    """A real number of Python, numpy or JAX as a float."""
    array = np.asarray(value)
    if array.ndim or array.dtype.kind not in "iuf":
        shape = f" of shape {list(array.shape)}" if array.ndim else ""
        raise ValueError(f"{name} is a {type(value).__name__}{shape}: it must be one real number")
    return float(array)


def numbers(name: str, values: Any, over: np.ndarray | None) -> np.ndarray:
    """float64 [N], read-only, of the length of `over`."""
    array = np.asarray(values)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iuf":
        raise ValueError(f"{name} is {array.dtype}{list(array.shape)}: it must be [N] real numbers, N at least 1")
    if over is not None and len(array) != len(over):
        raise ValueError(f"{name} has {len(array)} numbers, x has {len(over)}")
    array = array.astype(np.float64)
    array.flags.writeable = False
    return array


def rgb(name: str, value: Any, shape: str) -> np.ndarray:
    """A read-only view of uint8 `shape`, "[H, W, 3]" or "[T, H, W, 3]"."""
    array = np.asarray(value)
    if array.dtype != np.uint8 or array.ndim != shape.count(",") + 1 or array.shape[-1] != 3 or 0 in array.shape:
        raise ValueError(f"{name} is {array.dtype}{list(array.shape)}: it must be uint8 {shape}, nothing of size 0")
    array = array.view()
    array.flags.writeable = False
    return array


def band(y: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """low <= y <= high at every point where none of them is NaN."""
    if np.any(np.isnan(low) != np.isnan(high)):
        raise ValueError("low and high must be NaN together")
    wrong = (low > high) | (y < low) | (y > high)  # not where one of them is NaN
    if np.any(wrong):
        i = int(np.argmax(wrong))
        raise ValueError(f"low={low[i]} <= value={y[i]} <= high={high[i]} does not hold (point {i})")


def text(name: str, value: Any, least: int = 0) -> str:
    """A text of at least `least` characters."""
    if not isinstance(value, str) or len(value) < least:
        raise ValueError(f"{name}={value!r} must be a {'non-empty ' if least else ''}text")
    return value


def cell(row: int, column: str, value: Any) -> Cell:
    """A table entry as a Python value."""
    if value is None or isinstance(value, str | bool):
        return value
    array = np.asarray(value)
    if array.ndim == 0 and array.dtype.kind in "biuf":
        return array.item()
    raise ValueError(f"row {row}, column {column!r} holds a {type(value).__name__}: give a number, text, bool or None")


class ByValue:
    """Equality by value of every field, arrays and NaN included."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        mine, others = (_comparable(vars(x)) for x in (self, other))
        return mine == others

    __hash__ = None  # type: ignore[assignment]


def _comparable(value: Any) -> Any:
    """Nested tuples in which NaN equals NaN."""
    if isinstance(value, np.ndarray):
        one_nan = np.where(np.isnan(value), np.nan, value) if value.dtype.kind == "f" else value
        return (str(value.dtype), value.shape, one_nan.tobytes())
    if isinstance(value, Mapping):
        return tuple((name, _comparable(item)) for name, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_comparable, value))
    return "NaN" if isinstance(value, float) and math.isnan(value) else (type(value).__name__, value)
