"""A run's side effects: progress line, logs, evaluation, checkpoints, the final result."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from o2t_jax.config import Config
from o2t_jax.results import Result, keep, known_of_seeds, over_seeds
from o2t_jax.results import scalars as scalars_of
from o2t_jax.training import checkpoint, resources
from o2t_jax.training import workdir as folders
from o2t_jax.training.clu_writers import MetricWriter
from o2t_jax.training.contract import Plan, System
from o2t_jax.training.loop import Timing
from o2t_jax.training.metrics import Averages
from o2t_jax.training.parallel import Parallel
from o2t_jax.training.progress import Eta, Progress, clock
from o2t_jax.training.state import TrainState, of_seed
from o2t_jax.types import BatchIterator, Evaluator


class ResultsWriter(Protocol):
    """Writes an evaluation's results. The command provides one; training implements none."""

    def write(self, step: int, found: Mapping[str, Result], /) -> object:
        """`found`: all results of one evaluation, by "<evaluator>/<name>"."""
        ...


# Makes one for a run's folder. Pictures and films may also go to the run's own metric writer.
MakeResultsWriter = Callable[[Path, MetricWriter], ResultsWriter]


class Reporter:
    """The loop's hooks for one run. `writer`, `results` and `checkpoints` are None in processes that write no files."""

    writer: MetricWriter | None = None
    results: ResultsWriter | None = None
    checkpoints: checkpoint.Checkpoints | None = None
    data: BatchIterator | None = None
    step = 0  # the last step whose metrics are known

    def __init__(
        self, system: System, config: Config, workdir: Path, parallel: Parallel, progress: Progress, plan: Plan
    ):
        self._system, self._config, self._workdir = system, config, workdir
        self._parallel, self._progress, self._plan = parallel, progress, plan
        self._eta = Eta()
        self._evaluated: dict[str, tuple[int, dict[str, float]]] = {}  # evaluator -> step, scalars
        self._readouts: dict[str, Any] = {}
        self._train: dict[str, float] = {}
        self._pace: dict[str, float] = {}
        self._once: dict[str, float] | None = None  # for the first log; None before the first step

    def on_step(self, step: int, metrics: Mapping[str, float]) -> None:
        self.step = step
        if self._once is None:
            seconds = resources.program_seconds()
            self._once = {"train/first_step_seconds": seconds}
            self._progress.line(f"begun     first step finished {seconds:.1f} s after the program started")
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

    def on_eval(self, step: int, state: TrainState, due: Sequence[str]) -> None:
        """Every process evaluates, so that none waits for another; one process writes."""
        found: dict[str, Result] = {}
        single = self._parallel.unreplicate(state)
        for group in due:
            results: dict[str, Result] = {}
            for name, result in measure(self._system.evaluators[group], single, self._config.seeds):
                keep(results, f"{group}/{name}", result)
            numbers = {key: x for name, result in results.items() for key, x in scalars_of(name, result).items()}
            self._evaluated[group] = (step, numbers)
            found |= results
            if self.writer and numbers:
                self.writer.write_scalars(step, numbers)
        if self.results:
            self.results.write(step, found)
        resources.give_memory_back()

    def on_save(self, step: int, state: TrainState, position: Mapping[str, Any], window: Averages) -> None:
        host = self._parallel.to_host(state)
        self._readouts = self._read_out(host)
        if not self.writer or not self.checkpoints:
            return
        # Before the save: a run that resumes there does not write them again.
        for name, readout in self._readouts.items():
            found = _means(readout or {}) if self._config.seeds > 1 else readout or {}
            numbers = {k: v for k, v in found.items() if isinstance(v, float) and math.isfinite(v)}
            if numbers:
                self.writer.write_scalars(step, {f"{name}/{key}": value for key, value in numbers.items()})
        self.writer.flush()
        meta = {
            "system": self._system.name,
            "data": dict(position),
            "plan": self._plan.saved(),
            "window": window.get_state(),
            "digests": dict(self._system.digests()),
        }
        best = self._system.best
        evaluated, scalars = self._evaluated.get(best.name.partition("/")[0], (-1, {}))
        self.checkpoints.save(
            step,
            host,
            config=self._config,
            meta=meta,
            readouts=self._readouts,
            held_out=scalars.get(best.name) if evaluated == step else None,
            mode=best.mode,
        )

    def _read_out(self, host: TrainState) -> dict[str, Any]:
        """Every read-out; with several seeds the numbers are lists [S]."""
        seeds = self._config.seeds
        if seeds == 1:
            return {name: read(host) for name, read in self._system.readouts.items()}
        states = [of_seed(host, i) for i in range(seeds)]
        return {name: _of_seeds([read(state) for state in states]) for name, read in self._system.readouts.items()}

    def finish(self, step: int, state: TrainState) -> None:
        """Writes result.json once the last checkpoint is on disk and can be read back."""
        late = [group for group in self._system.evaluators if self._evaluated.get(group, (-1, {}))[0] != step]
        if late:  # resumed at the very end, after the save but before the result
            self.on_eval(step, state, late)
        if not self._readouts:
            self._readouts = self._read_out(self._parallel.to_host(state))
        if not self.checkpoints:
            return
        self.checkpoints.open_again()
        evaluated = {name: value for _, scalars in self._evaluated.values() for name, value in scalars.items()}
        result = {
            "system": self._system.name,
            "step": step,
            "best_step": checkpoint.best_step(self._workdir),
            "best_metric": self._system.best.name,
            "train": _finite(self._train | self._pace),
            "eval": _finite(evaluated),
            "readouts": self._readouts,
        }
        folders.write_json(self._workdir / folders.RESULT, result)


def measure(evaluator: Evaluator, state: TrainState, seeds: int = 1) -> Iterable[tuple[str, Result]]:
    """One evaluator's results on a state; those of a state of several seeds (leading axis [S]) are merged."""
    if seeds == 1:
        return evaluator(state)
    return over_seeds([list(evaluator(of_seed(state, i))) for i in range(seeds)])


def _of_seeds(readouts: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """The read-outs of S seeds as one: key -> list [S], with None for a seed that lacks it; None if no seed has any."""
    if all(readout is None for readout in readouts):
        return None
    keys = dict.fromkeys(key for readout in readouts for key in readout or {})
    return {key: [(readout or {}).get(key) for readout in readouts] for key in keys}


def _means(readout: Mapping[str, Any]) -> dict[str, float]:
    """The mean of each list of numbers [S] over the seeds that have one; other values are left out."""
    return {key: statistics.fmean(known) for key, values in readout.items() if (known := known_of_seeds(values))}


def _finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: float(value) if math.isfinite(value) else None for name, value in numbers.items()}
