"""A run without what only training needs: python -m experiments.export_run --workdir=DIR --out=DIR2 [--step=STEP]

DIR2 holds one step: parameters, extra arrays, read-outs and config, verified as every checkpoint; the numbers logged
and measured up to it, without pictures and films; the commands that made it. No optimiser's state: every command that
opens a run works on DIR2, and training cannot continue there (it can start from its weights with init_from). The runs
in examples/runs were made by it. Example:

python -m experiments.export_run --workdir=runs/cpu-1a2b3c4d --step=best --out=examples/runs/cpu
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.errors import UsageError
from o2t_jax.training import workdir as folders
from o2t_jax.training.provenance import SESSIONS

_SHOWN = ("picture", "film")  # results that are files, and most of a run's bytes


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(export, argv, doc=__doc__ or "", define=_define, with_config=False)


def export(arguments: _cli.Arguments) -> int:
    """Writes the folder whole or not at all; prints its size."""
    values = arguments.flags
    workdir, out = _cli.workdir_of(values), _cli.out_folder(values, "the exported run")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out={out} exists: give a new folder, or delete it first")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as place:
        made = Path(place) / out.name
        command = _cli.command_line("export_run", arguments.argv)
        step = write_run(workdir, made, values.step, command)
        made.replace(out)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"exported: {out}, step {step} ({size / 1e6:.2f} MB)")
    return 0


def write_run(workdir: Path, out: Path, step: int | str | None, command: str) -> int:
    """Writes one step of a run to the new folder `out`; returns the step.

    Raises:
        UsageError: no such folder, checkpoint or step; a damaged or foreign checkpoint.
    """
    from o2t_jax.evaluation.writers.folder import INDEX, read_index
    from o2t_jax.training import provenance
    from o2t_jax.training.checkpoint import Checkpoints, open_workdir
    from o2t_jax.training.metrics import JsonLinesWriter

    opened = open_workdir(workdir, step)
    out.mkdir()
    folders.write_json(out / folders.CONFIG, opened.config.to_dict())
    with Checkpoints(out, keep_latest=1) as store:  # its opt_state is None, and so it is not written
        store.save(opened.step, opened.state, config=opened.config, meta=opened.meta, readouts=opened.meta["readouts"])
    _forget_paths(out / folders.CHECKPOINTS / str(opened.step))
    for name in (folders.TRUTH, folders.METRICS, folders.RESULT, SESSIONS):
        if (workdir / name).is_file():
            shutil.copyfile(workdir / name, out / name)
    JsonLinesWriter(out / folders.METRICS, opened.step).close()  # drops what was logged after the step
    if (out / folders.RESULT).exists() and folders.read_json(out / folders.RESULT).get("step") != opened.step:
        (out / folders.RESULT).unlink()  # of the last step, which is not this one
    index = {
        name: {key: value for key, value in entry.items() if key != "file"}
        for name, entry in read_index(workdir).items()
        if entry.get("kind") not in _SHOWN and entry.get("step", 0) <= opened.step
    }
    if index:
        folders.write_json(out / INDEX, index)
    provenance.record_start(out, command=command, step=opened.step, devices="none: a copy", cores=os.cpu_count() or 1)
    told = [{name: x for name, x in start.items() if name != "platform"} for start in provenance.read_sessions(out)]
    (out / SESSIONS).write_text("".join(json.dumps(start) + "\n" for start in told))  # a kernel's name is its owner's
    return opened.step


def _forget_paths(step: Path) -> None:
    """Orbax marks finished items by a file that names its own folder on this machine."""
    from o2t_jax.training import manifest

    for path in step.rglob("commit_success.txt"):
        path.write_text("committed\n")
    manifest.write_manifest(step)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", None, "the run's folder", flag_values=values)
    flags.DEFINE_string("step", None, "a kept step, 'latest' or 'best'; latest if left out", flag_values=values)
    flags.DEFINE_string("out", None, "the new folder", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
