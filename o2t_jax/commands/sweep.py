"""Trains every combination of fields, several seeds each, and writes the results to one table.

python -m experiments.sweep --config=FILE --fields="lr=1e-4,3e-4;base_ch=8,16" --seeds=3 --out=DIR

python -m experiments.sweep --config=experiments/configs/dynamics/pendulum.py --variants=jump,lstm --seeds=3 --out=DIR

Each run is a process of its own (experiments.train) in DIR/<fields>-seed<n>, its result one DIR/<fields>-seed<n>.json.
The same command again skips finished runs and resumes the others. Further --config.FIELD=VALUE apply to all runs.
Ends with exit code 1 if a run failed; the output names the failed runs and their errors.
"""

from __future__ import annotations

import concurrent.futures
import csv
import dataclasses
import itertools
import math
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from o2t_jax.commands import _cli, _config
from o2t_jax.commands._trainings import launch, stoppable
from o2t_jax.errors import UsageError
from o2t_jax.results import known_of_seeds
from o2t_jax.training import workdir as folders


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: the fields that differ from the config, its seed, and the command's config arguments."""

    name: str
    fields: Mapping[str, str]
    seed: int
    arguments: tuple[str, ...]


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(stoppable(sweep), argv, doc=__doc__ or "", define=_define)


def sweep(arguments: _cli.Arguments) -> int:
    """Trains the unfinished runs, then writes and prints the table."""
    values = arguments.flags
    out = _cli.out_folder(values, "the runs and the table")
    if values.seeds < 1 or values.jobs < 1:
        raise UsageError(f"--seeds={values.seeds} and --jobs={values.jobs} must be at least 1")
    out.mkdir(parents=True, exist_ok=True)
    runs = plan_runs(arguments, values.fields, values.seeds, values.variants)
    with concurrent.futures.ThreadPoolExecutor(values.jobs) as pool:
        records = list(pool.map(lambda run: finish_run(run, out), runs))
    rows = table(records, arguments.config.get("seeds", 1) if arguments.config else 1)
    write_table(out, rows)
    print(as_text(rows))
    failed = [record["name"] for record in records if record["status"] != "finished"]
    if failed:
        print(f"{len(failed)} of {len(records)} runs failed: {', '.join(failed)}")
    return 1 if failed else 0


def plan_runs(arguments: _cli.Arguments, fields: str, seeds: int, variants: str = "") -> list[Run]:
    """All combinations of the config's variants and the fields' values, each with seeds 0 to seeds - 1."""
    assert arguments.config is not None
    choices = parse_fields(fields)
    for name in choices:
        _config.check_field(arguments.config, name, arguments.loaded.groups if arguments.loaded else ())
    if {"seed", "seeds"} & choices.keys():
        raise UsageError("--fields cannot hold seed or seeds: use --seeds=N")
    several = arguments.config.get("seeds", 1)
    if several > 1 and seeds > 1:
        raise UsageError(
            f"config.seeds={several} and --seeds={seeds} would train the same seeds twice: give one of them"
        )
    runs = []
    for variant, common in _by_variant(_cli.config_overrides(list(arguments.argv)), variants).items():
        chosen = {"variant": variant} if variant else {}
        for values in itertools.product(*choices.values()):
            combination = dict(zip(choices, values, strict=True))
            for seed in range(seeds):
                parts = [*filter(None, [variant]), *(f"{key}={value}" for key, value in combination.items())]
                name = "-".join([*parts, f"seed{seed}"]).replace("/", "_")
                own = [f"--config.{key}={value}" for key, value in combination.items()]
                runs.append(Run(name, chosen | combination, seed, (*common, *own, f"--config.seed={seed}")))
    return runs


def _by_variant(common: list[str], variants: str) -> dict[str, list[str]]:
    """Variant -> the config's arguments; {"": common} without variants. Raises UsageError for one that is not valid."""
    names = list(dict.fromkeys(name.strip() for name in variants.split(",") if name.strip()))
    if not names:
        return {"": common}
    files = [item.partition("=")[2] for item in common if item.lstrip("-").startswith("config=")]
    if not files:
        raise UsageError(f"--variants={variants} needs a config that has them: set --config=FILE")
    rest = [item for item in common if not item.lstrip("-").startswith("config=")]
    for name in names:
        _config.load(f"{files[-1]}:{name}")
    return {name: [f"--config={files[-1]}:{name}", *rest] for name in names}


