"""The scenes' initial conditions and first cameras as pure functions of a random key, in JAX.

The distributions are those of `render.scenes`, whose docstrings give the numbers; a test compares the two. The
rejection loops there become `TRIES` draws of which the first that fits is taken. At the lowest share that fits (0.7)
all fail once in 10^8 scenes; then the last is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.data.o2t.shots import ShotConfig
from o2t_jax.geometry.camera import look_at
from o2t_jax.physics.room.jax_twin import RampArrays, RoomState, ramp_arrays
from o2t_jax.render.scenes.base import distance_range
from o2t_jax.render.scenes.room import MEAN_X, MIN_X, ON_RAMP_SHARE, RAMP_SHARE, SPREAD, THROWN_SHARE

TRIES = 16


class Start(NamedTuple):
    """One scene at t = 0: the balls' state and their `colour` [K, 3] in 0..1."""

    state: RoomState
    colour: Any


class View(NamedTuple):
    """Camera 1: `position` [3] m, `azimuth` and `elevation` [] deg."""

    position: Any
    azimuth: Any
    elevation: Any


class DeviceScene(NamedTuple):
    """What `render.scenes.Scene` is on the host. `start(key)` and `view(key, shot_config)` are pure.

    `solid`: whether there may be a ramp or scale bars.
    """

    start: Callable[[jax.Array], Start]
    view: Callable[[jax.Array, ShotConfig], View]
    solid: bool


def _uniform(key: jax.Array, low: Any, high: Any, shape: tuple[int, ...] = ()) -> jax.Array:
    low, high = jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32)
    size = np.broadcast_shapes(shape, low.shape, high.shape)
    return jax.random.uniform(key, size, jnp.float32, low, high)


def _normal(key: jax.Array, mean: Any, deviation: Any, shape: tuple[int, ...] = ()) -> jax.Array:
    return mean + deviation * jax.random.normal(key, shape, jnp.float32)


def _state(position: Any, velocity: Any, rolling: Any, radius: Any, side: Any, ramp: Any, real: bool) -> RoomState:
    """K balls that have met nothing yet; `real` rooms have contacts and walls."""
    none = jnp.zeros(radius.shape, jnp.int32)
    return RoomState(
        position=position,
        velocity=velocity,
        rolling=rolling,
        gone=jnp.zeros(radius.shape, bool),
        ground_hits=none,
        ramp_hits=none,
        left_ramp=none,
        radius=radius,
        side=jnp.asarray(side, jnp.float32),
        ramp=ramp,
        bounces=jnp.asarray(real),
        vanishes=jnp.asarray(real),
    )


def _ballistic_start(key: jax.Array) -> Start:
    of_place, of_velocity, of_radius, of_colour = jax.random.split(key, 4)
    radius = _uniform(of_radius, 0.22, 0.38, (1,))
    nowhere = jax.tree.map(lambda x: x if x.dtype == bool else x.astype(jnp.float32), ramp_arrays(None))
    state = _state(
        _uniform(of_place, [-0.5, -0.5, 3.0], [0.5, 0.5, 5.0], (1, 3)),
        _uniform(of_velocity, [-1.5, -1.5, -3.0], [1.5, 1.5, 6.0], (1, 3)),
        jnp.zeros(1, bool),
        radius,
        [1.0],
        jax.tree.map(jnp.asarray, nowhere),
        False,
    )
    return Start(state, _uniform(of_colour, 0.30, 0.78, (1, 3)))


def _ballistic_view(key: jax.Array, config: ShotConfig) -> View:
    low, high = distance_range(config, 3.5, 5.0)
    bearing, distance, height, turn, raised = _uniform(key, [0.0, low, 1.6, -3.0, 18.0], [360.0, high, 2.4, 3.0, 26.0])
    heading = jnp.deg2rad(bearing)
    position = jnp.stack([-distance * jnp.cos(heading), -distance * jnp.sin(heading), height])
    return View(position, bearing + turn, raised)


def _room_start(key: jax.Array) -> Start:
    of_radius, of_ramp, of_balls, of_colour = jax.random.split(key, 4)
    radius = jnp.clip(_normal(of_radius, 0.4, 0.2, (2,)), 0.1, 1.5)
    side, ramp = jnp.array([1.0, -1.0]), _ramp(of_ramp)

    def ball(key: jax.Array, side: jax.Array, radius: jax.Array) -> tuple[Any, Any, Any]:
        # The ramp is the business of the ball at x > 0.
        return _ball(key, side, radius, ramp._replace(present=ramp.present & (side > 0.0)))

    position, velocity, rolling = jax.vmap(ball)(jax.random.split(of_balls), side, radius)
    state = _state(position, velocity, rolling, radius, side, ramp, True)
    return Start(state, _uniform(of_colour, 0.30, 0.78, (2, 3)))


