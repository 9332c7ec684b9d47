"""The training loop: the order of steps, and when to log, evaluate, save and stop. It does not depend on a model.

On an accelerator the device never waits for the host. A step is dispatched, the next batch is drawn while it runs, and
only then are the metrics of the *previous* step read. (On a CPU a step is finished when its call returns, unless
`cpu_tuning=off`.)
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.training.contract import StepFn
from o2t_jax.training.metrics import Averages, mean_of
from o2t_jax.training.parallel import Parallel
from o2t_jax.training.state import TrainState
from o2t_jax.training.step import reduce_metrics
from o2t_jax.types import Batch, BatchIterator


class NotFiniteError(UsageError):
    """The loss or gradient of `step` is not finite."""

    def __init__(self, what: str, step: int, again: str = "") -> None:
        super().__init__(
            f"{what} at step {step}: training stopped, earlier checkpoints are untouched; lower --config.lr or look at "
            f"the samples{again}, then start in a new --workdir"
        )
        self.what, self.step = what, step


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Periods of logs, evaluations and checkpoints, in steps. Each happens after the step, with the updated state.

    Attributes: `periods`: steps between two calls of each evaluator; `decisive`: the evaluator that picks the best
    checkpoint.
    """

    train_steps: int
    log_every: int
    checkpoint_every: int
    periods: Mapping[str, int]
    decisive: str = ""

    def logs(self, step: int) -> bool:
        return step % self.log_every == 0 or step == self.train_steps

    def due(self, step: int) -> tuple[str, ...]:
        """The evaluators that are due at this step; all of them at the end."""
        return tuple(name for name, every in self.periods.items() if step % every == 0 or step == self.train_steps)

    def saves(self, step: int) -> bool:
        """Whether to save. A state that the decisive evaluator measures is saved too, so that the best can be kept."""
        return step % self.checkpoint_every == 0 or step == self.train_steps or self.decisive in self.due(step)


@dataclasses.dataclass(frozen=True)
class Timing:
    """Since the last log line: training samples per second, and seconds that the loop waited for data."""

    samples_per_second: float
    data_wait_seconds: float


class Hooks(Protocol):
    """Callbacks of the loop."""

    def on_step(self, step: int, metrics: Mapping[str, float]) -> None:
        """After every step, once its own metrics are known."""

    def on_log(self, step: int, means: Mapping[str, float], timing: Timing) -> None:
        """`means` over the steps since the last log line."""

    def on_eval(self, step: int, state: TrainState, due: Sequence[str]) -> None:
        """`due`: names of the evaluators that are due."""

    def on_save(self, step: int, state: TrainState, position: Mapping[str, Any], window: Averages) -> None:
        """`position`: the iterator's, for the batch after this step; `window`: the next log line's averages so far."""


def train(
    step_fn: StepFn,
    state: TrainState,
    data: BatchIterator,
    *,
    start: int,
    schedule: Schedule,
    hooks: Hooks,
    parallel: Parallel,
    batch_size: int,
    stop: Callable[[int], bool] = lambda step: False,
    window: Averages | None = None,
) -> tuple[TrainState, int]:
    """Trains from step `start` to the end of the schedule, or until `stop(step)`; saves before it returns.

    Args:
        step_fn: compiled step; donates the state it is given.
        parallel: sends batches to the devices and metrics back.
        batch_size: samples in a global batch.
        stop: called after every step; must return the same value in every process of a run.
        window: averages of the unfinished log interval of a resumed run.

    Returns:
        The state and its step.

    Raises:
        NotFiniteError: the loss or gradient is not finite. Nothing is saved after that step.
    """
    if start >= schedule.train_steps:
        return state, start
    reader = _Reader(schedule, hooks, parallel, batch_size, window or Averages())
    batch, position = reader.draw(data)
    reader.waited = 0.0  # filling a buffer is not waiting
    step = start
    for step in range(start + 1, schedule.train_steps + 1):
        state, metrics = step_fn(state, batch)
        if step < schedule.train_steps:
            batch, position = reader.draw(data)
        else:
            position = data.get_state()
        reader.read()  # the previous step's, while the device works on this one
        reader.pending = (step, metrics)
        stopping = stop(step)
        due, saves = schedule.due(step), stopping or schedule.saves(step)
        if due or saves:
            reader.read()
            if due:
                hooks.on_eval(step, state, due)
            if saves:
                hooks.on_save(step, state, position, reader.window)
            reader.restart_clock()
        if stopping:
            break
    return state, step


class _Reader:
    """Draws batches, reads metrics one step late, and keeps the averages and times for the next log line."""

    def __init__(self, schedule: Schedule, hooks: Hooks, parallel: Parallel, batch_size: int, window: Averages):
        self.window = window
        self.pending: tuple[int, Mapping[str, Any]] | None = None
        self.waited = 0.0
        self._schedule, self._hooks, self._parallel, self._batch_size = schedule, hooks, parallel, batch_size
        self._samples, self._busy = 0, 0.0
        self._since: float | None = None  # the first step compiles: no rate until it has finished

    def draw(self, data: BatchIterator) -> tuple[Batch, Mapping[str, Any]]:
        """The next batch, being sent to the devices, and the position it was drawn from."""
        position = data.get_state()
        before = time.monotonic()
        batch = next(data)
        self.waited += time.monotonic() - before
        if all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(batch)):  # already put by the iterator
            return batch, position
        return self._parallel.put(dict(batch) if isinstance(batch, Mapping) else batch), position

    def read(self) -> None:
        """Reads the pending metrics, raises if they are not finite, and logs if a line is due."""
        if self.pending is None:
            return
        step, metrics = self.pending
        self.pending = None
        metrics = self._parallel.to_host(metrics)
        _check_finite(step, metrics)
        metrics = reduce_metrics(metrics, np.mean, np.sum)  # over the seeds; a single one has scalars
        self.window.add(metrics)
        self._count()
        self._hooks.on_step(step, {name: mean_of(value) for name, value in metrics.items()})
        if self._schedule.logs(step):
            timing = Timing(self._samples / self._busy if self._busy else math.nan, self.waited)
            self._hooks.on_log(step, self.window.means(), timing)
            self.window = Averages()
            self.waited, self._samples, self._busy = 0.0, 0, 0.0

    def restart_clock(self) -> None:
        """Excludes the time of evaluating and saving from the training time."""
        self._since = time.monotonic()

    def _count(self) -> None:
        now = time.monotonic()
        if self._since is not None:
            self._busy += now - self._since
            self._samples += self._batch_size
        self._since = now


def _check_finite(step: int, metrics: Mapping[str, Any]) -> None:
    """Raises NotFiniteError if a loss or gradient, scalars or one per seed [S], is not finite."""
    for name in ("loss", "grad_norm"):
        values = np.asarray(metrics[name], np.float64)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            whose = f" of the seed at position {bad[0]}" if values.ndim else ""
            raise NotFiniteError(f"{name}{whose} is {values.flat[bad[0]]}", step)
