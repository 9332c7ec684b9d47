"""Makes the batch of one step of a run again: python -m experiments.batch --workdir=DIR --step=STEP [--out=FILE.npz]

For a loss that was not finite: says of each array how many of its numbers are not finite, and their range; --out keeps
the arrays. Nothing is trained, and the run's folder is only read.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import flags

from o2t_jax.commands import _cli, _cpu
from o2t_jax.errors import UsageError


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(show, argv, doc=__doc__ or "", define=_define, with_config=False)


def show(arguments: _cli.Arguments) -> int:
    """Makes the batch, prints its table and writes its arrays."""
    values = arguments.flags
    workdir = _cli.workdir_of(values)
    if values.step is None:
        raise UsageError("--step is missing: give the step whose batch is wanted, such as the one that an error names")
    out = _cli.out_file(values.out, (".npz",)) if values.out else None
    from o2t_jax.evaluation.writers.console import format_table
    from o2t_jax.systems.base import build_system
    from o2t_jax.training import workdir as folders
    from o2t_jax.training.contract import Plan
    from o2t_jax.training.replay import batch_again

    if not (workdir / folders.CONFIG).is_file():
        raise UsageError(f"--workdir={workdir} holds no run: it has no {folders.CONFIG}")
    config = folders.config_from_json(folders.read_json(workdir / folders.CONFIG))
    _cpu.start_devices(arguments.cpu_tuning, "cpu")
    system = build_system(config)
    # A run that has saved nothing was planned on the machine: if it made the buffer smaller, this is another batch.
    plan = Plan(system.pool_size, config.batch, 1, 1)
    batch, first = batch_again(system, config, workdir, values.step, plan)
    arrays = arrays_of(batch)
    print(format_table([row_of(name, array) for name, array in arrays.items()]))
    print(f"batch of step {values.step}, drawn again from " + (f"checkpoint {first}" if first else "the start"))
    if config.get("buffer") == "free":
        print("with buffer=free a batch is never the same twice: --config.buffer=deterministic makes it so")
    if out:
        write_arrays(out, arrays)
    return 0


def arrays_of(batch: Any) -> dict[str, Any]:
    """Arrays by the names on their way, joined by '/'."""
    import jax

    return {
        "/".join(str(getattr(key, "key", getattr(key, "name", key))) for key in path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(batch)
    }


def row_of(name: str, array: Any) -> Mapping[str, Any]:
    """One array's row: its numbers that are not finite, and the range of the others."""
    import numpy as np

    finite = np.isfinite(array)
    good = np.asarray(array, np.float64)[finite]
    row: dict[str, Any] = {"array": name, "type": str(array.dtype), "shape": "x".join(map(str, array.shape)) or "1"}
    row["not finite"] = int(np.size(array) - np.count_nonzero(finite))
    return row | {"smallest": good.min() if good.size else np.nan, "largest": good.max() if good.size else np.nan}


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Raises UsageError where it cannot be written."""
    import numpy as np

    try:
        np.savez(path, **arrays)
    except OSError as error:
        raise UsageError(f"--out={path} cannot be written ({error})") from error


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", None, "the run's folder", flag_values=values)
    flags.DEFINE_integer("step", None, "the step, from 1", flag_values=values)
    flags.DEFINE_string("out", None, "file for the arrays (.npz)", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
