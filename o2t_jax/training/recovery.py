"""Damaged checkpoints of a run that resumes: which one is whole, and where the others go."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from o2t_jax.errors import UsageError
from o2t_jax.training import manifest
from o2t_jax.training import workdir as folders
from o2t_jax.training.checkpoint import read_meta
from o2t_jax.training.workdir import saved_steps


def read_all(
    workdir: str | Path, before: float = math.inf
) -> Iterator[tuple[int, dict[str, Any] | manifest.DamagedError]]:
    """Every kept step below `before`, the newest first, with its metadata or what is damaged in it.

    Each is read whole when it is asked for.

    Raises:
        UsageError: a checkpoint is foreign.
    """
    root = Path(workdir).resolve() / folders.CHECKPOINTS
    for step in reversed([step for step in saved_steps(workdir) if step < before]):
        try:
            found = read_meta(root / str(step))
        except manifest.DamagedError as error:
            yield step, error
        else:
            yield step, found


def find_whole(workdir: str | Path) -> tuple[Path | None, list[manifest.DamagedError]]:
    """The newest step's folder of which every byte is as saved (None without any step), and the damaged ones' errors.

    Every kept step is read: a damaged number could make another one the best.

    Raises:
        UsageError: there are checkpoints, and none is whole; or the newest whole one is foreign.
    """
    root = Path(workdir).resolve() / folders.CHECKPOINTS
    whole, damaged = None, []
    for step, found in read_all(workdir):
        if isinstance(found, manifest.DamagedError):
            damaged.append(found)
        else:
            whole = whole or root / str(step)
    if damaged and whole is None:
        raise UsageError(
            f"{workdir} holds no whole checkpoint ({str(damaged[0]).partition(': delete')[0]}): "
            f"delete the folder {root} to start again from step 0, or choose another --workdir"
        )
    return whole, damaged


def set_damaged_aside(workdir: str | Path) -> None:
    """Gives damaged checkpoints names under which nothing looks for them. One process calls this."""
    root = Path(workdir).resolve() / folders.CHECKPOINTS
    for step, found in read_all(workdir):
        if isinstance(found, manifest.DamagedError):
            names = (f"{step}.damaged{f'.{number}' if number > 1 else ''}" for number in itertools.count(1))
            (root / str(step)).rename(next(root / name for name in names if not (root / name).exists()))
