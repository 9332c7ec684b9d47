"""The batch of a step, made again: what a run trained on when its loss was not finite."""

from __future__ import annotations

import shlex
from pathlib import Path

import jax
import numpy as np

from o2t_jax.config import Config
from o2t_jax.errors import UsageError
from o2t_jax.training import manifest
from o2t_jax.training.contract import DataRequest, Plan, System
from o2t_jax.training.recovery import read_all
from o2t_jax.types import Batch


def command_of(workdir: Path, step: int) -> str:
    """The command that makes it."""
    return f"python -m experiments.batch --workdir={shlex.quote(str(workdir))} --step={step}"


def batch_again(system: System, config: Config, workdir: Path, step: int, plan: Plan) -> tuple[Batch, int]:
    """The global batch on which step `step` (from 1) of a run trained, as numpy arrays [B, ...], or [S, B, ...].

    It is drawn from the position that the newest whole checkpoint before that step has saved, or from the start:
    nothing is trained, and nothing is written. With `buffer=free` it is another one: the order there is that of time.

    Args:
        plan: of a run that has no checkpoint before that step; else the checkpoint's own is taken.

    Returns:
        The batch, and the step of the checkpoint (0: the start).

    Raises:
        UsageError: the run has no such step.
    """
    if not 1 <= step <= config.train_steps:
        raise UsageError(f"--step={step}: {workdir} has steps 1 to {config.train_steps}")
    first, position = 0, None
    for saved, meta in read_all(workdir, before=step):
        if isinstance(meta, manifest.DamagedError):
            continue
        first, position, plan = saved, meta["data"], Plan(**meta["plan"])
        break
    seeds = tuple(range(config.seed, config.seed + config.seeds))
    data = system.train_iterator(DataRequest(position, plan, lambda *_: None, lambda batch: batch, seeds))
    try:
        batch = {}
        getattr(data, "start", lambda: None)()
        for _ in range(first, step):
            batch = next(data)
        return jax.tree.map(np.array, batch), first  # copies: an iterator may use its memory again
    finally:
        getattr(data, "close", lambda: None)()
