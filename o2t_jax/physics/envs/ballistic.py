"""`ballistic`: one ball in free flight, nothing to touch; the world of the scene of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.physics.integrators import rkn4_step
from o2t_jax.physics.invariants import energy
from o2t_jax.physics.laws import Gravity
from o2t_jax.types import Array


class BallisticParams(NamedTuple):
    """`law_params` [P], the numbers of the gravity law."""

    law_params: Any


class BallisticState(NamedTuple):
    """`position` [1, 3] m, `velocity` [1, 3] m/s, `radius` [1] m."""

    position: Any
    velocity: Any
    radius: Any


class Ballistic:
    """Free flight in a gravity law; exact at constant g, else fourth order. See `environment.Environment`.

    An action is a push: [3] m/s, added to the velocity at the start of a step.
    """

    name = "ballistic"
    action_size = 3
    order = 4
    max_dt = 0.1
    duration = 0.5
    energy_jumps = ()

    def __init__(self, gravity: Gravity) -> None:
        self.gravity = gravity

    @property
    def params(self) -> BallisticParams:
        return BallisticParams(jnp.asarray(self.gravity.params))

    def reset(self, key: jax.Array, params: BallisticParams) -> BallisticState:
        """Start within 0.5 m of the centre, 3 to 5 m high; up to 1.5 m/s along x and y, -3 to 6 m/s upwards."""
        place, push, size = jax.random.split(key, 3)
        low, high = jnp.array([-0.5, -0.5, 3.0]), jnp.array([0.5, 0.5, 5.0])
        slow, fast = jnp.array([-1.5, -1.5, -3.0]), jnp.array([1.5, 1.5, 6.0])
        return BallisticState(
            position=jax.random.uniform(place, (1, 3), minval=low, maxval=high),
            velocity=jax.random.uniform(push, (1, 3), minval=slow, maxval=fast),
            radius=jax.random.uniform(size, (1,), minval=0.22, maxval=0.38),
        )

    def step(self, state: BallisticState, action: Array, dt: Any, params: BallisticParams) -> BallisticState:
        """`dt` s of free flight; below the ground g stays as it is there."""
        gravity = Gravity(self.gravity.law, params.law_params)
        velocity = state.velocity + action
        z, vz = rkn4_step(lambda z: gravity.g(jnp.maximum(z, 0.0)), state.position[:, 2], velocity[:, 2], dt)
        flat = state.position[:, :2] + dt * velocity[:, :2]
        return state._replace(
            position=jnp.concatenate([flat, z[:, None]], axis=1),
            velocity=velocity.at[:, 2].set(vz),
        )

    def energy(self, state: BallisticState, params: BallisticParams) -> Array:
        """m^2/s^2, per unit mass."""
        return energy(state.position, state.velocity, Gravity(self.gravity.law, params.law_params))

    def events(self, state: BallisticState, params: BallisticParams) -> Mapping[str, Array]:
        """`below_ground`: where the ball would touch the ground, or is past it."""
        return {"below_ground": (state.position[:, 2] < state.radius).astype(jnp.int32)}

    def observe(self, state: BallisticState, params: BallisticParams) -> Array:
        """Position and velocity, [6]."""
        return jnp.concatenate([state.position, state.velocity], axis=1).ravel()


__all__ = ["Ballistic", "BallisticParams", "BallisticState"]
