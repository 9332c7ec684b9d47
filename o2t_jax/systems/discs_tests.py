"""The evaluators of system `discs`: one step and roll-outs, beside constant velocity and a ceiling."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import jax
import numpy as np

from o2t_jax.config import Config
from o2t_jax.data.discs.windows import WindowPool
from o2t_jax.evaluation.discs.rollouts import IDLE
from o2t_jax.models.discs import Frames
from o2t_jax.physics.discs.world import DiscWorld
from o2t_jax.results import Film, Result, Scalar, Score, ScoreTable
from o2t_jax.systems import discs_films
from o2t_jax.systems.base import TrainState
from o2t_jax.systems.discs_held_out import HeldOut, frames_of, roll
from o2t_jax.types import Batch, PyTree


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

    def predicted(self, params: PyTree, held: HeldOut, **changed: np.ndarray) -> np.ndarray:
        """Velocities [W, B, 2] that the model predicts for every window; `changed` as in `HeldOut.windows`."""
        return held.windows(functools.partial(_predicted, self.system.model_for(held.world), params), **changed)

    def rolled(self, params: PyTree, held: HeldOut) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities [N, rollout_steps, B, 2] that the model predicts from its own predictions."""
        model, steps = self.system.model_for(held.world), self.config.rollout_steps
        position, velocity = _rolled(model, steps, params, held.start())
        return np.asarray(position), np.asarray(velocity)

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
        model, held = self.config.model, self.held_out
        position, velocity = self.rolled(params, held)
        rolled = held.beside({model: velocity}, {model: found}, self.config.rollout_steps)
        yield "cosine", rolled.curve(model, "cosine")
        yield "magnitude", rolled.curve(model, "magnitude")
        yield "cosine_share", Scalar(rolled.share(model))
        columns, rows = rolled.horizons()
        how: dict[str, Any] = {"better": "higher", "method": model, "score_column": [*columns][1]}
        yield "horizons", ScoreTable(columns, rows, baselines=(IDLE,), **how)
        right = {name: rolled.hits_in_order(name) for name in rolled.methods}
        yield "hits_in_order", Score(right[model], baselines={IDLE: right[IDLE]}, better="higher")
        yield "hits_in_order_ceiling", Scalar(right[rolled.ceiling_of[model]])
        yield "hits", Scalar(float(np.mean([len(x) for x in rolled.true_hits])))
        yield "energy_drift", Scalar(rolled.energy_drift(model))
        frames = discs_films.of_scene(held.pool.scenes, 0, {model: position}, self.world)
        yield "film", Film(frames, 1.0 / self.world.dt, f"a scene, and as {model} predicts it from its second frame on")


# Models are values: equal ones, such as runs of several seeds, are compiled once.
@functools.partial(jax.jit, static_argnums=0)
def _predicted(model: Any, params: PyTree, batch: Batch) -> jax.Array:
    return model.apply({"params": params}, frames_of(batch)).velocity


@functools.partial(jax.jit, static_argnums=(0, 1))
def _rolled(model: Any, steps: int, params: PyTree, start: Frames) -> tuple[jax.Array, jax.Array]:
    return roll(lambda params, frames: model.apply({"params": params}, frames), params, start, steps)


__all__ = ["DiscTests", "Model"]
