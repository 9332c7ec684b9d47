"""Tables and curves as comma-separated values, for spreadsheets and pandas. An empty field means undefined."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

from o2t_jax.evaluation.writers.console import heading
from o2t_jax.results import Cell, Column, Curve, ScoreCurve, Table


def table_csv(table: Table) -> str:
    """Every column, printed or not, under its bare name: units are in the results' JSON."""
    return _lines(list(table.columns), (list(row.values()) for row in table.rows))


def curve_csv(curve: Curve) -> str:
    """x, y, the band and the truth if there are any, and a column per baseline; axes with their units."""
    columns = {
        heading(curve.x_label, Column(curve.x_unit)): curve.x,
        heading(curve.y_label, Column(curve.y_unit)): curve.y,
    }
    if curve.low is not None and curve.high is not None:
        columns |= {"low": curve.low, "high": curve.high}
    if curve.truth is not None:
        columns["truth"] = curve.truth
    if isinstance(curve, ScoreCurve):
        columns |= curve.baselines
    return _lines(list(columns), zip(*(values.tolist() for values in columns.values()), strict=True))


def _lines(names: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow(
            ["" if cell is None or (isinstance(cell, float) and math.isnan(cell)) else cell for cell in row]
        )
    return text.getvalue()
