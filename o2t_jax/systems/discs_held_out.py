"""Held-out scenes of a world of discs, and what a model or the simulator predicts in them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.data.discs.windows import WindowPool
from o2t_jax.evaluation.discs.rollouts import CEILING, Rollouts
from o2t_jax.models.discs import Frames, Step
from o2t_jax.physics.discs.scene import Scene, Walls
from o2t_jax.physics.discs.world import DiscWorld
from o2t_jax.types import Batch, PyTree

GOAL = 0.02  # of constant velocity's error: the ceiling is not that of a model that is worse
WINDOWS = 4096  # that are predicted at a time
Predict = Callable[[PyTree, Frames], Step]  # under `jax.jit`


def frames_of(batch: Batch) -> Frames:
    """What a model sees of windows: their first two frames."""
    x = {name: jnp.asarray(value) for name, value in batch.items()}
    walls = Walls(x["walls/ends"], x["walls/present"])
    return Frames(x["position"][:, :2], x["velocity"][:, :2], x["mass"], x["radius"], x["present"], walls)


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOut:
    """Scenes of one world, and the windows in them."""

    world: DiscWorld
    pool: WindowPool

    @functools.cached_property
    def moves(self) -> np.ndarray:
        """Which discs [N, B] are there and no obstacles."""
        scenes = self.pool.scenes
        return scenes["present"] & np.isfinite(scenes["mass"])

    def squared(self, found: np.ndarray, truth: np.ndarray, scene: np.ndarray) -> np.ndarray:
        """Squared error [W] of velocities [W, B, 2] over the speed limit, mean over a window's discs and entries."""
        error, there = np.mean(np.square((found - truth) / self.world.speed), axis=-1), self.moves[scene]
        return np.where(there, error, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)

    def windows(self, predict: Callable[[Batch], Any], **changed: np.ndarray) -> np.ndarray:
        """Velocities [W, B, 2] predicted for every window; `changed` arrays [N, ...] replace the scenes' own."""
        pool = self.pool
        found = np.zeros((pool.size, *pool.scenes["velocity"].shape[2:]), np.float32)
        for first in range(0, pool.size, WINDOWS):
            numbers = np.arange(first, min(first + WINDOWS, pool.size))
            padded = np.resize(numbers, WINDOWS)  # one shape, one compilation
            batch = pool.take(padded) | {name: x[padded // pool.frames] for name, x in changed.items()}
            found[numbers] = np.asarray(predict(batch))[: len(numbers)]
        return found

    @functools.cached_property
    def truth(self) -> np.ndarray:
        """Velocities [W, B, 2] in the third frame of every window."""
        velocity = self.pool.scenes["velocity"][:, 2:]
        return velocity.reshape(-1, *velocity.shape[2:])

    @functools.cached_property
    def idle(self) -> np.ndarray:
        """Those in the second frame: what constant velocity predicts."""
        velocity = self.pool.scenes["velocity"][:, 1:-1]
        return velocity.reshape(-1, *velocity.shape[2:])

    @property
    def scene(self) -> np.ndarray:
        """The scene [W] of every window."""
        return np.arange(self.pool.size) // self.pool.frames

    def errors(self, found: np.ndarray) -> dict[str, float]:
        """Mean squared errors of predicted velocities [W, B, 2], and of constant velocity.

        Returns: "mse" and "idle" over all windows, "collision_mse" and "collision_idle" over those with a collision.
        """
        mine, idle = (self.squared(x, self.truth, self.scene) for x in (found, self.idle))
        hit = self.pool.collides
        means = {"mse": mine, "idle": idle, "collision_mse": mine[hit], "collision_idle": idle[hit]}
        return {name: float(np.mean(x)) if len(x) else float("nan") for name, x in means.items()}

    def by_scene(self, found: np.ndarray) -> np.ndarray:
        """Squared errors [N] of predicted velocities [W, B, 2], summed over the windows of each scene."""
        return self.squared(found, self.truth, self.scene).reshape(-1, self.pool.frames).sum(axis=1)

    def start(self) -> Frames:
        """The first two frames of every scene."""
        scenes = self.pool.scenes
        walls = Walls(jnp.asarray(scenes["walls/ends"]), jnp.asarray(scenes["walls/present"]))
        position, velocity = (jnp.asarray(scenes[name][:, :2]) for name in ("position", "velocity"))
        mass, radius, present = (jnp.asarray(scenes[name]) for name in ("mass", "radius", "present"))
        return Frames(position, velocity, mass, radius, present, walls)

    def restarted(self, steps: int, noise: float) -> np.ndarray:
        """Velocities [N, steps + 1, B, 2] of the simulator from the second frame, with `noise` px/s on those there."""
        start, drawn = self.start(), np.random.default_rng(0).normal(size=self.pool.scenes["velocity"][:, 1].shape)
        velocity = start.velocity[:, 1] + (noise * drawn * self.moves[..., None]).astype(np.float32)
        scene = Scene(start.position[:, 1], velocity, start.mass, start.radius, start.present, start.walls)
        return np.asarray(_simulated(self.world, scene, steps).velocity)

    def beside(
        self, models: Mapping[str, np.ndarray], errors: Mapping[str, Mapping[str, float]], steps: int
    ) -> Rollouts:
        """Roll-outs of `steps` steps from the second frame, beside constant velocity and ceilings.

        Args: `models`, name -> velocities [N, at least `steps`, B, 2]; `errors` of one step, name -> see `errors`. A
        ceiling's noise is the error of its model, at most that of the goal; models of one noise share a ceiling.
        """
        noise = {
            name: self.world.speed * float(np.sqrt(min(errors[name]["mse"], GOAL * errors[name]["idle"])))
            for name in models
        }
        called, scenes = {}, self.pool.scenes
        for level in dict.fromkeys(noise.values()):
            sharing = [name for name in models if noise[name] == level]
            called[level] = CEILING if len(sharing) == len(models) else f"{CEILING} of {', '.join(sharing)}"
        return Rollouts(
            truth=scenes["velocity"][:, 1 : steps + 2],
            models={name: x[:, :steps] for name, x in models.items()},
            ceilings={name: self.restarted(steps, level) for level, name in called.items()},
            ceiling_of={name: called[level] for name, level in noise.items()},
            moves=self.moves,
            mass=scenes["mass"],
            speed=self.world.speed,
        )

    def one_frame(self, mass: np.ndarray) -> np.ndarray:
        """Velocities [W, B, 2] of the simulator one frame after every window's second one, with masses [N, B]."""

        def predict(batch: Batch) -> Any:
            x = frames_of(batch)
            scene = Scene(x.position[:, 1], x.velocity[:, 1], x.mass, x.radius, x.present, x.walls)
            return _simulated(self.world, scene, 1).velocity[:, 1]

        return self.windows(predict, mass=mass)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _simulated(world: DiscWorld, scene: Scene, steps: int) -> Any:
    return world.simulate(scene, steps)


def roll(predict: Predict, params: PyTree, start: Frames, steps: int) -> tuple[jax.Array, jax.Array]:
    """Positions and velocities [N, steps, B, 2] that a model predicts from two frames and then from its own ones."""

    def body(now: Frames, _: None) -> tuple[Frames, Step]:
        step = predict(params, now)
        position = jnp.stack([jnp.asarray(now.position)[:, 1], step.position], axis=1)
        velocity = jnp.stack([jnp.asarray(now.velocity)[:, 1], step.velocity], axis=1)
        return now._replace(position=position, velocity=velocity), step

    position, velocity = jax.lax.scan(body, start, None, length=steps)[1]
    return jnp.moveaxis(position, 0, 1), jnp.moveaxis(velocity, 0, 1)


__all__ = ["GOAL", "HeldOut", "frames_of", "roll"]
