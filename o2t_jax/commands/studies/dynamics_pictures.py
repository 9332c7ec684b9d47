"""Five predictors learned from pictures in one table, beside rows that learn nothing of motion.

python -m experiments.studies.dynamics_pictures --out=DIR [--headline=spatial_newtonian] [--seeds=3] [--only=NAME,...]

The headline predictor is trained with seeds 0 to `--seeds` - 1, the others with seed 0. Each run is a process
with one JSON in DIR; finished ones are skipped. `--config.FIELD=VALUE` applies to all. Errors are those of 96 sequences
that were never trained on, the same for all runs.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import flags

from o2t_jax.commands import _cli, sweep
from o2t_jax.commands._trainings import stoppable
from o2t_jax.errors import UsageError
from o2t_jax.systems.dynamics_pictures_config import PREDICTORS
from o2t_jax.training import workdir as folders

CONFIG = "experiments/configs/dynamics/pictures.py"
SPATIAL = tuple(name for name in PREDICTORS if name.startswith("spatial_"))
SHOWN = (1, 2, 5, 10)  # horizons, steps


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(stoppable(compare), argv, doc=__doc__ or "", define=_define, config=CONFIG)


def compare(arguments: _cli.Arguments) -> int:
    """Trains the unfinished runs, then writes and prints the table."""
    values = arguments.flags
    out = _cli.out_folder(values, "the runs and the table")
    chosen = values.only or list(SPATIAL)
    for name in (*chosen, values.headline):
        if name not in PREDICTORS:
            raise UsageError(f"predictor {name!r} is unknown: choose from {', '.join(PREDICTORS)}")
    out.mkdir(parents=True, exist_ok=True)
    changed = [item for item in _cli.config_overrides(list(arguments.argv)) if not item.startswith("--config=")]
    rows: list[dict[str, Any]] = []
    order = sorted(chosen, key=lambda name: name != values.headline)
    for seed in range(values.seeds):
        for name in order if seed == 0 else [values.headline]:
            rows.append(run_one(name, seed, changed, out))
            write(rows, out)
    print(as_text(rows))
    return int(any(row["status"] != "finished" for row in rows))


def run_one(name: str, seed: int, changed: list[str], out: Path) -> dict[str, Any]:
    """One row of the table: a run with this predictor and seed, trained if necessary; with what it measured."""
    common = (f"--config={CONFIG}:{name}", *changed, f"--config.seed={seed}")
    run = sweep.Run(f"{name}-seed{seed}", {"predictor": name}, seed, common)
    record = sweep.finish_run(run, out)
    row: dict[str, Any] = {"predictor": name, "seed": seed, "status": record["status"]}
    row["minutes"] = record.get("minutes", math.nan)  # earlier versions kept no time
    if record["status"] == "finished":
        row["measured"] = folders.read_json(out / run.name / "results.json")
    return row


def write(rows: list[dict[str, Any]], out: Path) -> None:
    """table.txt, and table.json with the curves."""
    (out / "table.txt").write_text(as_text(rows) + "\n")
    folders.write_json(
        out / "table.json", [{k: v for k, v in row.items() if k != "measured"} | summary(row) for row in rows]
    )


def summary(row: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers and curves of a finished run; empty otherwise."""
    if "measured" not in row:
        return {}
    found = row["measured"]
    curve = found["test/mse_over_horizon"]
    best_idle = [min(values) for values in zip(*curve["baselines"].values(), strict=True)]
    ratios = [ours / idle for ours, idle in zip(curve["y"], best_idle, strict=True)]
    numbers = {
        "mse": curve["y"],
        "ratio_to_best_row": ratios,
        "below_all_rows_from_2": all(ratio < 1.0 for ratio in ratios[1:]),
        "psnr": found["test/psnr_over_horizon"]["y"],
        "ssim": found["test/ssim_over_horizon"]["y"],
        "mae": found["test/mae_over_horizon"]["y"],
        "centroid": found["test/centroid_over_horizon"]["y"],
        "rows": {name: curve["baselines"][name] for name in curve["baselines"]},
        "rows_centroid": found["test/centroid_over_horizon"]["baselines"],
        "rows_valid_time": found["test/valid_time"]["baselines"],
        "rows_found": found["test/found"]["baselines"],
        "told_dt": {name.partition("/")[2]: found[name]["value"] for name in found if name.startswith("told_dt/")},
        "told_dt_rows": {
            name.partition("/")[2]: found[name]["baselines"] for name in found if name.startswith("told_dt/")
        },
    }
    for name in ("found", "found_long", "valid_time", "frequency_error", "frequency_bias"):
        numbers[name] = found[f"test/{name}"]["value"] if f"test/{name}" in found else None
    return numbers


def as_text(rows: list[dict[str, Any]]) -> str:
    """The table: MSE (1e-4) of some horizons, the largest ratio from 2 steps on, and the other measures."""
    lines: list[dict[str, Any]] = []
    idle: dict[str, Any] = {}
    for row in rows:
        line = {"predictor": row["predictor"], "seed": row["seed"], "minutes": round(row["minutes"], 1)}
        numbers = summary(row)
        if not numbers:
            lines.append({**line, "status": row["status"]})
            continue
        idle = numbers
        line |= _mse(numbers["mse"])
        line["worst ratio 2-10"] = max(numbers["ratio_to_best_row"][1:])
        line["found %"], line["found long %"] = numbers["found"], numbers["found_long"]
        line["centroid px"] = sum(numbers["centroid"]) / len(numbers["centroid"])
        line["frequency error %"], line["bias %"] = numbers["frequency_error"], numbers["frequency_bias"]
        line["valid s"] = numbers["valid_time"]
        line |= {
            f"px at {name.rpartition('_')[2]} s": x for name, x in numbers["told_dt"].items() if "centroid" in name
        }
        lines.append(line)
    for name, curve in idle.get("rows", {}).items():
        line = {"predictor": name, "seed": "-", "minutes": "-", **_mse(curve), "found %": idle["rows_found"][name]}
        if name in idle["rows_centroid"]:
            line["centroid px"] = sum(idle["rows_centroid"][name]) / len(curve)
        if name in idle["rows_valid_time"]:
            line["valid s"] = idle["rows_valid_time"][name]
        lines.append(line)
    return sweep.as_text(lines)


def _mse(curve: list[float]) -> dict[str, float]:
    return {f"MSE {step}, 1e-4": 1e4 * curve[step - 1] for step in SHOWN if step <= len(curve)}


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("headline", "spatial_newtonian", "the predictor with several seeds", flag_values=values)
    flags.DEFINE_integer("seeds", 3, "its seeds", lower_bound=1, flag_values=values)
    flags.DEFINE_list("only", [], "only these predictors", flag_values=values)
    flags.DEFINE_string("out", None, "folder for the runs and the table", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
