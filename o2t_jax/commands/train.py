"""Trains a system: python -m experiments.train [--config=FILE] [--config.FIELD=VALUE] [--workdir=DIR]

The same command again resumes from the last checkpoint. Ctrl-C saves and exits.
Several machines: give each --coordinator=HOST:PORT --num_processes=N --process_id=I and a workdir that all can access.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from absl import flags

from o2t_jax.commands import _cli, _cpu
from o2t_jax.systems.base_config import validate
from o2t_jax.training.workdir import default_workdir


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(train, argv, doc=__doc__ or "", define=_define)


def train(arguments: _cli.Arguments) -> int:
    """Trains a system according to the arguments."""
    config, values = arguments.config, arguments.flags
    assert config is not None and arguments.config_name is not None
    validate(config)
    workdir = Path(values.workdir) if values.workdir else default_workdir(arguments.config_name, config)
    # From here on JAX is needed.
    from o2t_jax.evaluation.writers.folder import ResultsFolder
    from o2t_jax.systems.base import build_system
    from o2t_jax.training import parallel, resources
    from o2t_jax.training.progress import Progress
    from o2t_jax.training.run import run

    resources.set_compilation_cache(config.compilation_cache)
    cluster = (values.coordinator, values.num_processes, values.process_id)
    _cpu.start_devices(arguments.cpu_tuning, config.device, *cluster)
    devices = parallel.make_parallel(config.parallel)
    progress = Progress(enabled=devices.is_writer)
    code = run(
        build_system(config),
        config,
        workdir,
        parallel=devices,
        progress=progress,
        results=ResultsFolder,
        command=_cli.command_line("train", arguments.argv),
    )
    resources.give_memory_back()
    return code


def _define(values: flags.FlagValues) -> None:
    def from_env(name: str) -> int | None:
        return int(os.environ[name]) if os.environ.get(name, "").isdigit() else None

    flags.DEFINE_string("workdir", None, "the run's folder; runs/<config>-<hash> if left out", flag_values=values)
    flags.DEFINE_string(
        "coordinator",
        os.environ.get("JAX_COORDINATOR_ADDRESS"),
        "several processes: host:port of process 0, or 'auto' on a cluster that JAX knows",
        flag_values=values,
    )
    for name, env, text in (
        ("num_processes", "JAX_NUM_PROCESSES", "several processes: their number"),
        ("process_id", "JAX_PROCESS_ID", "several processes: index of this one, from 0"),
    ):
        flags.DEFINE_integer(name, from_env(env), text, flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
