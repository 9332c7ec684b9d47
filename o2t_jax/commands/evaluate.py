"""Measures a run on its held-out set: python -m experiments.evaluate --workdir=DIR [--step=STEP] [--json=FILE|-]

Prints the system's tables (for O2T: picture and ball errors per mode and n, with do-nothing baselines; the measures are
defined in o2t_jax/evaluation/o2t/prediction.py) and writes pictures, films, curves and tables (JSON, CSV) to
DIR/evaluation/. The JSON holds every scalar, table and curve. With --json=- only the JSON goes to standard output, and
the rest to standard error. `--set=FIELD=VALUE` changes a field that only the measurement reads, such as the horizon of
a dynamics model's test: --set=test_horizon=5 --set=dt_values=0.05,0.2. Its files then go to a folder of their own.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from o2t_jax.commands import _cli, _cpu
from o2t_jax.config import Config, did_you_mean, flatten, put
from o2t_jax.errors import UsageError

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
    from o2t_jax.evaluation.writers.json_file import nested, plain, write_json
    from o2t_jax.results import keep
    from o2t_jax.systems.base import build_system
    from o2t_jax.training.checkpoint import check_fits, open_workdir
    from o2t_jax.training.reporter import measure
    from o2t_jax.training.resources import set_compilation_cache

    opened = open_workdir(workdir, values.step)
    change = [text.partition("=")[::2] for text in values.set]
    set_compilation_cache(opened.config.compilation_cache)
    _cpu.start_devices(arguments.cpu_tuning, values.device)
    system = build_system(opened.config)
    check_fits(opened, system, str(workdir))
    if change:
        config = opened.config.copy_and_resolve_references()
        for name, text in change:
            set_test_field(config, name, text, system.test_fields)
        system = build_system(config)
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
    for group, _, name in (entry.partition("/") for entry in system.headline_scores):
        numbers[name] = numbers[group][name]
    for name, (entry, columns) in system.headline_tables.items():
        group, _, table = entry.partition("/")
        numbers[name] = nested(numbers[group][table], columns)
    if change:
        numbers["set"] = dict(change)
    folder = "-".join(["evaluation", *(f"{name}={text}" for name, text in change)]).replace("/", "_")
    files = ResultsFolder(workdir / folder, flat=True).write(opened.step, found)
    for name, path in files.items():
        print(f"{name}: {path}", file=text_to)
    if values.json:
        write_json(numbers, values.json)
    return 0


def set_test_field(config: Config, name: str, text: str, allowed: Sequence[str]) -> None:
    """Sets a field of a finished run's config from its text. Raises: UsageError for a field not in `allowed`."""
    if name not in allowed:
        known = ", ".join(allowed) if allowed else "none in this system"
        hint = did_you_mean(name, allowed)
        raise UsageError(f"--set={name}: {hint}{' ' if hint else ''}fields that can be changed are {known}")
    now = flatten(config.to_dict())[name]
    try:
        value = text if isinstance(now, str) else ast.literal_eval(f"({text},)" if isinstance(now, list) else text)
    except (ValueError, SyntaxError):
        raise UsageError(f"--set={name}={text} is not a value like {now!r}") from None
    if isinstance(now, float) and type(value) is int:
        value = float(value)
    if type(value) is not (tuple if isinstance(now, list) else type(now)):
        raise UsageError(f"--set={name}={text} is not a value like {now!r}")
    put(config, name, value)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", None, "the run's folder", flag_values=values)
    flags.DEFINE_string("step", None, "a kept step, 'latest' or 'best'; latest if left out", flag_values=values)
    flags.DEFINE_multi_string("set", [], "FIELD=VALUE for this measurement; may be repeated", flag_values=values)
    flags.DEFINE_string("json", None, "file for all numbers; - is standard output", flag_values=values)
    flags.DEFINE_string("device", "auto", "auto, cpu, gpu, cuda, rocm, tpu or mps", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