def parse_fields(text: str) -> dict[str, list[str]]:
    """Turns `lr=1e-4,3e-4;base_ch=8,16` into {"lr": ["1e-4", "3e-4"], "base_ch": ["8", "16"]}. Raises UsageError."""
    fields: dict[str, list[str]] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, values = part.partition("=")
        choices = [value.strip() for value in values.split(",") if value.strip()]
        if not equals or not choices:
            raise UsageError(f'--fields: {part!r} is not NAME=VALUE,VALUE; write --fields="lr=1e-4,3e-4;batch=8,16"')
        fields[name.strip()] = choices
    return fields


def finish_run(run: Run, out: Path) -> dict[str, Any]:
    """The record of a run: read from its file if finished with the same arguments, else made by training."""
    path = out / f"{run.name}.json"
    if path.exists():
        record = folders.read_json(path)
        known = "readouts" in (record["result"] or {})  # records of versions before read-outs had names lack them
        if record["status"] == "finished" and record["arguments"] == list(run.arguments) and known:
            print(f"{run.name}: finished before", flush=True)
            return record
    print(f"{run.name}: training", flush=True)
    started = time.monotonic()
    code, error = launch([*run.arguments, f"--workdir={out / run.name}"], out / f"{run.name}.log")
    result = out / run.name / folders.RESULT
    record = {
        "name": run.name,
        "fields": dict(run.fields),
        "seed": run.seed,
        "arguments": list(run.arguments),
        "status": "finished" if code == 0 and result.exists() else "failed",
        "error": error if code else None,
        "minutes": (time.monotonic() - started) / 60.0,
        "result": folders.read_json(result) if code == 0 and result.exists() else None,
    }
    folders.write_json(path, record)
    print(f"{run.name}: {record['status']}{f' ({error})' if code else ''}", flush=True)
    return record


def table(records: Sequence[Mapping[str, Any]], seeds: int = 1) -> list[dict[str, Any]]:
    """A row per run, then rows of mean and deviation over the seeds of each combination that has several.

    seeds: how many each run trained side by side (`config.seeds`); its read-outs are then lists, shown as means.
    """
    rows = [
        {
            **record["fields"],
            "seed": str(record["seed"]),
            "status": record["status"],
            **_numbers(record["result"], seeds),
        }
        for record in records
    ]
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for record, row in zip(records, rows, strict=True):
        groups.setdefault(tuple(record["fields"].items()), []).append(row)
    summaries = []
    for fields, members in groups.items():
        done = [row for row in members if row["status"] == "finished"]
        if len(done) < 2:
            continue
        names = [name for name in done[0] if isinstance(done[0][name], float)]
        for label, reduce in (("mean", statistics.fmean), ("std", statistics.stdev)):
            numbers = {name: reduce([row[name] for row in done]) for name in names if all(name in row for row in done)}
            summaries.append({**dict(fields), "seed": label, "status": f"{len(done)} runs", **numbers})
    return rows + summaries


def _numbers(result: Mapping[str, Any] | None, seeds: int) -> dict[str, float]:
    """The finite scalars of a result, under the names by which they are logged."""
    if not result:
        return {}
    readouts = {f"{name}/{key}": x for name, found in result["readouts"].items() for key, x in (found or {}).items()}
    train = {f"train/{name}": value for name, value in result["train"].items() if name == "loss"}
    if seeds > 1:
        readouts = {name: statistics.fmean(known) for name, x in readouts.items() if (known := known_of_seeds(x))}
    return {
        name: float(value)
        for name, value in {**train, **result["eval"], **readouts}.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }


def write_table(out: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """table.json, table.csv and table.txt in `out`."""
    folders.write_json(out / "table.json", list(rows))
    (out / "table.txt").write_text(as_text(rows) + "\n")
    with (out / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, _columns(rows), restval="")
        writer.writeheader()
        writer.writerows(rows)


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows in columns of equal width."""
    columns = _columns(rows)
    cells = [columns] + [[_cell(row.get(name, "")) for name in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("fields", "", 'fields and their values: "lr=1e-4,3e-4;batch=8,16"', flag_values=values)
    flags.DEFINE_string(
        "variants", "", "variants of the config: jump,lstm runs FILE:jump and FILE:lstm", flag_values=values
    )
    flags.DEFINE_integer("seeds", 1, "runs of each combination, with seeds 0, 1, ...", flag_values=values)
    flags.DEFINE_string("out", None, "folder for the runs and the table", flag_values=values)
    flags.DEFINE_integer("jobs", 1, "runs at the same time", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
