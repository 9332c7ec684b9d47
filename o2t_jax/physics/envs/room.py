"""`room`: two balls thrown, dropped or on a ramp, with elastic bounces; the world of the public RoomPhys benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from o2t_jax.physics.environment import Actions, Layout
from o2t_jax.physics.envs.base import GravityWorld, LawParams
from o2t_jax.physics.invariants import energy
from o2t_jax.physics.primitives import Drawing, View, discs, layers, segments
from o2t_jax.physics.room.jax_twin import RampArrays, RoomState, room_step, visible
from o2t_jax.types import Array

# The distribution of the benchmark; `render/scenes/room.py` draws the same one in numpy.
RAMP_SHARE, ON_RAMP_SHARE, THROWN_SHARE = 0.7, 0.55, 0.5
_FOOT_TRIES = 16


class Room(GravityWorld):
    """Two balls, ball 0 at x > 0 and ball 1 at x < 0. See `physics.room` for the rules, `environment.Environment`.

    An action is a push for each ball: [6] m/s, added to the velocities at the start of a step; a rolling ball is not
    pushed.
    """

    name = "room"
    actions = Actions(6, "m/s", held=False, limit=3.0)
    layout = Layout(14, positions=(0, 1, 2, 7, 8, 9), momenta=(3, 4, 5, 10, 11, 12))
    max_dt = 0.1
    duration = 4.0
    energy_jumps = ("left_ramp",)

    def reset(self, key: jax.Array, params: LawParams) -> RoomState:
        """A scene of the benchmark's distribution (numbers in `render/scenes/room.py`)."""
        size, slope, free, roll = jax.random.split(key, 4)
        radius = jnp.clip(0.4 + 0.2 * jax.random.normal(size, (2,)), 0.1, 1.5)
        side = jnp.array([1.0, -1.0])
        ramp = _draw_ramp(slope)
        position, velocity = jax.vmap(_draw_free)(jax.random.split(free, 2), side, radius)
        chance, place = jax.random.split(roll)
        on_ramp = ramp.present & (jax.random.uniform(chance) < ON_RAMP_SHARE)
        rolling = jnp.array([True, False]) & on_ramp
        start = _on_ramp(ramp, radius[0], jax.random.uniform(place, minval=0.5, maxval=0.92))
        none, yes = jnp.zeros(2, jnp.int32), jnp.array(True)
        return RoomState(
            position=jnp.where(rolling[:, None], start, position),
            velocity=jnp.where(rolling[:, None], 0.0, velocity),
            rolling=rolling,
            gone=jnp.zeros(2, bool),
            ground_hits=none,
            ramp_hits=none,
            left_ramp=none,
            radius=radius,
            side=side,
            ramp=ramp,
            bounces=yes,
            vanishes=yes,
        )

    def step(self, state: RoomState, action: Array, dt: Any, params: LawParams) -> RoomState:
        """`dt` s with every contact solved inside the step; exact at constant g."""
        return room_step(_pushed(state, action), dt, *self.law(params))

    def work(self, state: RoomState, action: Array, dt: Any, params: LawParams) -> Array:
        """Work of the pushes, [2] m^2/s^2, per unit mass."""
        return self.energy(_pushed(state, action), params) - self.energy(state, params)

    def energy(self, state: RoomState, params: LawParams) -> Array:
        """[2] m^2/s^2, per unit mass."""
        return energy(state.position, state.velocity, self.law(params), state.rolling)

    def events(self, state: RoomState, params: LawParams) -> Mapping[str, Array]:
        """Contacts with the ground and the ramp, leaving the ramp's foot, and `gone`: vanished now or earlier."""
        return {
            "ground": state.ground_hits,
            "ramp": state.ramp_hits,
            "left_ramp": state.left_ramp,
            "gone": state.gone.astype(jnp.int32),
        }

    def observe(self, state: RoomState, params: LawParams) -> Array:
        """Position, velocity and whether it can be seen, ball by ball: [14]."""
        seen = ~state.gone[:, None]
        return jnp.concatenate([state.position, state.velocity, seen.astype(state.position.dtype)], axis=1).ravel()

    def restore(self, vector: Array, state: RoomState, params: LawParams) -> RoomState:
        """See `Environment.restore`; everything but positions and velocities is taken from `state`."""
        each = vector.reshape(2, 7)
        return state._replace(position=each[:, :3], velocity=each[:, 3:6])

    def draw(self, state: RoomState, params: LawParams) -> Drawing:
        """From the side: x to the right, z up; the ramp behind the balls."""
        ramp = state.ramp
        foot = jnp.stack([ramp.x, jnp.zeros_like(ramp.x)])
        top = foot + ramp.run * jnp.stack([ramp.ux, ramp.sin / ramp.cos])
        slope = segments(foot[None], top[None], 0.1, (0.4, 0.3, 0.2), ramp.present)
        colours = jnp.array([[0.8, 0.2, 0.1], [0.1, 0.3, 0.8]])
        balls = discs(state.position[:, ::2], state.radius, colours, visible(state))
        return Drawing(layers(slope, balls), View(jnp.array([0.0, 16.0]), 36.0, jnp.array([0.55, 0.7, 0.9])))


