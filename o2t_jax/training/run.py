"""One run from a config and a workdir to a result: plan, restore or start, train, clean up."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from o2t_jax.config import Config
from o2t_jax.errors import UsageError
from o2t_jax.training import checkpoint, disk, loop, provenance, recovery, replay, resources
from o2t_jax.training import workdir as folders
from o2t_jax.training.contract import DataRequest, Plan, StepFn, System
from o2t_jax.training.metrics import Averages, make_writer
from o2t_jax.training.parallel import Parallel
from o2t_jax.training.plain_path import check_name
from o2t_jax.training.progress import Progress, clock
from o2t_jax.training.reporter import MakeResultsWriter, Reporter
from o2t_jax.training.signals import StopFlag, StopRequested
from o2t_jax.training.start import Start, seeds_of
from o2t_jax.training.state import TrainState, tree_bytes, tree_size
from o2t_jax.training.step import make_train_step
from o2t_jax.types import Batch

_WORTH_MEASURING = 1e12  # operations; less takes seconds anywhere


def run(
    system: System,
    config: Config,
    workdir: Path,
    *,
    parallel: Parallel,
    progress: Progress,
    results: MakeResultsWriter,
    command: str = "",
) -> int:
    """Trains `system` in `workdir` as `config` specifies, resuming from the latest checkpoint there.

    Args:
        results: makes the writer of the evaluators' results.
        command: the command line that the user typed, for the run's record.

    Returns:
        Exit code: 0 when the run is complete, 128 + signal number when a signal stopped it.

    Raises:
        UsageError: any error that the user can fix; earlier checkpoints are intact.
    """
    _check_shares(system, config, parallel)
    _check_measures(system)
    check_name(workdir)
    folders.check_workdir(workdir, config)
    start = Start.find(system, config, workdir)
    plan = _plan(system, config, parallel, start)
    this = _Run(system, config, workdir, parallel, progress, start, plan, results, command)
    this.announce()
    for error in start.damaged:
        progress.line(f"warning   {str(error).partition(': delete')[0]}; it is set aside, nothing is deleted")
    if start.step >= config.train_steps and (workdir / folders.RESULT).exists():
        if start.damaged and parallel.is_writer:
            with folders.locked(workdir):
                recovery.set_damaged_aside(workdir)
        progress.line(f"complete: {_result_line(system, workdir)}")
        return 0
    system.check()
    make_state = start.state_maker(system, config)
    with contextlib.ExitStack() as stack:
        if parallel.is_writer:
            this.check_room()
            folders.claim_workdir(workdir, config, system.truth())
            stack.enter_context(folders.locked(workdir))
            folders.sweep(workdir)
            if start.damaged:
                recovery.set_damaged_aside(workdir)
        stop = stack.enter_context(StopFlag())
        try:
            step_fn = this.compiled_step(stack, stop)
            state = parallel.replicate(make_state())  # while the step compiles
            del make_state  # it may hold a copy on the host
            return this.train(step_fn, state, stop)
        except loop.NotFiniteError as error:
            again = f" ({replay.command_of(workdir, error.step)})"
            raise loop.NotFiniteError(error.what, error.step, again) from error
        except StopRequested as signal:
            progress.line(f"stopped by {signal} before the first step; run the same command again to start over")
            return 128 + signal.signum
        finally:
            progress.close()


def _check_shares(system: System, config: Config, parallel: Parallel) -> None:
    """Raises UsageError if devices or seeds cannot share the work."""
    parallel.check_batch(config.batch)
    if system.make_batch is not None and config.seed + config.seeds > 2**31:
        raise UsageError(f"seed={config.seed} is too large: set --config.seed below 2^31 (samples are made in JAX)")
    if config.seeds == 1:
        return
    if system.make_batch is None:
        raise UsageError(
            f"seeds={config.seeds}: system {system.name!r} makes its samples outside JAX and trains one at a time: "
            "set --config.seeds=1, or use python -m experiments.sweep --seeds"
        )
    if parallel.mapped:
        raise UsageError(
            f"seeds={config.seeds} train in one program on one device, but {parallel.num_devices} are used: "
            "set --config.parallel=1"
        )


def _check_measures(system: System) -> None:
    """Raises UsageError if the names by which a system measures itself do not fit together."""
    known = ", ".join(system.evaluators) or "none"
    group = system.best.name.partition("/")[0]
    if system.evaluators and group not in system.evaluators:
        raise UsageError(
            f"system {system.name!r}: best={system.best.name!r} names no evaluator of its own ({known}): "
            "set best = Best('<evaluator>/<number>')"
        )
    for name, every in system.periods.items():
        if name not in system.evaluators or every < 1:
            raise UsageError(
                f"system {system.name!r}: periods[{name!r}]={every} must be at least 1, "
                f"for an evaluator of its own ({known})"
            )


def _plan(system: System, config: Config, parallel: Parallel, start: Start) -> Plan:
    return resources.make_plan(
        batch=config.batch,
        devices=parallel.num_devices,
        local_devices=len(parallel.devices),
        memory=resources.free_memory(config.memory_gb),
        state_bytes=tree_bytes(start.shapes),
        params_bytes=tree_bytes(start.shapes.params),
        activation_bytes=lambda samples: config.seeds * system.activation_bytes(samples),
        sample_bytes=tree_bytes(system.sample_spec or {}),
        pool_size=system.pool_size,
        pool_on_device=system.pool_on_device,
        size_fields=system.size_fields,
        stored=start.plan,
    )


@dataclasses.dataclass(frozen=True)
class _Run:
    system: System
    config: Config
    workdir: Path
    parallel: Parallel
    progress: Progress
    start: Start
    plan: Plan
    results: MakeResultsWriter
    command: str

    def announce(self) -> None:
        """Prints devices, memory and plan, before any work is done."""
        line, config, parallel, plan, start = self.progress.line, self.config, self.parallel, self.plan, self.start
        device, memory = parallel.devices[0], resources.free_memory(config.memory_gb)
        activations = config.seeds * self.system.activation_bytes(plan.micro_batch)
        pool_bytes = plan.pool_size * tree_bytes(self.system.sample_spec or {})
        pool = f"buffer of {plan.pool_size} samples ({resources.gb(pool_bytes)}), " if plan.pool_size else ""
        own = "" if memory.device is None else f", {resources.gb(memory.device)} on each device"
        several = f", seeds {config.seed} to {config.seed + config.seeds - 1} side by side" if config.seeds > 1 else ""
        line(f"run       {self.system.name} in {self.workdir}: from step {start.step} to {config.train_steps}{several}")
        line(
            f"devices   {parallel.num_devices} x {device.platform} ({device.device_kind}), {_cores()} cores, "
            f"{parallel.process_count} process(es), jax {jax.__version__}"
        )
        line(f"memory    {resources.gb(memory.host)} free{own}")
        line(
            f"plan      batch {config.batch} = {plan.devices} device(s) x {plan.micro_batches} x {plan.micro_batch}, "
            f"{pool}{tree_size(start.shapes.params):,} parameters, state {resources.gb(tree_bytes(start.shapes))}, "
            f"a step about {resources.gb(activations)}"
        )
        for note in (*self.system.notes(plan), *(f"warning: {text}" for text in plan.warnings)):
            line(f"          {note}")

    @property
    def schedule(self) -> loop.Schedule:
        config, system = self.config, self.system
        periods = {name: system.periods.get(name, config.eval_every) for name in system.evaluators}
        decisive = system.best.name.partition("/")[0]
        return loop.Schedule(config.train_steps, config.log_every, config.checkpoint_every, periods, decisive)

    def check_room(self) -> None:
        """Raises UsageError if the disk has no room for the checkpoints that will be kept."""
        keep = self.config.keep_checkpoints
        steps = (n for n in range(self.start.step + 1, self.config.train_steps + 1) if self.schedule.saves(n))
        saves = sum(1 for _ in itertools.islice(steps, keep + 2))
        disk.check_room(self.workdir, tree_bytes(self.start.shapes), keep, saves)

    def train(self, step_fn: Callable, state: TrainState, stop: StopFlag) -> int:
        """Trains to the end or to a signal; returns the exit code."""
        config, start, schedule = self.config, self.start, self.schedule
        reporter = Reporter(self.system, config, self.workdir, self.parallel, self.progress, self.plan)
        reporter.step = start.step
        with disk.explained(self.workdir, lambda: reporter.step), contextlib.ExitStack() as stack:
            self._open_outputs(reporter, stack)
            reporter.data = self.system.train_iterator(self._data_request(stop))
            stack.callback(getattr(reporter.data, "close", _nothing))
            if start.step < config.train_steps:
                getattr(reporter.data, "start", _nothing)()  # a buffer fills while the step compiles
            state, step = loop.train(
                step_fn,
                state,
                reporter.data,
                start=start.step,
                schedule=schedule,
                hooks=reporter,
                parallel=self.parallel,
                batch_size=config.batch * config.seeds,
                stop=lambda step: self._agree_to_stop(stop, schedule, step),
                window=Averages(start.meta.get("window")),
            )
            if step == config.train_steps:
                reporter.finish(step, state)
        if step < config.train_steps:
            self.progress.line(f"stopped at step {step} and saved; run the same command again to resume")
            return 128 + (stop.signum or 0)
        if self.parallel.is_writer:
            self.progress.line(f"complete: {_result_line(self.system, self.workdir)}")
        return 0

    def _open_outputs(self, reporter: Reporter, stack: contextlib.ExitStack) -> None:
        if self.parallel.is_writer:
            reporter.writer = make_writer(self.config.writers, self.workdir, self.progress, resume_step=self.start.step)
            stack.callback(reporter.writer.close)
            reporter.results = self.results(self.workdir, reporter.writer)
            devices = f"{self.parallel.num_devices} x {self.parallel.devices[0].device_kind}"
            provenance.record_start(
                self.workdir, command=self.command, step=self.start.step, devices=devices, cores=_cores()
            )
            keep = self.config.keep_checkpoints
            reporter.checkpoints = stack.enter_context(checkpoint.Checkpoints(self.workdir, keep))
            if not self.start.step:
                reporter.writer.write_hparams(folders.flatten(self.config.to_dict()))

    def _data_request(self, stop: StopFlag) -> DataRequest:
        def fill(done: int, total: int, per_second: float | None = None) -> None:
            stop.check()
            self.progress.fill(done, total, per_second)

        where = (self.parallel.process_index, self.parallel.process_count)
        return DataRequest(
            self.start.meta.get("data"), self.plan, fill, self.parallel.put, seeds_of(self.config), *where
        )

    def _agree_to_stop(self, stop: StopFlag, schedule: loop.Schedule, step: int) -> bool:
        """Several processes agree by communication, at log steps only: all must leave at the same step."""
        if self.parallel.process_count == 1:
            return stop.signum is not None
        return schedule.logs(step) and self.parallel.any(stop.signum is not None)

    def compiled_step(self, stack: contextlib.ExitStack, stop: StopFlag) -> Callable:
        """The step. It compiles while the state is made and the buffer fills.

        With several processes it compiles at the first call instead: ahead-of-time compilation under `pmap` cannot
        distinguish a process' own share from the whole batch.
        """
        system, start, pieces, parallel = self.system, self.start, self.plan.micro_batches, self.parallel
        frozen, seeds = self.config.freeze, self.config.seeds

        def make_step(axis_name: str | None) -> StepFn:
            how = {"frozen": frozen, "axis_name": axis_name, "micro_batches": pieces}
            step = make_train_step(system.loss, system.tx, system.advance, **how)
            return step if seeds == 1 else jax.vmap(step)

        step_fn = parallel.compile(make_step)
        if parallel.process_count > 1 or system.sample_spec is None or start.step >= self.config.train_steps:
            return step_fn
        size = (self.config.batch,) if seeds == 1 else (seeds, self.config.batch)
        batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct((*size, *x.shape), x.dtype), dict(system.sample_spec))
        lowered = step_fn.lower(*parallel.shapes(start.shapes, batch))
        compiling = stack.enter_context(ThreadPoolExecutor(1)).submit(lambda: parallel.in_turn(lowered.compile()))
        self._report_cost(lowered)

        def compiled(state: TrainState, batch: Batch) -> Any:
            if not compiling.done():  # only at the first step
                self.progress.update("compiling the step (cached for the next start)", plain=True)
                compiling.exception()
                stop.check()
            return compiling.result()(state, batch)

        return compiled

    def _report_cost(self, lowered: jax.stages.Lowered) -> None:
        each = resources.flops(lowered) * self.plan.micro_batches * self.plan.devices  # XLA counts one device's share
        total = each * (self.config.train_steps - self.start.step)
        if not np.isfinite(total):
            return
        text = f"cost      {each / 1e9:.3g} GFLOP a step, {total / 1e12:.3g} TFLOP in all"
        if total > _WORTH_MEASURING:
            rate = resources.measured_rate() * self.parallel.speed_up
            text += (
                f": at least {clock(total / rate)} at the {rate / 1e9:.0f} GFLOP/s that a convolution reaches here; "
                "small layers are slower, so see the ETA on the progress line"
            )
        self.progress.line(text)


def _nothing() -> None: ...


def _result_line(system: System, workdir: Path) -> str:
    path = workdir / folders.RESULT
    result = folders.read_json(path)
    try:
        parts, best = [f"step {result['step']}"], result["eval"].get(result["best_metric"])
        if best is not None:
            parts.append(f"{result['best_metric']} {best:.4g}")
        parts += system.headline({name: readout for name, readout in result["readouts"].items() if readout})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is damaged ({type(error).__name__}: {error}): delete it and run again") from error
    return f"{', '.join(parts)}; everything is in {workdir}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
