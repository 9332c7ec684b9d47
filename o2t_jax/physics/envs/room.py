"""`room`: two balls with an elastic ground, one on each side of x = 0; no ramp (see `room_jax`)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from o2t_jax.physics.environment import Balls, State, first_state

MEAN_X, SPREAD, MIN_X = 10.0, 6.0, 2.0


class RoomEnv(Balls):
    """Each ball is thrown or dropped with probability one half, with the numbers of the scene `room`."""

    num_balls = 2
    bounces = True
    vanishes = True

    def reset(self, key: jax.Array) -> State:
        """Initial conditions; ball 0 lives at x > 0."""
        keys = jax.random.split(key, 7)
        side = jnp.array([1.0, -1.0])
        radius = jnp.clip(0.4 + 0.2 * jax.random.normal(keys[0], (2,)), 0.1, 1.5)
        low = (MIN_X - MEAN_X) / SPREAD
        x = side * (MEAN_X + SPREAD * jax.random.truncated_normal(keys[1], low, jnp.inf, (2,)))
        y = SPREAD * jax.random.normal(keys[2], (2,))
        thrown = jax.random.bernoulli(keys[3], 0.5, (2,))
        drop = jnp.maximum(10.0 + 3.0 * jax.random.normal(keys[4], (2,)), 1.0)
        throw = jax.random.uniform(keys[5], (2,), minval=0.3, maxval=1.5)
        speed, rise, turn = (
            jax.random.uniform(k, (2,), minval=a, maxval=b)
            for k, a, b in zip(jax.random.split(keys[6], 3), (5.0, 10.0, -60.0), (10.0, 70.0, 60.0), strict=True)
        )
        rise, turn = jnp.deg2rad(rise), jnp.deg2rad(turn)
        heading = jnp.stack([side * jnp.cos(rise) * jnp.cos(turn), jnp.cos(rise) * jnp.sin(turn), jnp.sin(rise)], -1)
        return first_state(
            position=jnp.stack([x, y, jnp.where(thrown, throw, drop) + radius], axis=-1),
            velocity=jnp.where(thrown[:, None], speed[:, None] * heading, 0.0),
            radius=radius,
            side=side,
        )
