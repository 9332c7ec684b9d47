"""The evaluators of system `discs`: one step and roll-outs, beside constant velocity and a ceiling."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import jax
import numpy as np

from o2t_jax.config import Config
from o2t_jax.data.discs.windows import WindowPool
from o2t_jax.evaluation.discs import metrics
from o2t_jax.models.discs import Frames
from o2t_jax.physics.discs.world import DiscWorld
from o2t_jax.results import Column, Result, Scalar, Score, ScoreCurve, ScoreTable
from o2t_jax.systems.base import TrainState
from o2t_jax.systems.discs_held_out import HeldOut, frames_of, roll
from o2t_jax.types import PyTree

GOAL = 0.02  # of constant velocity's error: the ceiling is not that of a model that is worse
IDLE, _CEILING = "constant velocity", "ceiling"
_HORIZONS = (10, 25, 50)


class Model(Protocol):
    """What the tests need of the system."""

    config: Config
    world: DiscWorld

    def pool(self, split: str, count: int, share: float = 0.0, world: DiscWorld | None = None) -> WindowPool: ...

    def model_for(self, world: DiscWorld) -> Any: ...


class DiscTests:
    """The evaluators, and what they keep from call to call: the same scenes for every seed."""

    def __init__(self, system: Model) -> None:
        self.system, self.config, self.world = system, system.config, system.world

    @functools.cached_property
    def held_out(self) -> HeldOut:
        """The test's scenes."""
        return self.of(self.world)

    @functools.cache  # noqa: B019 (as long-lived as the system)
    def of(self, world: DiscWorld, split: str = "test") -> HeldOut:
        """As many scenes of some world and split."""
        return HeldOut(world, self.system.pool(split, self.config.test_scenes, world=world))

    @functools.cache  # noqa: B019
    def _predict(self, world: DiscWorld) -> Any:
        model = self.system.model_for(world)
        return jax.jit(lambda params, batch: model.apply({"params": params}, frames_of(batch)).velocity)

    def predicted(self, params: PyTree, held: HeldOut, **changed: np.ndarray) -> np.ndarray:
        """Velocities [W, B, 2] that the model predicts for every window; `changed` as in `HeldOut.windows`."""
        return held.windows(functools.partial(self._predict(held.world), params), **changed)

    @functools.cached_property
    def _roll(self) -> Any:
        model = self.system.model_for(self.world)

        def step(params: PyTree, frames: Frames) -> Any:
            return model.apply({"params": params}, frames)

        return jax.jit(lambda params, start: roll(step, params, start, self.config.rollout_steps))

    def validation(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Errors of one step on scenes of their own, for curves and to choose the best checkpoint by."""
        held = self.of(self.world, "validation")
        yield from self.one_step(held.errors(self.predicted(state.params, held)))

    def test(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Errors of one step, then roll-outs; beside constant velocity, and the ceiling of such an error."""
        found = self.held_out.errors(self.predicted(state.params, self.held_out))
        yield from self.one_step(found)
        yield from self.rollouts(state.params, found)

    def one_step(self, found: Mapping[str, float]) -> Iterator[tuple[str, Result]]:
        """Errors as they are, and over those of constant velocity; `found`, see `HeldOut.errors`."""
        for name in ("mse", "collision_mse"):
            idle = found[name.replace("mse", "idle")]
            yield name, Score(found[name], baselines={IDLE: idle}, better="lower")
            yield f"{name}_ratio", Score(found[name] / idle, baselines={IDLE: 1.0}, better="lower")

    def rollouts(self, params: PyTree, found: Mapping[str, float]) -> Iterator[tuple[str, Result]]:
        """How far roll-outs from the second frame follow the truth; see `evaluation.discs.metrics`."""
        held, steps, speed = self.held_out, self.config.rollout_steps, self.world.speed
        scenes, moves = held.pool.scenes, held.moves
        truth, before = scenes["velocity"][:, 2 : steps + 2], scenes["velocity"][:, 1:2]
        own = np.asarray(self._roll(params, held.start())[1])
        noise = speed * float(np.sqrt(min(found["mse"], GOAL * found["idle"])))
        model = self.config.model
        tracks = {model: own, IDLE: np.repeat(before, steps, axis=1), _CEILING: held.restarted(steps, noise)}
        followed = {name: metrics.follow(x, truth, moves, speed) for name, x in tracks.items()}
        yield "cosine", self._curve({name: x.cosine for name, x in followed.items()}, "cosine", "higher")
        yield "magnitude", self._curve({name: x.magnitude for name, x in followed.items()}, "speed error", "lower")
        last = {name: float(np.nanmean(x.cosine[:, -1])) for name, x in followed.items()}
        yield "cosine_share", Scalar(metrics.share_of_way(last[model], last[IDLE], last[_CEILING]))
        yield "horizons", self._table(followed)
        whole = {name: np.concatenate([before, x], axis=1) for name, x in tracks.items()}
        hits = {name: metrics.hits_of(x, moves, speed) for name, x in whole.items()}
        true = metrics.hits_of(np.concatenate([before, truth], axis=1), moves, speed)
        right = {name: float(np.mean(metrics.right_in_order(x, true))) for name, x in hits.items()}
        yield "hits_in_order", Score(right.pop(model), baselines={IDLE: right[IDLE]}, better="higher")
        yield "hits_in_order_ceiling", Scalar(right[_CEILING])
        yield "hits", Scalar(float(np.mean([len(x) for x in true])))
        yield "energy_drift", Scalar(metrics.drift(metrics.energy(whole[model], scenes["mass"], moves)))

    def _curve(self, values: dict[str, np.ndarray], label: str, better: Any) -> ScoreCurve:
        """Means over scenes, of the model with their 95 % interval."""
        means, own = {name: np.nanmean(x, axis=0) for name, x in values.items()}, values[self.config.model]
        half = 1.96 * np.nanstd(own, axis=0) / np.sqrt(len(own))
        mine, model = means.pop(self.config.model), self.config.model
        frames = np.arange(1, len(mine) + 1)
        axes = ("frames ahead", label)
        return ScoreCurve(frames, mine, mine - half, mine + half, *axes, baselines=means, better=better, method=model)

    def _table(self, followed: Mapping[str, metrics.Followed]) -> ScoreTable:
        """Cosines and errors of the speed at some horizons."""
        horizons = [h for h in _HORIZONS if h <= self.config.rollout_steps] or [self.config.rollout_steps]
        rows = [
            {
                "method": name,
                **{f"cosine t+{h}": float(np.nanmean(x.cosine[:, h - 1])) for h in horizons},
                **{f"speed t+{h}": float(np.nanmean(x.magnitude[:, h - 1])) for h in horizons},
            }
            for name, x in followed.items()
        ]
        columns = {"method": Column()} | {name: Column(spec=".3f") for name in [*rows[0]][1:]}
        first = f"cosine t+{horizons[0]}"
        how: dict[str, Any] = {"better": "higher", "method": self.config.model, "score_column": first}
        return ScoreTable(columns, rows, baselines=(IDLE,), **how)


__all__ = ["GOAL", "IDLE", "DiscTests", "Model"]
