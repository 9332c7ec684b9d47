"""The kinds of results; see `o2t_jax.results`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from o2t_jax.results import checks
from o2t_jax.results.checks import ByValue, Cell

Better = Literal["lower", "higher"]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Judged:
    """The fields of a result that is compared with methods that learn nothing.

    Attributes:
        baselines: at least one; its type depends on the subclass.
        better: whether a lower or a higher value is better.
        method: the judged row's name in tables and legends; appended to the name in logs where it is given.
    """

    baselines: Any
    better: Better
    method: str = ""

    def _check_judged(self) -> None:
        if not len(self.baselines):
            raise ValueError("baselines is empty: give at least one row that learns nothing, {name: value}")
        if self.better not in get_args(Better):
            raise ValueError(f"better={self.better!r} must be 'lower' or 'higher'")
        if self.method in self.baselines:
            raise ValueError(f"method={self.method!r} has the name of a baseline: rename one of them")


@dataclasses.dataclass(frozen=True, eq=False)
class Scalar(ByValue):
    """One number in `unit`, with the interval [low, high] where both are given.

    Raises: ValueError where the value is not a number or lies outside its interval.
    """

    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if name == "value" or number is not None:
                object.__setattr__(self, name, checks.number(name, number))
        checks.text("unit", self.unit)
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval needs both low and high, or neither")
        if self.low is not None and self.high is not None:
            if math.isnan(self.low + self.high):
                raise ValueError(f"low={self.low} and high={self.high} must be numbers: leave out what is not known")
            checks.band(np.array([self.value]), np.array([self.low]), np.array([self.high]))


@dataclasses.dataclass(frozen=True, eq=False)
class Score(Scalar, _Judged):
    """A Scalar with `baselines`: name -> the same number for a method that learns nothing.

    Raises: ValueError where there is no baseline, or one is not a number.
    """

    baselines: Mapping[str, float] = dataclasses.field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_judged()
        checked = {
            checks.text("baseline", name, 1): checks.number(f"baseline {name!r}", x)
            for name, x in self.baselines.items()
        }
        object.__setattr__(self, "baselines", checked)
        if all(map(math.isnan, checked.values())):
            raise ValueError("every baseline is NaN: at least one must be a number")

    def best_baseline(self) -> tuple[str, float]:
        """Name and value of the baseline that is hardest to beat."""
        known = {name: value for name, value in self.baselines.items() if not math.isnan(value)}
        best = (min if self.better == "lower" else max)(known, key=known.__getitem__)
        return best, known[best]

    @property
    def beats_baselines(self) -> bool:
        """Whether the value is better than every baseline; False where it is NaN."""
        _, best = self.best_baseline()
        return self.value < best if self.better == "lower" else self.value > best

    @property
    def ties_at_zero(self) -> bool:
        """Whether value and best baseline are both 0 where lower is better: an error or a share of failures that
        neither has, so a tie at what is perfect."""
        return self.better == "lower" and self.value == 0.0 == self.best_baseline()[1]


@dataclasses.dataclass(frozen=True, eq=False)
class Picture(ByValue):
    """RGB, uint8 [H, W, 3]. Raises: ValueError where type or shape is wrong."""

    pixels: np.ndarray
    caption: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", checks.rgb("pixels", self.pixels, "[H, W, 3]"))
        checks.text("caption", self.caption)


@dataclasses.dataclass(frozen=True, eq=False)
class Film(ByValue):
    """RGB, uint8 [T, H, W, 3], shown at `fps` frames a second. Raises: ValueError where type, shape or fps is wrong."""

    frames: np.ndarray
    fps: float
    caption: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", checks.rgb("frames", self.frames, "[T, H, W, 3]"))
        object.__setattr__(self, "fps", checks.number("fps", self.fps))
        if not (0 < self.fps < math.inf):
            raise ValueError(f"fps={self.fps} must be a finite number above 0")
        checks.text("caption", self.caption)


@dataclasses.dataclass(frozen=True, eq=False)
class Curve(ByValue):
    """y [N] over x [N], with a band low [N] to high [N] where both are given.

    Attributes:
        x: finite, increasing.
        truth: what y should be [N], where a simulation knows it.
        x_label, y_label: labels of the axes, without units.

    Raises: ValueError where lengths differ, x does not increase, or y is outside its band.
    """

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    x_label: str = "x"
    y_label: str = "y"
    x_unit: str = ""
    y_unit: str = ""
    truth: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("x", "y", "low", "high", "truth"):
            values = getattr(self, name)
            if name in ("x", "y") or values is not None:
                object.__setattr__(self, name, checks.numbers(name, values, None if name == "x" else self.x))
        for name in ("x_label", "y_label", "x_unit", "y_unit"):
            checks.text(name, getattr(self, name))
        if not np.all(np.isfinite(self.x)) or np.any(np.diff(self.x) <= 0):
            raise ValueError("x must be finite and rise from point to point")
        if (self.low is None) != (self.high is None):
            raise ValueError("a band needs both low and high, or neither")
        if self.low is not None and self.high is not None:
            checks.band(self.y, self.low, self.high)


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreCurve(Curve, _Judged):
    """A Curve with `baselines`: name -> y [N] of a method that learns nothing, over the same x.

    Raises: ValueError where there is no baseline, or one has another length.
    """

    baselines: Mapping[str, np.ndarray] = dataclasses.field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_judged()
        if self.truth is not None and "truth" in self.baselines:
            raise ValueError("a baseline is named 'truth' beside the truth: give it another name")
        checked = {
            checks.text("baseline", n, 1): checks.numbers(f"baseline {n!r}", y, self.x)
            for n, y in self.baselines.items()
        }
        object.__setattr__(self, "baselines", checked)


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table: its unit, how its numbers are printed (".2f"; empty: four digits), whether it is printed.

    Columns that are not `shown` appear only in files.
    """

    unit: str = ""
    spec: str = ""
    shown: bool = True

    def __post_init__(self) -> None:
        checks.text("unit", self.unit)
        try:
            format(0.5 if self.spec[-1:] != "d" else 1, checks.text("spec", self.spec))
        except ValueError as error:
            raise ValueError(f"spec={self.spec!r} is not a number format, such as '.2f' or '.0%'") from error


