"""A finished or running training, opened from Python: its config, its read-outs, its model."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.systems.base import System, TrainState, build_system
from o2t_jax.training.checkpoint import Opened, check_digests, open_workdir
from o2t_jax.training.state import of_seed
from o2t_jax.types import Batch, PyTree


class Run:
    """A saved run at one of its steps. The files read are verified against their SHA-256 sums.

    Attributes: `workdir`, `step`, `config` (locked), `state` (`TrainState` of numpy arrays, without the optimiser's),
    `readouts` (name -> the system's read-out when it saved this step, JSON types). `system` and `predict` build
    the model at first use.
    """

    def __init__(self, workdir: Path, opened: Opened, seed: int) -> None:
        self.workdir, self.step, self.config, self._seed = workdir, opened.step, opened.config, seed
        self._meta = opened.meta
        several = opened.config.get("seeds", 1) > 1
        self.state: TrainState = of_seed(opened.state, seed) if several else opened.state
        self.readouts: dict[str, Any] = opened.meta.get("readouts", {})
        if several:
            self.readouts = {
                name: readout and {key: values[seed] for key, values in readout.items()}
                for name, readout in self.readouts.items()
            }

    def __repr__(self) -> str:
        return f"Run({str(self.workdir)!r}, system={self.config.system!r}, step={self.step})"

    @functools.cached_property
    def system(self) -> System:
        """The model with its data and measurements, as the run's config describes it.

        Raises: UsageError where a file that gives the parameters their meaning is not the training's.
        """
        system = build_system(self.config)
        check_digests(self._meta, system, str(self.workdir))
        return system

    def predict(self, batch: Batch) -> PyTree:
        """The model's prediction for a batch, as numpy arrays [B, ...].

        The contents of a batch are given by `system.sample_spec` (one sample), the prediction by
        `System.predict`. Targets in the batch are allowed and not used.
        """
        arrays = {name: np.asarray(value) for name, value in batch.items()}
        return jax.tree.map(np.asarray, self._predict(self.state.params, self.state.extra, arrays))

    @functools.cached_property
    def _predict(self) -> Any:
        return jax.jit(self.system.predict)


def load(workdir: str | Path, step: int | str | None = None, *, seed: int = 0) -> Run:
    """Opens the run in `workdir`.

    Args:
        step: a step that was kept, "latest" (also None) or "best".
        seed: the position, from 0, among the seeds of a run that trained several: 1 is the second, `config.seed + 1`.

    Raises:
        UsageError: no such folder, checkpoint, step or seed; a damaged or foreign checkpoint.
    """
    opened = open_workdir(workdir, step)
    seeds = opened.config.get("seeds", 1)
    if not 0 <= seed < seeds:
        raise UsageError(f"seed={seed}: {workdir} holds {seeds} seed(s); give one from 0 to {seeds - 1}")
    return Run(Path(workdir), opened, seed)


__all__ = ["Run", "load"]
