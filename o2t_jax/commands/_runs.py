"""Names of runs in figures and films that show several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from o2t_jax.errors import UsageError


def run_names(workdirs: Sequence[Path], given: Sequence[str]) -> list[str]:
    """Names of runs in figures: those `given`, or their folders', with the folder above where two are the same.

    Raises: UsageError where their numbers differ, or two given ones are the same.
    """
    if given:
        if len(given) != len(workdirs):
            raise UsageError(f"--names={','.join(given)}: {len(given)} names for {len(workdirs)} runs: give one each")
        if len(set(given)) < len(given):
            raise UsageError(f"--names={','.join(given)}: two names are the same: give each run its own")
        return list(given)
    paths = [workdir.resolve() for workdir in workdirs]
    for path in paths:
        if paths.count(path) > 1:
            raise UsageError(f"--workdir={path} is given twice: leave one out")
    short = [path.name for path in paths]
    return [
        name if short.count(name) == 1 else f"{path.parent.name}/{name}"
        for name, path in zip(short, paths, strict=True)
    ]