def _ramp(key: jax.Array) -> RampArrays:
    of_presence, of_foot, of_side, of_tilt, of_sizes = jax.random.split(key, 5)
    feet = _uniform(of_foot, [3.0, -20.0], [20.0, 20.0], (TRIES, 2))
    foot = feet[_first((feet * feet).sum(axis=-1) <= 20.0**2)]
    theta = jnp.where(jax.random.bernoulli(of_side), 20.0, 160.0) + _normal(of_tilt, 0.0, 10.0)
    slope, height, width = _uniform(of_sizes, [10.0, 1.2, 2.0], [50.0, 2.0, 3.0])
    uphill, slope = jnp.deg2rad(90.0 - theta), jnp.deg2rad(slope)
    sin, cos = jnp.sin(slope), jnp.cos(slope)
    return RampArrays(
        present=jax.random.bernoulli(of_presence, RAMP_SHARE),
        sin=sin,
        cos=cos,
        ux=jnp.cos(uphill),
        uy=jnp.sin(uphill),
        x=foot[0],
        y=foot[1],
        run=height * cos / sin,
        half_width=0.5 * width,
    )


def _ball(key: jax.Array, side: jax.Array, radius: jax.Array, ramp: RampArrays) -> tuple[Any, Any, Any]:
    """Position [3], velocity [3] and whether it rolls, of one ball. `ramp.present`: it may be on it."""
    of_kind, of_height, of_drop, of_place, of_throw = jax.random.split(key, 5)
    on_ramp, thrown, along = _uniform(of_kind, [0.0, 0.0, 0.5], [1.0, 1.0, 0.92])
    on_ramp, thrown = ramp.present & (on_ramp < ON_RAMP_SHARE), thrown < THROWN_SHARE
    drop = jnp.maximum(_normal(of_drop, 10.0, 3.0), 1.0)
    z = radius + jnp.where(thrown, _uniform(of_height, 0.3, 1.5), drop)
    places = jnp.stack([side * MEAN_X, 0.0]) + _normal(of_place, 0.0, SPREAD, (TRIES, 2))
    fits = (side * places[:, 0] >= MIN_X) & (~ramp.present | _clear_of(ramp, places, z, radius))
    x, y = places[_first(fits)]

    speed, rise, turn = _uniform(of_throw, [5.0, 10.0, -60.0], [10.0, 70.0, 60.0])
    rise, turn = jnp.deg2rad(rise), jnp.deg2rad(turn)
    throw = speed * jnp.stack([side * jnp.cos(rise) * jnp.cos(turn), jnp.cos(rise) * jnp.sin(turn), jnp.sin(rise)])
    up = along * ramp.run - radius * ramp.sin
    rolling_height = along * ramp.run * ramp.sin / ramp.cos + radius * ramp.cos
    rests = jnp.stack([ramp.x + up * ramp.ux, ramp.y + up * ramp.uy, jnp.maximum(rolling_height, radius)])
    position = jnp.where(on_ramp, rests, jnp.stack([x, y, z]))
    return position, jnp.where(thrown & ~on_ramp, throw, 0.0), on_ramp


def _clear_of(ramp: RampArrays, places: jax.Array, z: jax.Array, radius: jax.Array) -> jax.Array:
    """Whether a ball at each of `places` [N, 2] m and height `z` is clear of the upright block around the ramp."""
    dx, dy = places[:, 0] - ramp.x, places[:, 1] - ramp.y
    up, across = ramp.ux * dx + ramp.uy * dy, ramp.ux * dy - ramp.uy * dx
    beside = (up < -radius) | (up > ramp.run + radius) | (jnp.abs(across) > ramp.half_width + radius)
    return beside | (z - radius > ramp.run * ramp.sin / ramp.cos)


def _first(fits: jax.Array) -> jax.Array:
    """Place of the first true entry of `fits` [N]; the last one where there is none."""
    return jnp.where(fits.any(), jnp.argmax(fits), fits.shape[0] - 1)


def _room_view(key: jax.Array, config: ShotConfig) -> View:
    low, high = distance_range(config, 11.0, 15.0)
    of_side, of_rest = jax.random.split(key)
    bearing, distance, height, turn, raised = _uniform(
        of_rest, [0.0, low, 1.5, -3.0, -2.0], [360.0, high, 3.0, 3.0, 2.0]
    )
    middle = jnp.where(jax.random.bernoulli(of_side), MEAN_X, -MEAN_X)
    around = jnp.deg2rad(bearing)
    position = jnp.stack([middle - distance * jnp.cos(around), -distance * jnp.sin(around), height])
    azimuth, elevation = look_at(position, jnp.stack([middle, 0.0, 5.0]))
    return View(position, azimuth + turn, elevation + raised)


SCENES = {
    "ballistic": DeviceScene(_ballistic_start, _ballistic_view, solid=False),
    "room": DeviceScene(_room_start, _room_view, solid=True),
}

__all__ = ["SCENES", "TRIES", "DeviceScene", "Start", "View"]
