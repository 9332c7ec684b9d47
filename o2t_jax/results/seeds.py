"""The results of several seeds as one: means, with the 95% interval of the mean over seeds (Student's t)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from o2t_jax.results.checks import Cell
from o2t_jax.results.kinds import Column, Curve, Film, Picture, Result, Scalar, Score, ScoreCurve, Table

CONFIDENCE = 0.95


def known_of_seeds(values: Any) -> list[float]:
    """The known numbers of a read-out of S seeds, a list [S] with None for a seed without one; [] for other values."""
    known = [value for value in values if value is not None] if isinstance(values, list) else []
    return known if all(isinstance(value, float) for value in known) else []


def half_width(values: np.ndarray) -> np.ndarray:
    """Half of the mean's 95% interval over the first axis: `values` [S, ...], S at least 2 -> [...]."""
    from scipy.stats import t

    count = len(values)
    return t.ppf(0.5 + CONFIDENCE / 2, count - 1) * np.std(values, axis=0, ddof=1) / np.sqrt(count)


def over_seeds(results: Sequence[Sequence[tuple[str, Result]]]) -> Iterator[tuple[str, Result]]:
    """Merges the results of S seeds (at least 2), each in the same order, into one result per name.

    Scalars and curves over the same x: mean, with its interval or band. Tables whose rows differ only in numbers:
    means, with a column "<column> ±" after each column that differs. Other tables: all rows, with a column "seed".
    Pictures, films and curves over different x: the first seed's, and named so.

    Raises: ValueError where the seeds did not yield the same names.
    """
    for same in zip(*results, strict=True):
        names = {name for name, _ in same}
        if len(names) != 1:
            raise ValueError(f"seeds yielded different results at the same position: {', '.join(sorted(names))}")
        yield same[0][0], _merged([result for _, result in same])


def _merged(results: Sequence[Any]) -> Result:
    first = results[0]
    if isinstance(first, Scalar):
        return _scalar(results)
    if isinstance(first, Curve):
        alike = all(np.array_equal(first.x, other.x) for other in results)
        return _curve(results) if alike else dataclasses.replace(first, y_label=f"{first.y_label} (seed 0)")
    if isinstance(first, Table):
        return _table(results)
    if isinstance(first, Picture | Film):
        return dataclasses.replace(first, caption=f"{first.caption} (seed 0)".strip())
    return first


def _scalar(results: Sequence[Scalar]) -> Scalar:
    values = np.array([result.value for result in results])
    mean, half = float(np.mean(values)), float(half_width(values))
    interval: dict[str, Any] = {"low": mean - half, "high": mean + half} if np.isfinite(half) else {}
    if isinstance(results[0], Score):
        rows = [result.baselines for result in results if isinstance(result, Score)]
        interval["baselines"] = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return dataclasses.replace(results[0], value=mean, **{"low": None, "high": None, **interval})


def _curve(results: Sequence[Curve]) -> Curve:
    values = np.stack([result.y for result in results])
    mean, half = np.mean(values, axis=0), half_width(values)
    fields: dict[str, Any] = {"y": mean, "low": mean - half, "high": mean + half}
    if isinstance(results[0], ScoreCurve):
        rows = [result.baselines for result in results if isinstance(result, ScoreCurve)]
        fields["baselines"] = {name: np.mean([row[name] for row in rows], axis=0) for name in rows[0]}
    return dataclasses.replace(results[0], **fields)


def _table(results: Sequence[Table]) -> Table:
    first = results[0]
    shapes = [[[_fixed(cell) for cell in row.values()] for row in result.rows] for result in results]
    if any(shape != shapes[0] for shape in shapes):
        columns = {"seed": Column(spec="d"), **first.columns}
        rows = [{"seed": seed, **row} for seed, result in enumerate(results) for row in result.rows]
        return dataclasses.replace(first, columns=columns, rows=rows)
    rows: list[dict[str, Cell]] = [{} for _ in first.rows]
    columns: dict[str, Column] = {}
    for name, column in first.columns.items():
        columns[name] = column
        cells = [[result.rows[i][name] for result in results] for i in range(len(rows))]
        differs = any(isinstance(cell[0], float) and len(set(map(str, cell))) > 1 for cell in cells)
        if differs:
            columns[f"{name} ±"] = dataclasses.replace(column, shown=False)
        for row, cell in zip(rows, cells, strict=True):
            number = isinstance(cell[0], float)
            row[name] = float(np.mean(np.asarray(cell, np.float64))) if number else cell[0]
            if differs:
                row[f"{name} ±"] = float(half_width(np.asarray(cell, np.float64))) if number else None
    return dataclasses.replace(first, columns=columns, rows=rows)


def _fixed(cell: Cell) -> Any:
    """The part of a cell that must be the same for every seed: its value, unless it is a float."""
    return float if isinstance(cell, float) else cell
