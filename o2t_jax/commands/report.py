"""A page about a run: python -m experiments.report --workdir=DIR [--workdir=DIR2 ...] [--out=FILE]

One HTML file that needs no network and no other file: read-outs with the truth, results with their baselines, curves,
predictions, films, losses, timings, config, versions, the command. Several runs share a page and a table. An unfinished
run is shown up to its current state. A folder of runs, such as a sweep's, stands for all of them. --tables=DIR2 also
writes its tables as CSV and LaTeX (booktabs), each score with the rows that learn nothing. Example:

python -m experiments.report --workdir=runs/cpu-1a2b3c4d --out=report.html --tables=tables
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.commands._runs import run_names
from o2t_jax.errors import UsageError
from o2t_jax.training import workdir as folders

if TYPE_CHECKING:
    from o2t_jax.evaluation.writers.run_record import RunRecord

DEFAULT_OUT = "report.html"


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(make_report, argv, doc=__doc__ or "", define=_define, with_config=False)


def make_report(arguments: _cli.Arguments) -> int:
    """Reads the runs and writes the page."""
    values = arguments.flags
    if not values.workdir:
        raise UsageError("--workdir is missing: give the folders of one or more runs, such as runs/cpu-1a2b3c4d")
    workdirs = [run for folder in values.workdir for run in runs_in(Path(folder))]
    if len(workdirs) > 1 and not values.out:
        raise UsageError("--out is missing: several runs need a file for their page, such as --out=report.html")
    out = Path(values.out) if values.out else workdirs[0] / DEFAULT_OUT
    _cli.check_folder("out", out)
    from o2t_jax.evaluation.writers.json_file import write_whole
    from o2t_jax.evaluation.writers.run_page import report

    command = _cli.command_line("report", arguments.argv)
    runs = [read_run(workdir) for workdir in workdirs]
    text = report(runs, command)
    write_whole(out, text.encode())
    print(f"report: {out} ({len(text) / 1e6:.1f} MB)")
    if values.tables:
        from o2t_jax.evaluation.writers.run_tables import write_tables

        files = write_tables(dict(zip(run_names(workdirs, []), runs, strict=True)), Path(values.tables))
        print(f"tables: {len(files)} files in {values.tables}")
    return 0


def runs_in(folder: Path) -> list[Path]:
    """The run in a folder, or the runs in its subfolders, as a sweep leaves them. Raises: UsageError for neither."""
    if (_cli.a_run(folder) / folders.CONFIG).is_file():
        return [folder]
    runs = sorted(path.parent for path in folder.glob(f"*/{folders.CONFIG}"))
    if not runs:
        raise UsageError(f"--workdir={folder} holds no run: {folders.CONFIG} is missing, here and in its subfolders")
    return runs


def read_run(workdir: Path) -> RunRecord:
    """The contents of a run's folder. Raises: UsageError if a file is damaged."""
    from o2t_jax.commands.law import _truth as truth_curve
    from o2t_jax.evaluation.writers.folder import read_index
    from o2t_jax.evaluation.writers.run_record import RunRecord
    from o2t_jax.training.metrics import read_metrics
    from o2t_jax.training.provenance import read_sessions

    def read(name: str) -> Any:
        return folders.read_json(workdir / name) if (workdir / name).is_file() else None

    result = read(folders.RESULT)
    readouts, notes = _readouts(workdir, result)
    return RunRecord(
        folder=workdir,
        config=folders.flatten(read(folders.CONFIG)),
        rows=read_metrics(workdir),
        result=result,
        index=read_index(workdir),
        readouts=readouts,
        truth=read(folders.TRUTH) or {},
        truth_curve=truth_curve(workdir),
        sessions=read_sessions(workdir),
        notes=notes,
    )


def _readouts(workdir: Path, result: dict[str, Any] | None) -> tuple[dict[str, Any], list[str]]:
    """Read-outs by name, of the finished run or else of its last checkpoint; and error messages."""
    source, notes = result, []
    if source is None and folders.saved_steps(workdir):
        from o2t_jax.training.checkpoint import find_step, read_meta

        try:
            source = read_meta(find_step(workdir))
        except (UsageError, OSError) as error:  # a running training may have just removed it
            notes.append(str(error))
    if source is None:
        return {}, notes
    if "readouts" not in source:
        return {}, [*notes, f"{workdir} was written before read-outs had names: its read-outs are not shown"]
    found = source["readouts"]
    return {name: readout for name, readout in found.items() if readout}, notes


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_multi_string("workdir", None, "a run's folder; can be repeated", flag_values=values)
    flags.DEFINE_string("out", None, f"the file to write; DIR/{DEFAULT_OUT} if left out", flag_values=values)
    flags.DEFINE_string("tables", None, "folder for the tables as CSV and LaTeX; none if left out", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
