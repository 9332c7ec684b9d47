"""`ballistic`: one ball in the air, no contact; the initial conditions of the scene of the same name."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from o2t_jax.physics.environment import Balls, State, first_state


class BallisticEnv(Balls):
    """One free ball: starts within 0.5 m of the axis in x and y, 3 to 5 m high; unseen from the ground on."""

    num_balls = 1
    bounces = False
    vanishes = False

    def reset(self, key: jax.Array) -> State:
        """Position U, velocity U(-1.5, 1.5) m/s sideways and U(-3, 6) m/s upwards, radius U(0.22, 0.38) m."""
        places, speeds, sizes = jax.random.split(key, 3)
        low, high = jnp.array([[-0.5, -0.5, 3.0]]), jnp.array([[0.5, 0.5, 5.0]])
        slow, fast = jnp.array([[-1.5, -1.5, -3.0]]), jnp.array([[1.5, 1.5, 6.0]])
        return first_state(
            position=jax.random.uniform(places, (1, 3), minval=low, maxval=high),
            velocity=jax.random.uniform(speeds, (1, 3), minval=slow, maxval=fast),
            radius=jax.random.uniform(sizes, (1,), minval=0.22, maxval=0.38),
            side=jnp.ones(1),
        )
