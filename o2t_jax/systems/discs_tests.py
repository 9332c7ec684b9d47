"""The evaluators of system `discs`: one step and roll-outs, beside constant velocity and a ceiling."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.config import Config
from o2t_jax.data.discs.windows import WindowPool
from o2t_jax.evaluation.discs import metrics
from o2t_jax.models.discs import Frames
from o2t_jax.physics.discs.scene import Scene, Walls
from o2t_jax.physics.discs.world import DiscWorld
from o2t_jax.results import Column, Result, Scalar, Score, ScoreCurve, ScoreTable
from o2t_jax.systems.base import TrainState
from o2t_jax.types import Batch, PyTree

GOAL = 0.02  # of constant velocity's error: a model that is better than this is not asked for more by the ceiling
_WINDOWS = 4096  # that are predicted at a time
_IDLE, _CEILING = "constant velocity", "ceiling"
_HORIZONS = (10, 25, 50)


class Model(Protocol):
    """What the tests need of the system."""

    config: Config
    world: DiscWorld
    model: Any

    def pool(self, split: str, count: int, share: float = 0.0) -> WindowPool: ...

    def predict(self, params: PyTree, extra: PyTree, batch: Batch) -> Any: ...


class DiscTests:
    """The evaluators, and what they keep from call to call: the same scenes for every seed."""

    def __init__(self, system: Model) -> None:
        self.system, self.config, self.world = system, system.config, system.world

    @functools.cached_property
    def held_out(self) -> WindowPool:
        """The test's scenes."""
        return self.system.pool("test", self.config.test_scenes)

    @functools.cached_property
    def moves(self) -> np.ndarray:
        """Which discs [N, B] are there and no obstacles."""
        scenes = self.held_out.scenes
        return scenes["present"] & np.isfinite(scenes["mass"])

    @functools.cached_property
    def _predict(self) -> Any:
        return jax.jit(lambda params, batch: self.system.predict(params, {}, batch).velocity)

    def one_step(self, params: PyTree) -> dict[str, float]:
        """Mean squared error of velocity over the speed limit, of all windows and of those with a collision.

        Returns: "mse", "collision_mse", and the same of constant velocity as "idle" and "collision_idle".
        """
        pool = self.held_out
        mine, idle = np.zeros(pool.size), np.zeros(pool.size)
        for first in range(0, pool.size, _WINDOWS):
            numbers = np.arange(first, min(first + _WINDOWS, pool.size))
            padded = np.resize(numbers, _WINDOWS)  # one shape, one compilation
            batch = pool.take(padded)
            there = self.moves[padded // pool.frames]
            truth = batch["velocity"][:, 2]
            found = np.asarray(self._predict(params, batch))
            mine[numbers] = self._squared(found, truth, there)[: len(numbers)]
            idle[numbers] = self._squared(batch["velocity"][:, 1], truth, there)[: len(numbers)]
        hit = pool.collides
        return {
            "mse": float(mine.mean()),
            "idle": float(idle.mean()),
            "collision_mse": float(mine[hit].mean()),
            "collision_idle": float(idle[hit].mean()),
        }

    def _squared(self, found: np.ndarray, truth: np.ndarray, there: np.ndarray) -> np.ndarray:
        error = np.mean(np.square((found - truth) / self.world.speed), axis=-1)
        return np.where(there, error, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)

    @functools.cached_property
    def _roll(self) -> Any:
        def run(params: PyTree, frames: Frames) -> tuple[jax.Array, jax.Array]:
            def body(now: Frames, _: None) -> tuple[Frames, tuple[jax.Array, jax.Array]]:
                step = self.system.model.apply({"params": params}, now)
                later = now._replace(
                    position=jnp.stack([now.position[:, 1], step.position], axis=1),
                    velocity=jnp.stack([now.velocity[:, 1], step.velocity], axis=1),
                )
                return later, (step.position, step.velocity)

            track = jax.lax.scan(body, frames, None, length=self.config.rollout_steps)[1]
            position, velocity = (jnp.moveaxis(x, 0, 1) for x in track)
            return position, velocity

        return jax.jit(run)

    def rollout(self, params: PyTree) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities [N, T, B, 2] predicted from each scene's first two frames."""
        scenes = self.held_out.scenes
        walls = Walls(scenes["walls/ends"], scenes["walls/present"])
        start = Frames(
            scenes["position"][:, :2],
            scenes["velocity"][:, :2],
            scenes["mass"],
            scenes["radius"],
            scenes["present"],
            walls,
        )
        position, velocity = self._roll(params, jax.tree.map(jnp.asarray, start))
        return np.asarray(position), np.asarray(velocity)

    @functools.cached_property
    def _restart(self) -> Any:
        """Scenes, and noise of their velocities -> velocities [N, T, B, 2] of the simulator."""
        steps = self.config.rollout_steps
        return jax.jit(jax.vmap(lambda scene: self.world.simulate(scene, steps).velocity[1:]))

    def ceiling(self, noise: float) -> np.ndarray:
        """Velocities [N, T, B, 2] of the simulator from the second frame, with `noise` (px/s) on each velocity there."""
        scenes = self.held_out.scenes
        velocity = scenes["velocity"][:, 1]
        drawn = np.random.default_rng(0).normal(scale=noise, size=velocity.shape) * self.moves[..., None]
        start = Scene(
            scenes["position"][:, 1],
            (velocity + drawn).astype(np.float32),
            scenes["mass"],
            scenes["radius"],
            scenes["present"],
            Walls(scenes["walls/ends"], scenes["walls/present"]),
        )
        return np.asarray(self._restart(jax.tree.map(jnp.asarray, start)))

    def one_step_and_rollouts(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Errors of one step, then roll-outs; beside constant velocity, and the ceiling of such an error."""
        found = self.one_step(state.params)
        for name in ("mse", "collision_mse"):
            idle = found[name.replace("mse", "idle")]
            yield name, Score(found[name], baselines={_IDLE: idle}, better="lower")
            yield f"{name}_ratio", Score(found[name] / idle, baselines={_IDLE: 1.0}, better="lower")
        yield from self.rollouts(state.params, found)

    def rollouts(self, params: PyTree, found: Mapping[str, float]) -> Iterator[tuple[str, Result]]:
        """How far roll-outs follow the truth; see `evaluation.discs.metrics`."""
        scenes, steps, speed, moves = self.held_out.scenes, self.config.rollout_steps, self.world.speed, self.moves
        truth = scenes["velocity"][:, 2 : steps + 2]
        position, own = self.rollout(params)
        noise = speed * float(np.sqrt(min(found["mse"], GOAL * found["idle"])))
        tracks = {
            self.config.model: own,
            _IDLE: np.repeat(scenes["velocity"][:, 1:2], steps, axis=1),
            _CEILING: self.ceiling(noise),
        }
        followed = {name: metrics.follow(x, truth, moves, speed) for name, x in tracks.items()}
        for quantity, better in (("cosine", "higher"), ("magnitude", "lower")):
            yield quantity, self._curve({name: getattr(x, quantity) for name, x in followed.items()}, quantity, better)
        last = {name: float(np.nanmean(x.cosine[:, -1])) for name, x in followed.items()}
        yield "cosine_share", Scalar(metrics.share_of_way(last[self.config.model], last[_IDLE], last[_CEILING]))
        before = scenes["velocity"][:, 1:2]
        hits = {
            name: metrics.hits_of(np.concatenate([before, x], axis=1), moves, speed)
            for name, x in (tracks | {"truth": truth}).items()
        }
        right = {name: float(np.mean(metrics.right_in_order(hits[name], hits["truth"]))) for name in tracks}
        yield "hits_in_order", Score(right.pop(self.config.model), baselines=right, better="higher")
        yield "hits", Scalar(float(np.mean([len(x) for x in hits["truth"]])))
        yield "horizons", self._table(followed)
        yield (
            "energy_drift",
            Scalar(metrics.drift(metrics.energy(np.concatenate([before, own], 1), scenes["mass"], moves))),
        )

    def _curve(self, values: dict[str, np.ndarray], name: str, better: Any) -> ScoreCurve:
        """Means over scenes with their 95 % intervals."""
        means = {method: np.nanmean(x, axis=0) for method, x in values.items()}
        own = values[self.config.model]
        half = 1.96 * np.nanstd(own, axis=0) / np.sqrt(len(own))
        mine = means.pop(self.config.model)
        time = np.arange(1, len(mine) + 1)
        return ScoreCurve(
            time, mine, mine - half, mine + half, "frames ahead", name, baselines=means, better=better,
            method=self.config.model,
        )  # fmt: skip

    def _table(self, followed: Mapping[str, metrics.Followed]) -> ScoreTable:
        """Cosines at some horizons."""
        horizons = [h for h in _HORIZONS if h <= self.config.rollout_steps]
        rows = [
            {
                "method": name,
                **{f"cosine t+{h}": float(np.nanmean(x.cosine[:, h - 1])) for h in horizons},
                **{f"speed t+{h}": float(np.nanmean(x.magnitude[:, h - 1])) for h in horizons},
            }
            for name, x in followed.items()
        ]
        columns = {"method": Column()} | {name: Column(spec=".3f") for name in [*rows[0]][1:]}
        return ScoreTable(columns, rows, baselines=(_IDLE,), better="higher", method=self.config.model)


__all__ = ["GOAL", "DiscTests"]
