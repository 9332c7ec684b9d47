"""The tables of docs/dynamics.md: models of pushed worlds, trained on noisy states, tested from clean starts.

python -m experiments.studies.dynamics --out=DIR [--only=dt|oscillator|undamped] [--seeds=5]

- `dt`: the pendulum at dt 0.1, its friction known to the model, tested at 0.05 to 0.5 s with the dt told; rows where
  nobody tells the friction, in training or test, and where jump and LSTM are trained on several dt.
- `oscillator`: the same for the oscillator.
- `undamped`: no friction, models of equal numbers of parameters (± 10%): drift of the energy and phase error over 1,000
  steps; with and without a reversible structure.

Each run trains --seeds seeds in one program and is one JSON in DIR; finished ones are skipped. DIR/table-….json has all
figures, DIR/rows-….json those of BENCHMARKS.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from absl import flags

from o2t_jax.commands import _cli, sweep
from o2t_jax.commands._trainings import stoppable
from o2t_jax.commands.studies._dynamics_rows import rows_of
from o2t_jax.training import workdir as folders

MODELS = ("newtonian", "port_hamiltonian", "first_order_ode", "jump", "lstm", "velocity")
# Widths at which all models have the parameters of `newtonian` at 64, within 10%.
EQUAL = {"lstm": 31}
MANY_DT = "(0.05,0.1,0.2,0.5)"
TABLES = ("dt", "oscillator", "undamped")


def plan(only: str, seeds: int) -> Iterator[sweep.Run]:
    """The runs of one table, or of all of them ("")."""
    for model in MODELS:
        if only in ("", "dt"):
            yield _run(f"dt-{model}", "pendulum", model, seeds, context="known")
        if only in ("", "oscillator"):
            yield _run(f"oscillator-{model}", "oscillator", model, seeds, context="known")
        if only in ("", "undamped"):
            still = {"env.damping": 0, "vary": "", "context": "none", "long_steps": 1000, "dt_values": 0.1}
            still["width"] = EQUAL.get(model, 64)
            yield _run(f"undamped-{model}", "pendulum", model, seeds, **still)
            if model in ("newtonian", "port_hamiltonian"):
                for integrator in ("rk4", "leapfrog"):
                    width = 45 if model == "port_hamiltonian" else 64  # two networks, T and V
                    own = still | {"reversible": True, "integrator": integrator, "width": width}
                    yield _run(f"undamped-{model}-reversible-{integrator}", "pendulum", model, seeds, **own)
    if only in ("", "dt"):
        for model in ("newtonian", "port_hamiltonian"):
            yield _run(f"dt-{model}-inferred", "pendulum", model, seeds, context="inferred", window=20, horizon=20)
        for model in ("jump", "lstm"):
            yield _run(f"dt-{model}-mixed", "pendulum", model, seeds, context="known", dt=MANY_DT)


def _run(name: str, world: str, model: str, seeds: int, **fields: Any) -> sweep.Run:
    own = [f"--config.{key}={value}" for key, value in fields.items()]
    config = f"--config=experiments/configs/dynamics/{world}.py:{model}"
    return sweep.Run(name, {"model": model}, 0, (config, f"--config.seeds={seeds}", *own))


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(stoppable(study), argv, doc=__doc__ or "", define=_define, with_config=False)


def study(arguments: _cli.Arguments) -> int:
    """Trains the unfinished runs, then writes and prints the tables."""
    values = arguments.flags
    out = _cli.out_folder(values, "the runs and the tables")
    out.mkdir(parents=True, exist_ok=True)
    records = [sweep.finish_run(run, out) for run in plan(values.only, values.seeds)]
    rows = [row for record in records for row in summarise(record, out / record["name"])]
    part = f"-{values.only}" if values.only else ""
    folders.write_json(out / f"table{part}.json", rows)
    folders.write_json(out / f"rows{part}.json", list(rows_of(records, out)))
    print(sweep.as_text(rows))
    return int(any(record["status"] != "finished" for record in records))


def summarise(record: Mapping[str, Any], workdir: Path) -> Iterator[dict[str, Any]]:
    """Rows of a run: one a method and dt, and one of its other scalars."""
    if record["status"] != "finished":
        yield {"run": record["name"], "status": record["status"]}
        return
    table = folders.read_json(workdir / "tables" / "test_rollouts.json")["rows"]
    kept = ("dt", "method", "error", "error ±", "of persistence", "of best linear", "valid time")
    for row in table:
        yield {"run": record["name"], **{name: row[name] for name in kept if row.get(name) is not None}}
    others = {name: value for name, value in record["result"]["eval"].items() if not name.startswith("test/error")}
    if others:
        yield {"run": record["name"], **others}


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", None, "folder for the runs and the tables", flag_values=values)
    flags.DEFINE_enum("only", "", ("", *TABLES), "one table; empty: all", flag_values=values)
    flags.DEFINE_integer("seeds", 5, "seeds of each run, in one program", lower_bound=1, flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
