"""Measures a run on its held-out set: python -m experiments.evaluate --workdir=DIR [--step=STEP] [--json=FILE|-]

Prints the system's tables (for O2T: picture and ball errors per mode and n beside rows that do nothing; the measures
are defined in o2t_jax/evaluation/prediction.py) and writes its pictures to DIR/evaluation/. The JSON holds every
scalar and table. With --json=- standard output is the JSON alone, and the rest goes to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments import _cli

MOST_ROWS = 40  # longer tables are left to the JSON


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(evaluate, argv, doc=__doc__ or "", define=_define, with_config=False)


def evaluate(arguments: _cli.Arguments) -> int:
    """Runs every evaluator of the run's system."""
    values = arguments.flags
    workdir = _cli.workdir_of(values)
    from o2t_jax.evaluation.report import text_stream, write_json
    from o2t_jax.systems.base import build_system
    from o2t_jax.systems.devices import start_devices
    from o2t_jax.training.checkpoint import open_workdir
    from o2t_jax.training.resources import set_compilation_cache

    opened = open_workdir(workdir, values.step)
    set_compilation_cache(opened.config.compilation_cache)
    start_devices(values.device)
    system = build_system(opened.config)
    text_to = text_stream(values.json)
    print(f"{workdir}, step {opened.step}", file=text_to)
    folder = workdir / "evaluation"
    results: dict[str, Any] = {"workdir": str(workdir), "step": opened.step}
    for group, evaluator in system.evaluators.items():
        results[group] = {}
        for name, value in evaluator(opened.state):
            text = _take(
                results[group], name, value, folder / f"{group}_{name.replace('/', '_')}_{opened.step:07d}.png"
            )
            if text:
                print(text, file=text_to)
    if values.json:
        write_json(results, values.json)
    return 0


def _take(results: dict[str, Any], name: str, value: Any, path: Path) -> str:
    """Keeps one result: numbers and tables for the JSON, pictures in `path`. Returns what to print."""
    from o2t_jax.evaluation.report import format_table, write_png

    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 3:
        path.parent.mkdir(exist_ok=True)
        write_png(path, value)
        return f"pictures: {path}"
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        results[name] = value
        return f"\n{format_table(value)}\n" if len(value) <= MOST_ROWS else f"{name}: {len(value)} rows, see --json"
    array = np.asarray(value)
    results[name] = array.tolist()
    # Longer names repeat what the tables show.
    return f"{name} {array.item():.5g}" if array.ndim == 0 and "/" not in name else ""


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", None, "the run's folder", flag_values=values)
    flags.DEFINE_string(
        "step", None, "a step that was kept, 'latest' or 'best'; latest if left out", flag_values=values
    )
    flags.DEFINE_string("json", None, "file for all numbers; - is standard output", flag_values=values)
    flags.DEFINE_string("device", "auto", "auto, cpu, gpu, cuda, rocm, tpu or mps", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
