"""A study whose rows are trainings: finished ones are skipped, and the table is written after every run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from absl import flags

from o2t_jax.commands import _cli, sweep
from o2t_jax.training import workdir as folders

KeptAs = Callable[[str, bool], str | None]
"""(name of a result, "<evaluator>/<name>"; whether it is a table) -> the column it is kept as; None: left out."""


def planned(name: str, config: str, fields: Mapping[str, Any], seed: int = 0, **shown: Any) -> sweep.Run:
    """A run of a config with some fields changed; `shown` are further columns of its row."""
    own = [f"--config.{key}={value}" for key, value in fields.items()]
    return sweep.Run(name, shown, seed, (f"--config={config}", f"--config.seed={seed}", *own))


def define(values: flags.FlagValues, tables: Iterable[str]) -> None:
    """The flags of such a study: `out`, `only` one of its tables, `seeds` of its headline."""
    flags.DEFINE_string("out", None, "folder for the runs and the tables", flag_values=values)
    flags.DEFINE_enum("only", "", ("", *tables), "one table; empty: all", flag_values=values)
    flags.DEFINE_integer("seeds", 3, "seeds of the headline run", lower_bound=1, flag_values=values)


def finish_all(plan: Iterable[tuple[str, sweep.Run]], arguments: _cli.Arguments, column: KeptAs) -> int:
    """Trains the unfinished runs of (table, run), writes table[-ONLY].json, prints it; returns the exit code.

    Args: `arguments`, with the flags `out` and `only`; its `--config.FIELD=VALUE` apply to all runs. `column`,
        the results of a run that are columns of its row: single numbers, and tables as lists of rows.
    """
    values = arguments.flags
    out = _cli.out_folder(values, "the runs and the tables")
    out.mkdir(parents=True, exist_ok=True)
    changed = [item for item in _cli.config_overrides(list(arguments.argv)) if not item.startswith("--config=")]
    rows: list[dict[str, Any]] = []
    for table, run in plan:
        record = sweep.finish_run(sweep.Run(run.name, run.fields, run.seed, (*run.arguments, *changed)), out)
        rows.append(
            {"table": table, "run": run.name, "status": record["status"], **columns_of(record, out / run.name, column)}
        )
        folders.write_json(out / f"table{'-' + values.only if values.only else ''}.json", rows)
    print(sweep.as_text([{name: x for name, x in row.items() if not isinstance(x, list)} for row in rows]))
    return int(any(row["status"] != "finished" for row in rows))


def columns_of(record: Mapping[str, Any], workdir: Path, column: KeptAs) -> dict[str, Any]:
    """Minutes, numbers and tables of a finished run; empty otherwise."""
    if record["status"] != "finished":
        return {}
    kept: dict[str, Any] = {"minutes": round(record.get("minutes", math.nan), 1)}
    for name, entry in folders.read_json(workdir / "results.json").items():
        for what in ("value", "rows"):
            if what in entry and (shown := column(name, what == "rows")):
                kept[shown] = entry[what]
    return kept
