"""Measures a run on its held-out set: python -m experiments.evaluate --workdir=DIR [--step=STEP] [--json=FILE|-]

Prints the system's tables (for O2T: picture and ball errors per mode and n, with do-nothing baselines; the measures are
defined in o2t_jax/evaluation/o2t/prediction.py) and writes pictures, films, curves and tables (JSON, CSV) to
DIR/evaluation/. The JSON holds every scalar, table and curve. With --json=- only the JSON goes to standard output, and
the rest to standard error.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import _cli, _cpu

if TYPE_CHECKING:
    from o2t_jax.results import Result


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(evaluate, argv, doc=__doc__ or "", define=_define, with_config=False)


def evaluate(arguments: _cli.Arguments) -> int:
    """Runs every evaluator of the run's system."""
    values = arguments.flags
    workdir = _cli.workdir_of(values)
    from o2t_jax.evaluation.writers.console import as_text, text_stream
    from o2t_jax.evaluation.writers.folder import ResultsFolder
    from o2t_jax.evaluation.writers.json_file import plain, write_json
    from o2t_jax.results import keep
    from o2t_jax.systems.base import build_system
    from o2t_jax.training.checkpoint import open_workdir
    from o2t_jax.training.reporter import measure
    from o2t_jax.training.resources import set_compilation_cache

    opened = open_workdir(workdir, values.step)
    set_compilation_cache(opened.config.compilation_cache)
    _cpu.start_devices(arguments.cpu_tuning, values.device)
    system = build_system(opened.config)
    text_to = text_stream(values.json)
    print(f"{workdir}, step {opened.step}", file=text_to)
    numbers: dict[str, Any] = {"workdir": str(workdir), "step": opened.step}
    found: dict[str, Result] = {}
    for group, evaluator in system.evaluators.items():
        numbers[group] = {}
        for name, result in measure(evaluator, opened.state, opened.config.get("seeds", 1)):
            keep(found, f"{group}/{name}", result)
            numbers[group] |= plain(name, result)
            if text := as_text(name, result):
                print(text, file=text_to)
    files = ResultsFolder(workdir / "evaluation", flat=True).write(opened.step, found)
    for name, path in files.items():
        print(f"{name}: {path}", file=text_to)
    if values.json:
        write_json(numbers, values.json)
    return 0


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", None, "the run's folder", flag_values=values)
    flags.DEFINE_string("step", None, "a kept step, 'latest' or 'best'; latest if left out", flag_values=values)
    flags.DEFINE_string("json", None, "file for all numbers; - is standard output", flag_values=values)
    flags.DEFINE_string("device", "auto", "auto, cpu, gpu, cuda, rocm, tpu or mps", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
