"""The true world of system `agent`: its pictures, and as a control the same actor trained in it.

The control is of the task `pusher`; the world model only encodes the simulator's pictures.

The gradient of a reward comes through the simulator; that of reaching the target, a jump, through a steep slope at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.models.video.model import State, run
from o2t_jax.physics.video import pusher
from o2t_jax.physics.video.base import SIDE, uniform
from o2t_jax.physics.video.tasks import Task
from o2t_jax.render.planar import draw
from o2t_jax.types import Array, PyTree

if TYPE_CHECKING:
    from o2t_jax.systems.agent import Agent

_SLOPE = 1.0  # px, of the edge of the target
_SPEED = 2.5  # px/frame, standard deviation of the speed at the start of what does not rest


class Simulated(NamedTuple):
    """The true `scene`, and the `state` that its pictures lead to."""

    scene: pusher.Scene
    state: State


def pictures(task: Task, scene: Any, size: int, look: Any = None) -> jax.Array:
    """Of scenes [N, D] of a task -> [N, size, size], 0 to 1; None: the look of training."""
    look = task.looks["as trained"] if look is None else look
    return jax.vmap(lambda one: draw(task.drawing(one, look), size, size)[..., 0])(scene)


def simulated_start(system: Agent, world: PyTree, extra: PyTree, keys: jax.Array) -> Simulated:
    """After C frames of scenes drawn by `keys` [B], a share of them at rest."""
    config = system.config

    def one(key: jax.Array) -> tuple[pusher.Scene, Array]:
        of_place, of_speed, of_rest, of_push = jax.random.split(key, 4)
        rests = jax.random.uniform(of_rest) < config.resting
        place, target = uniform(of_place, jnp.full((2, 2), pusher.LOW), jnp.full((2, 2), pusher.HIGH))
        speed = jnp.where(rests, 0.0, _SPEED * jax.random.normal(of_speed, (2,)))
        pushes = jnp.clip(jax.random.normal(of_push, (config.context - 1, 2)), -1.0, 1.0)
        return pusher.Scene(place, speed, target), jnp.where(rests, 0.0, pushes)

    scene, pushes = jax.vmap(one)(keys)
    shown = [pictures(system.task, scene, config.size)]
    for t in range(config.context - 1):
        scene = pusher.advance(scene, pushes[:, t])
        shown.append(pictures(system.task, scene, config.size))
    state = system.filtered(world, extra, jnp.stack(shown, axis=1), pushes)
    return Simulated(scene, jax.lax.stop_gradient(state))


def simulated_step(system: Agent, world: PyTree, extra: PyTree, where: Simulated, push: Array) -> Any:
    """As `Agent.moved`: the scene after a push and what is remembered of its picture; reward, going on."""
    scene = pusher.advance(where.scene, push)
    memory = run(system.model, world, "step", where.state.memory, where.state.latents, push).memory
    codes = system.coded(world, extra, pictures(system.task, scene, system.config.size)[:, None]).codes[:, 0]
    away = pusher.distance(scene)
    inside = jax.nn.sigmoid((pusher.REACH - away) / _SLOPE)
    inside = inside + jax.lax.stop_gradient(pusher.reached(scene) - inside)
    reward = pusher.BONUS * inside - away / SIDE
    return Simulated(scene, State(memory, codes)), reward, 1.0 - inside


__all__ = ["Simulated", "pictures", "simulated_start", "simulated_step"]
