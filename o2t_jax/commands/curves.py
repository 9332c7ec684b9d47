"""Losses of several runs in one figure: python -m experiments.curves --workdir=DIR --workdir=DIR2 --out=FILE.png

Training (solid) and validation (dashed) over millions of samples seen, which is steps x batch, so that runs of other
batches are compared fairly; grey: methods that learn nothing. FILE.png, .pdf or .svg; --csv=FILE has the rows run,
split, samples, value, smoothed. A folder of runs, such as a sweep's, stands for all of them; unfinished runs are drawn
up to their current state. --smooth=0.98 averages training's line: the value k log lines back has the weight 0.98^k.
Which numbers are drawn is the system's choice, such as the squared error of velocity of `discs`; --train and
--validation name others, as in metrics.jsonl.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.commands._runs import run_names
from o2t_jax.commands.report import runs_in
from o2t_jax.errors import UsageError
from o2t_jax.training import workdir as folders

if TYPE_CHECKING:
    from o2t_jax.evaluation.writers.run_record import RunRecord

ENDINGS = (".png", ".pdf", ".svg")


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(draw, argv, doc=__doc__ or "", define=_define, with_config=False)


def draw(arguments: _cli.Arguments) -> int:
    """Reads the runs' logs, writes the figure and the rows."""
    values = arguments.flags
    if not values.workdir:
        raise UsageError("--workdir is missing: give the folders of one or more runs, such as runs/cpu-1a2b3c4d")
    if not 0.0 <= values.smooth < 1.0:
        raise UsageError(f"--smooth={values.smooth:g} is outside the range: at least 0 (no smoothing) and below 1")
    out = _cli.out_file(values.out, ENDINGS)
    runs = [_record(run) for folder in values.workdir for run in runs_in(Path(folder))]
    names = run_names([run.folder for run in runs], values.names)
    from o2t_jax.evaluation.writers.csv_file import table_csv
    from o2t_jax.evaluation.writers.json_file import write_whole
    from o2t_jax.evaluation.writers.learning_curves import figure_of, losses_of, table_of

    keys = _keys(runs, values.train, values.validation)
    losses = [
        part
        for name, run, (training, validation) in zip(names, runs, keys, strict=True)
        for part in losses_of(name, run, training, validation, values.smooth)
    ]
    label = " and ".join(dict.fromkeys(key for pair in keys for key in pair))
    drawn = io.BytesIO()
    figure_of(losses, label, values.log).savefig(drawn, format=out.suffix[1:])
    write_whole(out, drawn.getvalue())
    if values.csv:
        write_whole(Path(values.csv), table_csv(table_of(losses)).encode())
    print(f"curves: {out}" + (f", {values.csv}" if values.csv else ""))
    return 0


def _record(workdir: Path) -> RunRecord:
    """A run's config and log, without all else."""
    from o2t_jax.evaluation.writers.run_record import RunRecord
    from o2t_jax.training.metrics import read_metrics

    config = folders.flatten(folders.read_json(workdir / folders.CONFIG))
    return RunRecord(workdir, config, read_metrics(workdir))


def _keys(runs: Sequence[RunRecord], training: str, validation: str) -> list[tuple[str, str]]:
    """The numbers to draw of each run: those given, else those that its system compares."""
    if training and validation:
        return [(training, validation)] * len(runs)
    from o2t_jax.systems.base import build_system

    own: dict[str, tuple[str, str]] = {}
    for run in runs:
        if run.config["system"] not in own:
            config = folders.config_from_json(folders.read_json(run.folder / folders.CONFIG))
            system = build_system(config)
            own[config.system] = system.loss_curves[0], system.loss_curves[1] or system.best.name
    return [(training or one, validation or other) for one, other in (own[run.config["system"]] for run in runs)]


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_multi_string("workdir", None, "a run's folder; can be repeated", flag_values=values)
    flags.DEFINE_list("names", [], "names of the runs in the figure; their folders' if left out", flag_values=values)
    flags.DEFINE_string("out", None, "the figure: .png, .pdf or .svg", flag_values=values)
    flags.DEFINE_string("csv", None, "file for the rows", flag_values=values)
    flags.DEFINE_float("smooth", 0.0, "factor of the moving average, 0 <= x < 1; 0: none", flag_values=values)
    flags.DEFINE_string("train", "", "training's number, such as loss; the system's own if empty", flag_values=values)
    flags.DEFINE_string(
        "validation", "", "the held-out one, such as test/loss; the system's own if empty", flag_values=values
    )
    flags.DEFINE_boolean("log", True, "a logarithmic axis of the loss", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
