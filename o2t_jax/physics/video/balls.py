"""Balls in a box under gravity: `bouncing_balls`, `multi_ball`, `projectile`. Exact collisions, by `physics.discs`.

All contacts of a set have one restitution; masses are as the discs' areas. Gravity differs from clip to clip. The
engine has one gravity for all scenes, so each is simulated in lengths of that clip's gravity (px / g), where it is 1.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.physics.discs import collisions, rooms
from o2t_jax.physics.discs.scene import Scene
from o2t_jax.physics.primitives import Drawing, discs
from o2t_jax.physics.video.base import SIDE, WHITE, Motion, on_black, uniform, varied
from o2t_jax.types import Array

_REST_SPEED = 0.25  # frames of gravity: a ball at rest bounces about twice a frame
_TRIES = 64  # places that are tried for a ball


class BallParams(NamedTuple):
    """`gravity` px/frame^2, `restitution`; of K balls `radius` [K] px, `mass` [K], `position` [K, 2] px, `velocity`
    [K, 2] px/frame at the start; `seen` [K]."""

    gravity: Array
    restitution: Array
    radius: Array
    mass: Array
    position: Array
    velocity: Array
    seen: Array


class _Balls:
    """Common to the three sets."""

    name: str
    clips: int
    constant = "gravity"
    nominal: float
    restitution: float
    most: int

    @property
    def entries(self) -> tuple[str, ...]:
        """Places, then velocities, ball by ball."""
        of = [f"{axis}{ball}" for ball in range(self.most) for axis in "xy"]
        return (*of, *(f"v{name}" for name in of))

    def move(self, params: BallParams, frames: int) -> Motion:
        """See `VideoSet`."""
        unit = params.gravity
        walls = rooms.walls("box", (SIDE, SIDE))
        scene = Scene(
            params.position / unit,
            params.velocity / unit,
            params.mass,
            params.radius / unit,
            params.seen,
            walls._replace(ends=jnp.asarray(walls.ends, jnp.float32) / unit),
        )
        # Two frames at least: the engine makes steps, and a clip of one frame has none.
        track = collisions.simulate(
            scene, max(frames - 1, 1), 1.0, restitution=self.restitution, gravity=1.0, rest_speed=_REST_SPEED
        )
        place, velocity = unit * track.position[:frames], unit * track.velocity[:frames]
        state = jnp.concatenate([place.reshape(frames, -1), velocity.reshape(frames, -1)], axis=1)
        return Motion(state, place, params.seen)

    def show(self, motion: Motion, params: BallParams) -> Drawing:
        """White discs."""
        return on_black(discs(motion.place, params.radius, WHITE, jnp.where(params.seen, 1.0, 0.0)))

    def _params(self, key: jax.Array, radius: Array, position: Array, velocity: Array, seen: Array) -> BallParams:
        gravity = varied(key, self.nominal)
        return BallParams(gravity, jnp.asarray(self.restitution), radius, radius**2, position, velocity, seen)


def _apart(key: jax.Array, radius: Array, low: Array, high: Array) -> Array:
    """Places [K, 2] of discs within `low` to `high` [2] px that do not overlap: one after the other, the first of many
    random places that is free."""
    count = len(radius)
    tries = uniform(key, jnp.broadcast_to(low, (_TRIES, count, 2)), jnp.broadcast_to(high, (_TRIES, count, 2)))

    def put(place: Array, i: Array) -> tuple[Array, None]:
        gap = jnp.linalg.norm(tries[:, i, None] - place, axis=-1) - radius - radius[i]
        free = jnp.all((gap > 0.1) | (jnp.arange(count) >= i), axis=1)
        return jnp.where((jnp.arange(count) == i)[:, None], tries[jnp.argmax(free), i], place), None

    return jax.lax.scan(put, jnp.zeros((count, 2)), jnp.arange(count))[0]


class BouncingBalls(_Balls):
    """Two equal balls of 5 px that start in the upper half."""

    name = "bouncing_balls"
    clips = 5000
    nominal = 0.3
    restitution = 0.9
    most = 2

    def draw(self, key: jax.Array) -> BallParams:
        """See `VideoSet`."""
        of_gravity, of_place, of_speed = jax.random.split(key, 3)
        radius = jnp.full(2, 5.0)
        place = _apart(of_place, radius, jnp.array([6.0, 34.0]), jnp.array([58.0, 58.0]))
        speed = uniform(of_speed, [[-2.0, -1.0]] * 2, [[2.0, 1.0]] * 2)
        return self._params(of_gravity, radius, place, speed, jnp.ones(2, bool))


class MultiBall(_Balls):
    """Two to four balls of 3 to 6 px, heavy ones large."""

    name = "multi_ball"
    clips = 3000
    nominal = 0.15
    restitution = 0.85
    most = 4

    def draw(self, key: jax.Array) -> BallParams:
        """See `VideoSet`."""
        of_gravity, of_count, of_radius, of_place, of_speed = jax.random.split(key, 5)
        seen = jnp.arange(4) < jax.random.randint(of_count, (), 2, 5)
        radius = uniform(of_radius, [3.0] * 4, [6.0] * 4)
        place = _apart(of_place, radius, jnp.full(2, 7.0), jnp.full(2, 57.0))
        speed = uniform(of_speed, [[-3.0, -2.0]] * 4, [[3.0, 1.0]] * 4)
        return self._params(of_gravity, radius, place, speed, seen)


class Projectile(_Balls):
    """A ball of 3 to 5 px, thrown to the right from the lower left."""

    name = "projectile"
    clips = 3000
    nominal = 0.2
    restitution = 0.75
    most = 1

    def draw(self, key: jax.Array) -> BallParams:
        """See `VideoSet`."""
        of_gravity, of_radius, of_place, of_speed = jax.random.split(key, 4)
        angle, speed = uniform(of_speed, [jnp.radians(30.0), 3.0], [jnp.radians(75.0), 6.0])
        velocity = speed * jnp.stack([jnp.cos(angle), jnp.sin(angle)])[None]
        radius, place = uniform(of_radius, [3.0], [5.0]), uniform(of_place, [[6.0, 6.0]], [[16.0, 20.0]])
        return self._params(of_gravity, radius, place, velocity, jnp.ones(1, bool))


__all__ = ["BallParams", "BouncingBalls", "MultiBall", "Projectile"]
