"""The record of one run, from which a report is made. The command reads it from the run's folder."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from o2t_jax import results
from o2t_jax.errors import UsageError
from o2t_jax.results import Curve, Scalar, Table


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """A run, finished or not; everything but its folder and config may be empty.

    Attributes:
        folder: the run's folder.
        config: flat, field -> value.
        rows: the logged numbers, {"step": n, name: number, ...}.
        result: the last numbers of a finished run.
        index: its last results, as returned by `folder.read_index`.
        readouts: learned quantities of the world, by name.
        truth: the simulated world's own numbers.
        truth_curve: its g(z), z [M] m -> g [M] m/s^2.
        sessions: each start of the command.
        notes: messages about unreadable parts.
    """

    folder: Path
    config: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] = ()
    result: Mapping[str, Any] | None = None
    index: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    readouts: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    truth: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    truth_curve: Callable[[np.ndarray], np.ndarray] | None = None
    sessions: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name

    @property
    def step(self) -> int:
        """The last step with any record."""
        steps = [row["step"] for row in self.rows] + [entry.get("step", 0) for entry in self.index.values()]
        return int(self.result["step"] if self.result else max(steps, default=0))

    @functools.cached_property
    def numeric(self) -> dict[str, Scalar | Curve | Table]:
        """The last results that are numbers, by name. Raises: UsageError where one is damaged."""
        found = {}
        for name, entry in self.index.items():
            if entry.get("kind") in ("picture", "film"):
                continue
            try:
                found[name] = results.from_json(entry)
            except ValueError as error:
                raise UsageError(
                    f"{self.folder}: {name!r} of its results is damaged ({error}): evaluate again"
                ) from error
        return found

    def series(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps [T] and values [T] of a logged number; NaN for null. The last row of a step counts."""
        found = {int(row["step"]): row[name] for row in self.rows if name in row}
        steps = sorted(found)
        return np.array(steps, int), np.array([np.nan if found[s] is None else found[s] for s in steps], float)

    def logged(self) -> list[str]:
        """Names of all logged numbers, in the order of their first appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row if name != "step"))
