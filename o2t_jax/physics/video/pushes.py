"""The set `pusher`: clips of the task of that name under random pushes, with rewards; a clip goes on after the target.

Pushes are constant for one frame to eight, with a mean of their own in each clip and a spread from gentle to full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.physics.primitives import Drawing
from o2t_jax.physics.video import pusher
from o2t_jax.physics.video.base import Motion, uniform
from o2t_jax.physics.video.tasks import Played, Policy
from o2t_jax.types import Array

LONGEST = 64  # pushes of a clip
_SPREADS, _SPEEDS, _HELD = (0.15, 0.4, 0.8, 1.5), (0.0, 1.0, 2.5), (1, 2, 4, 8)
_MEAN = 0.4


class PushParams(NamedTuple):
    """All that a clip follows from: of the ball `position` [2] px and `velocity` [2] px/frame at the start, `target`
    [2] px, `pushes` [64, 2], more than a clip needs."""

    position: Array
    velocity: Array
    target: Array
    pushes: Array


class Pusher:
    """See the module's docstring and `Task`; no constant differs from clip to clip."""

    name = "pusher"
    clips = 4000
    constant = ""
    nominal = 0.0
    entries = ("x", "y", "vx", "vy", "target_x", "target_y")
    steps, signs = pusher.STEPS, False
    floor, best = "nothing", "PD"
    tests: Mapping[str, Callable[[], pusher.Scene]] = {
        "fixed": pusher.fixed_task,
        "random": pusher.random_tasks,
    }
    looks: Mapping[str, pusher.Look] = {
        "as trained": pusher.Look(),
        "ball of 4 px": pusher.Look(ball=4.0),
        "ball of 6 px": pusher.Look(ball=6.0),
        "ball of 8 px": pusher.Look(ball=8.0),
        "ball 0.8 bright": pusher.Look(ball_grey=0.8),
        "target 0.3 bright": pusher.Look(target_grey=0.3),
        "target 0.7 bright": pusher.Look(target_grey=0.7),
        "background 0.1": pusher.Look(background=0.1),
        "background 0.25": pusher.Look(background=0.25),
    }
    advance = staticmethod(pusher.advance)
    reward = staticmethod(pusher.reward)
    over = staticmethod(pusher.reached)
    drawing = staticmethod(pusher.drawing)
    starts = staticmethod(pusher.random_tasks)

    def trail(self, scene: pusher.Scene) -> Any:
        """The ball's way."""
        return scene.position

    def controllers(self) -> Mapping[str, Policy]:
        """None here: `evaluation.video.control` chooses its own for each test."""
        return {}

    def collected(self, played: Played, frames: int, seed: int) -> PushParams:
        """The start of each episode."""
        place, speed, target = (np.asarray(x[:, 0], np.float32) for x in played.scenes)
        pushes = np.asarray(played.pushes)[:, : frames - 1]
        pushes = np.pad(pushes, ((0, 0), (0, LONGEST - pushes.shape[1]), (0, 0)))
        return PushParams(place, speed, target, pushes)

    def draw(self, key: jax.Array) -> PushParams:
        """See `VideoSet`."""
        of_place, of_target, of_speed, of_pushes = jax.random.split(key, 4)
        speed = jax.random.choice(of_speed, jnp.asarray(_SPEEDS))
        velocity = speed * jax.random.normal(jax.random.fold_in(of_speed, 1), (2,))
        of_mean, of_spread, of_held, of_noise = jax.random.split(of_pushes, 4)
        mean = uniform(of_mean, [-_MEAN] * 2, [_MEAN] * 2)
        spread = jax.random.choice(of_spread, jnp.asarray(_SPREADS))
        held = jax.random.choice(of_held, jnp.asarray(_HELD))
        noise = jax.random.normal(of_noise, (LONGEST, 2))[jnp.arange(LONGEST) // held]
        low, high = [pusher.LOW] * 2, [pusher.HIGH] * 2
        return PushParams(
            uniform(of_place, low, high),
            velocity,
            uniform(of_target, low, high),
            jnp.clip(mean + spread * noise, -1, 1),
        )

    def move(self, params: PushParams, frames: int) -> Motion:
        """See `VideoSet`; both the ball and the target count as things. Raises: UsageError for more than 65 frames."""
        if frames > LONGEST + 1:
            raise UsageError(f"frames={frames}: a clip of pusher has at most {LONGEST + 1} frames: set --config.frames")
        start = pusher.Scene(*(jnp.asarray(x, jnp.float32) for x in params[:3]))

        def step(scene: pusher.Scene, push: Array) -> tuple[pusher.Scene, pusher.Scene]:
            after = pusher.advance(scene, push)
            return after, after

        _, track = jax.lax.scan(step, start, jnp.asarray(params.pushes)[: frames - 1])
        scenes = jax.tree.map(lambda x, xs: jnp.concatenate([x[None], xs]), start, track)
        place = jnp.stack([scenes.position, scenes.target], axis=1)
        return Motion(jnp.concatenate(scenes, axis=-1), place, jnp.ones(2, bool))

    def show(self, motion: Motion, params: PushParams) -> Drawing:
        """See `pusher.drawing`."""
        return pusher.drawing(scene_of(motion.state))

    def acted(self, motion: Motion, params: PushParams) -> dict[str, jax.Array]:
        """See `Acted`."""
        scenes = scene_of(motion.state)
        ended = pusher.reached(scenes)
        pushes = jnp.asarray(params.pushes)[: motion.state.shape[0] - 1]
        return {"actions": pushes, "rewards": jnp.asarray(pusher.reward(scenes)), "continues": 1.0 - jnp.asarray(ended)}


def scene_of(state: Array) -> pusher.Scene:
    """The scene of a state [..., 6]."""
    return pusher.Scene(state[..., 0:2], state[..., 2:4], state[..., 4:6])


__all__ = ["LONGEST", "PushParams", "Pusher", "scene_of"]
