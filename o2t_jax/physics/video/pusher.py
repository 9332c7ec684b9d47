"""The task `pusher`: push a ball to a target. A simulator in JAX, its reward, its pictures, its tasks.

Units as in `base`: px of 64, frames, y up. A push `a` in [-1, 1]^2 is a force of 2 a on a ball of mass 1; the speed
falls by 5 % a frame: v <- 0.95 (v + 2 a), x <- x + v. The centre stays in [5, 59], and v is 0 across a wall that is
met. Each frame costs the distance from the target over 64; within 5 px of it there are 10 more and the episode ends.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from o2t_jax.errors import UsageError
from o2t_jax.physics.primitives import Drawing, View, discs, layers
from o2t_jax.physics.video.base import SIDE
from o2t_jax.types import Array, PyTree

FORCE, KEEP = 2.0, 0.95
LOW, HIGH = 5.0, 59.0  # px, of the ball's centre
REACH, BONUS = 5.0, 10.0
STEPS = 50
TASKS, TASKS_SEED = 100, 5
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
    grey = lambda value: jnp.reshape(jnp.asarray(value, jnp.float32), (1,))  # noqa: E731
    shapes = layers(
        discs(jnp.asarray(scene.target)[None], look.target, grey(look.target_grey)),
        discs(jnp.asarray(scene.position)[None], look.ball, grey(look.ball_grey)),
    )
    return Drawing(shapes, View(jnp.full(2, 0.5 * SIDE), 0.5 * SIDE, grey(look.background)))


def fixed_task() -> Scene:
    """The original's: at rest at (16, 32), to (48, 32). Leaves [1, 2]."""
    return Scene(np.array([[16.0, 32.0]]), np.zeros((1, 2)), np.array([[48.0, 32.0]]))


def random_tasks(count: int = TASKS, seed: int = TASKS_SEED) -> Scene:
    """Tasks at rest, start and target uniform in [8, 56]^2 and at least 10 px apart. Leaves [count, 2]."""
    random = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    while len(found) < count:
        pair = random.uniform(*_FREE, (2, 2))
        if np.linalg.norm(pair[1] - pair[0]) >= _APART:
            found.append(pair)
    pairs = np.array(found).reshape(count, 2, 2)
    return Scene(pairs[:, 0], np.zeros((count, 2)), pairs[:, 1])


def checked(actions: Any) -> np.ndarray:
    """Pushes [..., 2] from outside. Raises: UsageError for another shape, or a push outside of [-1, 1]."""
    actions = np.asarray(actions, np.float32)
    if actions.ndim < 1 or actions.shape[-1] != 2:
        raise UsageError(f"actions of shape {actions.shape} are no pushes: give two numbers each, right and up")
    wrong = actions[~(np.abs(actions) <= 1.0)]
    if wrong.size:
        raise UsageError(f"action {wrong.flat[0]:g} is outside of [-1, 1]: cut it, or scale the pushes down")
    return actions


class Played(NamedTuple):
    """Episodes of N tasks: `total` [N] reward, `steps` [N] until the end, `reached` [N]; `scenes` [N, T + 1, 2], which
    stand still after the end; `pushes` [N, T, 2], which do not."""

    total: Float[Array, " tasks"]
    steps: Float[Array, " tasks"]
    reached: Bool[Array, " tasks"]
    scenes: Scene
    pushes: Float[Array, "tasks steps 2"]


def play(policy: Any, tasks: Scene, key: jax.Array, steps: int = STEPS, memory: PyTree = ()) -> Played:
    """Episodes of all tasks at once, in JAX.

    Args: `policy(memory, scene, time, key) -> (pushes [N, 2], memory)`, pure, of all N tasks; `memory`, its start.
    """
    start = Scene(*(jnp.asarray(x, jnp.float32) for x in tasks))
    shape = start.position.shape[:-1]

    def step(carry: Any, t: Array) -> Any:
        now, over, total, count, memory = carry
        pushes, memory = policy(memory, now, t, jax.random.fold_in(key, t))
        pushes = jnp.clip(pushes, -1.0, 1.0)
        after = jax.tree.map(lambda x, y: jnp.where(over[..., None], x, y), now, advance(now, pushes))
        total, count = total + jnp.where(over, 0.0, reward(after)), count + jnp.where(over, 0.0, 1.0)
        return (after, over | reached(after), total, count, memory), (after, pushes)

    carry = (start, jnp.zeros(shape, bool), jnp.zeros(shape), jnp.zeros(shape), memory)
    (_, over, total, count, _), (track, pushes) = jax.lax.scan(step, carry, jnp.arange(steps))
    scenes = jax.tree.map(lambda x, xs: jnp.moveaxis(jnp.concatenate([x[None], xs]), 0, -2), start, track)
    return Played(total, count, over, scenes, jnp.moveaxis(pushes, 0, -2))


def replay(tasks: Scene, pushes: Any, steps: int = STEPS) -> Played:
    """Episodes of N tasks under given pushes [N, T, 2], then none. Raises: UsageError for pushes that cannot be."""
    pushes = checked(pushes)
    count = len(np.asarray(tasks.position))
    if pushes.ndim != 3 or len(pushes) != count:
        raise UsageError(f"actions of shape {pushes.shape} are not of {count} task(s): give [{count}, steps, 2]")
    padded = jnp.pad(pushes, ((0, 0), (0, max(steps - pushes.shape[1], 0)), (0, 0)))
    policy = lambda memory, scene, time, key: (padded[:, time], memory)  # noqa: E731
    return jax.device_get(play(policy, tasks, jax.random.key(0), steps))


__all__ = [
    "BONUS",
    "FORCE",
    "HIGH",
    "KEEP",
    "LOW",
    "REACH",
    "STEPS",
    "TASKS",
    "Look",
    "Played",
    "Scene",
    "advance",
    "checked",
    "distance",
    "drawing",
    "fixed_task",
    "play",
    "random_tasks",
    "reached",
    "replay",
    "reward",
]
