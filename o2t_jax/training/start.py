"""Where a run begins: at step 0, with another run's weights, or at the latest whole checkpoint of its workdir."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from o2t_jax.config import Config
from o2t_jax.errors import UsageError
from o2t_jax.training import checkpoint, recovery
from o2t_jax.training.checkpoint_meta import required
from o2t_jax.training.contract import Plan, System
from o2t_jax.training.graft import graft_parts
from o2t_jax.training.parts import check_parts
from o2t_jax.training.state import Initial, TrainState


@dataclasses.dataclass(frozen=True)
class Start:
    """Where a run begins: at step 0, or at the latest checkpoint of its workdir."""

    initial: Initial
    step: int = 0
    folder: Path | None = None
    meta: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    damaged: Sequence[UsageError] = ()  # checkpoints that are not what was saved

    @classmethod
    def find(cls, system: System, config: Config, workdir: Path) -> Start:
        """Of the run in `workdir`. Raises: UsageError where another system was trained there."""
        initial = Initial(system.init, system.tx, seeds_of(config))
        check_parts([initial.shapes.params], config.freeze, "freeze")
        folder, damaged = recovery.find_whole(workdir)
        if folder is None:
            return cls(initial)
        meta = checkpoint.read_meta(folder)
        if (name := meta.get("system")) != system.name:
            raise UsageError(f"{workdir} was trained as system {name!r}, not {system.name!r}")
        required(meta, folder, "plan", "data")
        checkpoint.check_digests(meta, system, str(workdir))
        return cls(initial, meta["step"], folder, meta, damaged)

    @property
    def shapes(self) -> TrainState:
        """The state's, without its numbers."""
        return self.initial.shapes

    @property
    def plan(self) -> Plan | None:
        """The one that the run began with; None at step 0."""
        return Plan(**self.meta["plan"]) if self.folder else None

    def state_maker(self, system: System, config: Config) -> Callable[[], TrainState]:
        """Returns a function that makes the initial state.

        The state is restored (numpy), or made by the system, optionally with another run's weights. An unusable
        checkpoint is refused here, before the workdir is claimed and the step is compiled.
        """
        if self.folder:
            restored = checkpoint.restore_state(self.folder, self.shapes)
            return lambda: restored
        if not config.init_from:
            return self.initial.make
        source = open_source(config.init_from)
        checkpoint.check_digests(source.meta, system, f"init_from={config.init_from}")
        check_parts([self.shapes.params, self.shapes.extra], config.init_parts, "init_parts")
        _with_weights_of(self.shapes, source, config)
        return lambda: _with_weights_of(self.initial.make(), source, config)


def open_source(source: str) -> checkpoint.Opened:
    """A run named by "DIR", "DIR@best" or "DIR@STEP"."""
    workdir, at, step = source.rpartition("@")
    if not at or Path(source).is_dir():  # a folder's name may contain "@"
        workdir, step = source, ""
    return checkpoint.open_workdir(workdir, step or None)


def _with_weights_of(state: TrainState, opened: checkpoint.Opened, config: Config) -> TrainState:
    """Parameters and extra collections of another run, or parts of them; optimiser state and step start at zero."""
    what, parts = f"init_from={config.init_from}", config.init_parts
    params = graft_parts(opened.state.params, state.params, parts, f"{what}: params")
    extra = graft_parts(opened.state.extra, state.extra, parts, f"{what}: extra")
    return state.replace(params=params, extra=extra)


def seeds_of(config: Config) -> tuple[int, ...]:
    """The seeds that are trained side by side."""
    return tuple(range(config.seed, config.seed + config.seeds))
