"""`orbits`: one to three planets about a star, each on an ellipse by Kepler's laws; they do not pull each other."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.physics.primitives import Drawing, discs, layers
from o2t_jax.physics.video.base import GREY, SIDE, WHITE, Motion, on_black, uniform, varied
from o2t_jax.types import Array

MOST = 3
_NEWTON_STEPS = 6


class OrbitParams(NamedTuple):
    """`pull` GM px^3/frame^2; of K planets `axis` [K] px, half the long axis; `eccentricity` [K]; `turn` [K] rad of the
    pericentre; `phase` [K] rad, the mean anomaly at the start; `way` [K], +1 or -1; `radius` [K] px; `seen` [K]."""

    pull: Array
    axis: Array
    eccentricity: Array
    turn: Array
    phase: Array
    way: Array
    radius: Array
    seen: Array


class Orbits:
    """See the module's docstring."""

    name = "orbits"
    clips = 2000
    constant = "pull"
    nominal = 44.0
    entries = tuple(f"{of}{axis}{k}" for of in ("", "v") for k in range(MOST) for axis in "xy")

    def draw(self, key: jax.Array) -> OrbitParams:
        """See `VideoSet`."""
        of_pull, of_count, of_axis, of_shape = jax.random.split(key, 4)
        # Rings of their own, so that planets do not meet: 10 to 13, 16 to 19, 22 to 25 px.
        axis = jnp.array([10.0, 16.0, 22.0]) + uniform(of_axis, [0.0] * MOST, [3.0] * MOST)
        draws = uniform(of_shape, jnp.zeros((5, MOST)), jnp.ones((5, MOST)))
        rank = jnp.argsort(jnp.argsort(draws[4]))
        return OrbitParams(
            pull=varied(of_pull, self.nominal),
            axis=axis,
            eccentricity=0.12 * draws[0],
            turn=2.0 * jnp.pi * draws[1],
            phase=2.0 * jnp.pi * draws[2],
            way=jnp.where(draws[3] < 0.5, -1.0, 1.0),
            radius=jnp.array([2.0, 2.5, 3.0]),
            seen=rank < jax.random.randint(of_count, (), 1, MOST + 1),
        )

    def move(self, params: OrbitParams, frames: int) -> Motion:
        """See `VideoSet`."""
        time = jnp.arange(frames, dtype=jnp.float32)[:, None]
        rate = jnp.sqrt(params.pull / params.axis**3)  # Kepler's third law
        place, velocity = ellipse(params, jnp.mod(params.phase + rate * time, 2.0 * jnp.pi), rate)
        state = jnp.concatenate([place.reshape(frames, -1), velocity.reshape(frames, -1)], axis=1)
        return Motion(state, place, params.seen)

    def show(self, motion: Motion, params: OrbitParams) -> Drawing:
        """A grey star, white planets."""
        star = discs(jnp.full((1, 2), 0.5 * SIDE), 4.0, GREY)
        return on_black(layers(star, discs(motion.place, params.radius, WHITE, jnp.where(params.seen, 1.0, 0.0))))


def ellipse(params: OrbitParams, mean: Array, rate: Array) -> tuple[Array, Array]:
    """Places px and velocities px/frame [T, K, 2] at mean anomalies `mean` [T, K] rad, which grow by `rate` [K] rad a
    frame: Kepler's equation E - e sin E = M by Newton's method."""
    e, a = params.eccentricity, params.axis

    def newton(_: int, anomaly: Array) -> Array:
        return anomaly - (anomaly - e * jnp.sin(anomaly) - mean) / (1.0 - e * jnp.cos(anomaly))

    anomaly = jax.lax.fori_loop(0, _NEWTON_STEPS, newton, mean)
    cos, sin, short = jnp.cos(anomaly), jnp.sin(anomaly), jnp.sqrt(1.0 - e**2)
    speed = rate * a / (1.0 - e * cos)
    along, across = a * (cos - e), a * short * sin * params.way
    v_along, v_across = -speed * sin, speed * short * cos * params.way
    c, s = jnp.cos(params.turn), jnp.sin(params.turn)
    place = 0.5 * SIDE + jnp.stack([c * along - s * across, s * along + c * across], axis=-1)
    return place, jnp.stack([c * v_along - s * v_across, s * v_along + c * v_across], axis=-1)


__all__ = ["MOST", "OrbitParams", "Orbits", "ellipse"]
