"""The tables of runs as files for spreadsheets and papers: `experiments.report --tables=DIR`.

A score stands with the rows that learn nothing: one row a method, its baselines below it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.writers.csv_file import table_csv
from o2t_jax.evaluation.writers.json_file import write_whole
from o2t_jax.evaluation.writers.latex import table_latex
from o2t_jax.evaluation.writers.run_comparison import compared
from o2t_jax.evaluation.writers.run_record import RunRecord
from o2t_jax.results import Column, Score, ScoreTable, Table

OWN = "this run"  # the method's name where a score tells none
_SCORES = {
    "result": Column(),
    "method": Column(),
    "value": Column(spec=".5g"),
    "low": Column(spec=".5g"),
    "high": Column(spec=".5g"),
    "unit": Column(),
    "better": Column(),
}


def write_tables(runs: Mapping[str, RunRecord], root: Path) -> list[Path]:
    """CSV and LaTeX of every table of each run in a folder of its name, and of the comparison of several.

    Returns: the files. Raises: UsageError where a folder cannot be made, or a run's results are damaged.
    """
    files = []
    if len(runs) > 1:
        files += _write(root, comparison_tables(list(runs.values())))
    for name, run in runs.items():
        files += _write(root / name, tables_of(run))
    return files


def tables_of(run: RunRecord) -> dict[str, Table]:
    """`scores`, the held-out numbers with their baselines, and the run's own tables by their names."""
    found = run.numeric
    scores = score_table({name: result for name, result in found.items() if isinstance(result, Score)})
    tables = {name: result for name, result in found.items() if isinstance(result, Table)}
    return ({} if scores is None else {"scores": scores}) | tables


def score_table(scores: Mapping[str, Score]) -> ScoreTable | None:
    """A row for each score and one for each of its baselines; None without a score."""
    rows = []
    for name, score in scores.items():
        about = {"result": name, "unit": score.unit, "better": score.better}
        rows.append({**about, "method": OWN, "value": score.value, "low": score.low, "high": score.high})
        rows += [{**about, "method": x, "value": y, "low": None, "high": None} for x, y in score.baselines.items()]
    if not rows:
        return None
    baselines = list(dict.fromkeys(name for score in scores.values() for name in score.baselines))
    # The table's own `better` is of no column: each row tells its score's.
    return ScoreTable(_SCORES, rows, baselines=baselines, better="lower", method=OWN, by=["result"])


def comparison_tables(runs: Sequence[RunRecord]) -> dict[str, Table]:
    """The tables that a page of several runs begins with: `comparison`, and `comparison_SYSTEM` of several systems."""
    tables = {}
    for each in compared(runs):
        rows = [dict(zip(each.columns, row, strict=True)) for row in each.rows]
        tables["_".join(filter(None, ("comparison", each.title)))] = Table(dict.fromkeys(each.columns, Column()), rows)
    return tables


def _write(folder: Path, tables: Mapping[str, Table]) -> list[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--tables: {folder} cannot be made ({error.strerror}): give another folder") from error
    files = []
    for name, table in tables.items():
        stem = re.sub(r"[^\w.+-]", "_", name)
        for suffix, text in ((".csv", table_csv(table)), (".tex", table_latex(table))):
            files.append(folder / f"{stem}{suffix}")
            write_whole(files[-1], text.encode())
    return files


__all__ = ["comparison_tables", "score_table", "tables_of", "write_tables"]