def _pushed(state: RoomState, action: Array) -> RoomState:
    push = jnp.where(state.rolling[:, None], 0.0, action.reshape(2, 3))
    return state._replace(velocity=state.velocity + push)


def _draw_free(key: jax.Array, side: Array, radius: Array) -> tuple[Array, Array]:
    kind, across, along, drop, low, speed, rise, turn = jax.random.split(key, 8)
    # (+-10, 0) + N(0, 6^2), at least 2 m from x = 0
    x = side * (10.0 + 6.0 * jax.random.truncated_normal(across, -8.0 / 6.0, jnp.inf))
    y = 6.0 * jax.random.normal(along)
    thrown = jax.random.uniform(kind) < THROWN_SHARE
    height = jnp.maximum(10.0 + 3.0 * jax.random.normal(drop), 1.0)
    z = radius + jnp.where(thrown, jax.random.uniform(low, minval=0.3, maxval=1.5), height)
    up = jnp.deg2rad(jax.random.uniform(rise, minval=10.0, maxval=70.0))
    turned = jnp.deg2rad(jax.random.uniform(turn, minval=-60.0, maxval=60.0))
    level = jnp.cos(up)
    aim = jnp.stack([side * level * jnp.cos(turned), level * jnp.sin(turned), jnp.sin(up)])
    push = jnp.where(thrown, jax.random.uniform(speed, minval=5.0, maxval=10.0), 0.0)
    return jnp.stack([x, y, z]), push * aim


def _draw_ramp(key: jax.Array) -> RampArrays:
    there, steep, tall, wide, foot, mode, tilt = jax.random.split(key, 7)
    slope = jnp.deg2rad(jax.random.uniform(steep, minval=10.0, maxval=50.0))
    height = jax.random.uniform(tall, minval=1.2, maxval=2.0)
    feet = jax.random.uniform(foot, (_FOOT_TRIES, 2), minval=jnp.array([3.0, -20.0]), maxval=jnp.array([20.0, 20.0]))
    # The first draw that lies within 20 m; each does with probability 0.75.
    x, y = feet[jnp.argmax(jnp.hypot(feet[:, 0], feet[:, 1]) <= 20.0)]
    theta = jnp.where(jax.random.uniform(mode) < 0.5, 20.0, 160.0) + 10.0 * jax.random.normal(tilt)
    theta = jnp.deg2rad(theta)  # from +y towards +x
    sin, cos = jnp.sin(slope), jnp.cos(slope)
    return RampArrays(
        present=jax.random.uniform(there) < RAMP_SHARE,
        sin=sin,
        cos=cos,
        ux=jnp.sin(theta),
        uy=jnp.cos(theta),
        x=x,
        y=y,
        run=height * cos / sin,
        half_width=0.5 * jax.random.uniform(wide, minval=2.0, maxval=3.0),
    )


def _on_ramp(ramp: RampArrays, radius: Array, fraction: Array) -> Array:
    along = fraction * ramp.run / ramp.cos
    up = along * ramp.cos - radius * ramp.sin
    return jnp.stack([ramp.x + up * ramp.ux, ramp.y + up * ramp.uy, along * ramp.sin + radius * ramp.cos])


__all__ = ["Room"]
