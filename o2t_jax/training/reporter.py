"""What a run does beside training: progress line, logs, evaluation, checkpoints, the final result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from o2t_jax.training import checkpoint, resources
from o2t_jax.training import workdir as folders
from o2t_jax.training.clu_writers import MetricWriter
from o2t_jax.training.contract import Plan, System
from o2t_jax.training.loop import Timing
from o2t_jax.training.metrics import Window
from o2t_jax.training.parallel import Parallel
from o2t_jax.training.progress import Eta, Progress, clock
from o2t_jax.training.state import TrainState
from o2t_jax.training.workdir import Config
from o2t_jax.types import BatchIterator


class Reporter:
    """The loop's hooks for one run. `writer` and `checkpoints` stay None in processes that write nothing."""

    writer: MetricWriter | None = None
    checkpoints: checkpoint.Checkpoints | None = None
    data: BatchIterator | None = None

    def __init__(
        self, system: System, config: Config, workdir: Path, parallel: Parallel, progress: Progress, plan: Plan
    ):
        self._system, self._config, self._workdir = system, config, workdir
        self._parallel, self._progress, self._plan = parallel, progress, plan
        self._eta = Eta()
        self._evaluated: tuple[int, dict[str, float]] = (-1, {})
        self._law: dict[str, Any] | None = None
        self._train: dict[str, float] = {}
        self._pace: dict[str, float] = {}
        self._once: dict[str, float] | None = None  # for the first log; None before the first step

    def on_step(self, step: int, metrics: Mapping[str, float]) -> None:
        if self._once is None:
            seconds = resources.program_seconds()
            self._once = {"train/first_step_seconds": seconds}
            self._progress.line(f"begun     the first step was done {seconds:.1f} s after the program's start")
        total = self._config.train_steps
        eta = self._eta.seconds(step, total)
        parts = [f"step {step}/{total}", self._system.summary(metrics)]
        if self._pace:
            rate, waited = self._pace["samples_per_second"], self._pace["data_wait_seconds"]
            parts.append(f"{rate:.3g} samples/s, waited {waited:.1f} s for data")
        parts.append(f"ETA {clock(eta)}" if eta is not None else "")
        self._progress.update(
            " · ".join(filter(None, parts)), plain=step % self._config.log_every == 0 or step == total
        )

    def on_log(self, step: int, means: Mapping[str, float], timing: Timing) -> None:
        self._train = {**means, **self._system.scalars(step)}
        stats = getattr(self.data, "stats", dict)()
        scalars = {f"train/{name}": value for name, value in self._train.items()}
        scalars |= {f"data/{name}": value for name, value in stats.items()}
        scalars |= self._once or {}
        self._once = {}
        if math.isfinite(timing.samples_per_second):
            rate, waited = timing.samples_per_second, timing.data_wait_seconds
            self._pace = {"samples_per_second": rate, "data_wait_seconds": waited}
            scalars |= {"train/samples_per_second": rate, "train/data_wait_seconds": waited}
        if self.writer:
            self.writer.write_scalars(step, scalars)

    def on_eval(self, step: int, state: TrainState) -> None:
        """Every process evaluates, so that none waits for another; one writes."""
        scalars: dict[str, float] = {}
        single = self._parallel.unreplicate(state)
        for group, evaluator in self._system.evaluators.items():
            for name, value in evaluator(single):
                self._take(step, f"{group}/{name}", value, scalars)
        self._evaluated = (step, scalars)
        if self.writer and scalars:
            self.writer.write_scalars(step, scalars)

    def _take(self, step: int, name: str, value: Any, scalars: dict[str, float]) -> None:
        """Sorts one result of an evaluator by what it is."""
        if np.ndim(value) == 0 and not isinstance(value, (str, Mapping)):
            scalars[name] = float(value)
        elif isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 3:
            if self.writer:
                self.writer.write_images(step, {name: value})
                _save_picture(self._workdir / "pictures" / f"{name.replace('/', '_')}_{step:07d}.png", value)
        elif isinstance(value, (list, tuple, Mapping, np.ndarray)):
            if self.writer:
                path = self._workdir / "tables" / f"{name.replace('/', '_')}.json"
                path.parent.mkdir(exist_ok=True)
                folders.write_json(path, {"step": step, "rows": value})
        else:
            raise TypeError(f"evaluator value {name!r} is a {type(value).__name__}, not a scalar, picture or table")

    def on_save(self, step: int, state: TrainState, position: Mapping[str, Any], window: Window) -> None:
        host = self._parallel.to_host(state)
        self._law = self._system.read_law(host)
        if not self.writer or not self.checkpoints:
            return
        evaluated = self._evaluated[1] if self._evaluated[0] == step else {}
        meta = {
            "system": self._system.name,
            "data": dict(position),
            "plan": {
                "pool_size": self._plan.pool_size,
                "micro_batch": self._plan.micro_batch,
                "micro_batches": self._plan.micro_batches,
                "devices": self._plan.devices,
            },
            "window": window.get_state(),
            "law": self._law,
        }
        self.checkpoints.save(host, config=self._config, meta=meta, held_out=evaluated.get(self._system.best_metric))
        numbers = {k: v for k, v in (self._law or {}).items() if isinstance(v, float) and math.isfinite(v)}
        if numbers:
            self.writer.write_scalars(step, {f"law/{name}": value for name, value in numbers.items()})
        self.writer.flush()

    def finish(self, step: int, state: TrainState) -> None:
        """Writes result.json once the last checkpoint is on disk and can be read back."""
        if self._evaluated[0] != step:  # resumed at the very end, after the save but before the result
            self.on_eval(step, state)
            self._law = self._system.read_law(self._parallel.to_host(state))
        if not self.checkpoints:
            return
        self.checkpoints.open_again()
        result = {
            "system": self._system.name,
            "step": step,
            "best_step": checkpoint.best_step(self._workdir),
            "best_metric": self._system.best_metric,
            "train": _finite(self._train | self._pace),
            "eval": _finite(self._evaluated[1]),
            "law": self._law,
        }
        folders.write_json(self._workdir / folders.RESULT, result)


def _finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: float(value) if math.isfinite(value) else None for name, value in numbers.items()}


def _save_picture(path: Path, picture: np.ndarray) -> None:
    from PIL import Image

    path.parent.mkdir(exist_ok=True)
    Image.fromarray(picture.squeeze()).save(path)
