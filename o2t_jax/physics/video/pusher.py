"""The task `pusher`: push a ball to a target. A simulator in JAX, its reward, its pictures, its tasks.

Units as in `base`: px of 64, frames, y up. A push `a` in [-1, 1]^2 is a force of 2 a on a ball of mass 1; the speed
falls by 5 % a frame: v <- 0.95 (v + 2 a), x <- x + v. The centre stays in [5, 59], and v is 0 across a wall that is
met. Each frame costs the distance from the target over 64; within 5 px of it there are 10 more and the episode ends.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from o2t_jax.physics.primitives import Drawing, View, discs, grey, layers
from o2t_jax.physics.video.base import SIDE
from o2t_jax.types import Array

FORCE, KEEP = 2.0, 0.95
LOW, HIGH = 5.0, 59.0  # px, of the ball's centre
REACH, BONUS = 5.0, 10.0
STEPS = 50
TEST_COUNT, TEST_SEED = 100, 5
_FREE, _APART = (8.0, 56.0), 10.0  # px: where random tasks start and end, and how far apart at least


class Scene(NamedTuple):
    """`position` [..., 2] px and `velocity` [..., 2] px/frame of the ball, `target` [..., 2] px."""

    position: Float[Array, "*batch 2"]
    velocity: Float[Array, "*batch 2"]
    target: Float[Array, "*batch 2"]


class Look(NamedTuple):
    """What the task looks like: radii in px, grey values 0 to 1."""

    ball: Any = 5.0
    ball_grey: Any = 1.0
    target: Any = 4.0
    target_grey: Any = 0.5
    background: Any = 0.0


def advance(scene: Scene, action: Float[Array, "*batch 2"]) -> Scene:
    """One frame on under a push, which is cut to [-1, 1]."""
    velocity = KEEP * (scene.velocity + FORCE * jnp.clip(action, -1.0, 1.0))
    free = scene.position + velocity
    position = jnp.clip(free, LOW, HIGH)
    return Scene(position, jnp.where(position == free, velocity, 0.0), jnp.asarray(scene.target))


def distance(scene: Scene) -> Float[Array, "*batch"]:
    """Of the ball from the target, px."""
    return jnp.sqrt(jnp.sum(jnp.square(jnp.asarray(scene.position) - scene.target), axis=-1) + 1e-12)


def reached(scene: Scene) -> Bool[Array, "*batch"]:
    """Whether the episode has ended."""
    return distance(scene) < REACH


def reward(scene: Scene) -> Float[Array, "*batch"]:
    """Of having come there."""
    return BONUS * reached(scene) - distance(scene) / SIDE


def drawing(scene: Scene, look: Look = Look()) -> Drawing:  # noqa: B008 (a constant)
    """The target, and the ball in front of it, grey."""
    shapes = layers(
        discs(jnp.asarray(scene.target)[None], look.target, grey(look.target_grey)),
        discs(jnp.asarray(scene.position)[None], look.ball, grey(look.ball_grey)),
    )
    return Drawing(shapes, View(jnp.full(2, 0.5 * SIDE), 0.5 * SIDE, grey(look.background)))


def fixed_task() -> Scene:
    """The original's: at rest at (16, 32), to (48, 32). Leaves [1, 2]."""
    return Scene(np.array([[16.0, 32.0]]), np.zeros((1, 2)), np.array([[48.0, 32.0]]))


def random_tasks(count: int = TEST_COUNT, seed: int = TEST_SEED) -> Scene:
    """Tasks at rest, start and target uniform in [8, 56]^2 and at least 10 px apart. Leaves [count, 2]."""
    random = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    while len(found) < count:
        pair = random.uniform(*_FREE, (2, 2))
        if np.linalg.norm(pair[1] - pair[0]) >= _APART:
            found.append(pair)
    pairs = np.array(found).reshape(count, 2, 2)
    return Scene(pairs[:, 0], np.zeros((count, 2)), pairs[:, 1])


__all__ = [
    "BONUS",
    "FORCE",
    "HIGH",
    "KEEP",
    "LOW",
    "REACH",
    "STEPS",
    "TEST_COUNT",
    "Look",
    "Scene",
    "advance",
    "distance",
    "drawing",
    "fixed_task",
    "random_tasks",
    "reached",
    "reward",
]