@dataclasses.dataclass(frozen=True, eq=False)
class Table(ByValue):
    """Rows that map every column's name to a number, a text, a bool or None (not defined).

    Raises: ValueError where a row lacks a column, has an extra one, or holds any other type.
    """

    columns: Mapping[str, Column]
    rows: Sequence[Mapping[str, Cell]]

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("columns is empty: give {name: Column(unit)}")
        for name, column in self.columns.items():
            if not isinstance(column, Column):
                raise ValueError(f"column {name!r} is a {type(column).__name__}: give results.Column(unit)")
            checks.text("column", name, 1)
        rows = tuple(
            {str(name): checks.cell(i, name, cell) for name, cell in row.items()} for i, row in enumerate(self.rows)
        )
        for i, row in enumerate(rows):
            if row.keys() != self.columns.keys():
                wrong = sorted(row.keys() ^ self.columns.keys())
                raise ValueError(f"row {i} and columns differ by {', '.join(map(repr, wrong))}")
        object.__setattr__(self, "columns", dict(self.columns))
        # In the columns' order, whatever order the row has.
        object.__setattr__(self, "rows", tuple({name: row[name] for name in self.columns} for row in rows))


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreTable(Table, _Judged):
    """A Table in which one column names the method, and each group of rows has one of a baseline.

    Attributes:
        baselines: names of the methods that learn nothing.
        method: the name of the judged method; the table may have other methods.
        method_column: the column that holds these names.
        by: columns whose values define a group, such as ("mode", "horizon"); empty: the whole table is one group.
        score_column: the column that `better` refers to; empty: all columns.

    Raises: ValueError where a group has no baseline.
    """

    baselines: Sequence[str] = dataclasses.field(kw_only=True)
    method_column: str = "method"
    by: Sequence[str] = ()
    score_column: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_judged()
        checks.text("method", self.method, 1)
        object.__setattr__(self, "baselines", tuple(checks.text("baseline", name, 1) for name in self.baselines))
        object.__setattr__(self, "by", tuple(self.by))
        for name in (self.method_column, *self.by, *filter(None, [self.score_column])):
            if name not in self.columns:
                raise ValueError(f"{name!r} is not a column; columns are {', '.join(self.columns)}")
        groups: dict[tuple[Cell, ...], set[Cell]] = {}
        for row in self.rows:
            groups.setdefault(tuple(row[name] for name in self.by), set()).add(row[self.method_column])
        for group, methods in groups.items():
            if not methods & set(self.baselines):
                where = ", ".join(f"{n}={v}" for n, v in zip(self.by, group, strict=True)) or "the table"
                raise ValueError(f"{where} has no row of a baseline ({', '.join(self.baselines)})")


Result: TypeAlias = Scalar | Picture | Film | Curve | Table  # a Score is a Scalar, and so on

NUMERIC: dict[str, type[Scalar | Curve | Table]] = {
    "scalar": Scalar,
    "score": Score,
    "curve": Curve,
    "score_curve": ScoreCurve,
    "table": Table,
    "score_table": ScoreTable,
}


def kind_of(result: Result) -> str:
    """The name of a result's type in files: scalar, score, curve, score_curve, table, score_table, picture or film."""
    names = {kind: name for name, kind in NUMERIC.items()} | {Picture: "picture", Film: "film"}
    return names[type(result)]


def keep(found: dict[str, Result], name: str, value: Any) -> Result:
    """Adds the `value` that an evaluator yielded as `name` to `found`, and returns it.

    Raises: TypeError where it is not a result, ValueError where `found` already has one of this name.
    """
    if not isinstance(value, Scalar | Picture | Film | Curve | Table):
        raise TypeError(
            f"evaluator result {name!r} is a {type(value).__name__}: yield a Scalar, Score, Picture, Film, Curve or "
            "Table of o2t_jax.results"
        )
    if name in found:
        raise ValueError(f"evaluator result {name!r} is yielded twice: give each a name of its own")
    found[name] = value
    return value


def scalars(name: str, result: Result) -> dict[str, float]:
    """A result's numbers for the log: `name`, and the baselines of a Score as `name/baseline`.

    Where a Score names its method, its own number is `name/method`. Baselines that are not finite are left out.
    """
    if isinstance(result, Score):
        own = f"{name}/{result.method}" if result.method else name
        others = {f"{name}/{row}": value for row, value in result.baselines.items() if math.isfinite(value)}
        return {own: result.value} | others
    return {name: result.value} if isinstance(result, Scalar) else {}
