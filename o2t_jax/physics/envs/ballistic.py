"""`ballistic`: one ball in free flight without contacts; the world of the scene of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.physics.environment import Actions, Layout
from o2t_jax.physics.envs.base import GravityWorld, LawParams
from o2t_jax.physics.integrators import rkn4_step
from o2t_jax.physics.invariants import energy
from o2t_jax.physics.primitives import Drawing, View, discs
from o2t_jax.types import Array


class BallisticState(NamedTuple):
    """`position` [1, 3] m, `velocity` [1, 3] m/s, `radius` [1] m."""

    position: Any
    velocity: Any
    radius: Any


class Ballistic(GravityWorld):
    """Free flight in a gravity law; exact at constant g, else fourth order. See `environment.Environment`.

    An action is a push: [3] m/s, added to the velocity at the start of a step.
    """

    name = "ballistic"
    actions = Actions(3, "m/s", held=False, limit=3.0)
    layout = Layout(6, positions=(0, 1, 2), momenta=(3, 4, 5))
    max_dt = 0.1
    duration = 0.5
    energy_jumps = ()

    def reset(self, key: jax.Array, params: LawParams) -> BallisticState:
        """Start within 0.5 m of the centre, 3 to 5 m high; up to 1.5 m/s along x and y, -3 to 6 m/s upwards."""
        place, push, size = jax.random.split(key, 3)
        low, high = jnp.array([-0.5, -0.5, 3.0]), jnp.array([0.5, 0.5, 5.0])
        slow, fast = jnp.array([-1.5, -1.5, -3.0]), jnp.array([1.5, 1.5, 6.0])
        return BallisticState(
            position=jax.random.uniform(place, (1, 3), minval=low, maxval=high),
            velocity=jax.random.uniform(push, (1, 3), minval=slow, maxval=fast),
            radius=jax.random.uniform(size, (1,), minval=0.22, maxval=0.38),
        )

    def step(self, state: BallisticState, action: Array, dt: Any, params: LawParams) -> BallisticState:
        """`dt` s of free flight; below the ground g keeps its value at the ground."""
        gravity, velocity = self.law(params), state.velocity + action
        z, vz = rkn4_step(lambda z: gravity.g(jnp.maximum(z, 0.0)), state.position[:, 2], velocity[:, 2], dt)
        flat = state.position[:, :2] + dt * velocity[:, :2]
        return state._replace(
            position=jnp.concatenate([flat, z[:, None]], axis=1),
            velocity=velocity.at[:, 2].set(vz),
        )

    def energy(self, state: BallisticState, params: LawParams) -> Array:
        """m^2/s^2, per unit mass."""
        return energy(state.position, state.velocity, self.law(params))

    def work(self, state: BallisticState, action: Array, dt: Any, params: LawParams) -> Array:
        """Work of the push, m^2/s^2, per unit mass."""
        pushed = state._replace(velocity=state.velocity + action)
        return self.energy(pushed, params) - self.energy(state, params)

    def events(self, state: BallisticState, params: LawParams) -> Mapping[str, Array]:
        """`below_ground`: whether the ball would touch the ground, or is below it."""
        return {"below_ground": (state.position[:, 2] < state.radius).astype(jnp.int32)}

    def observe(self, state: BallisticState, params: LawParams) -> Array:
        """Position and velocity, [6]."""
        return jnp.concatenate([state.position, state.velocity], axis=1).ravel()

    def restore(self, vector: Array, state: BallisticState, params: LawParams) -> BallisticState:
        """See `Environment.restore`; the radius is taken from `state`."""
        return state._replace(position=vector[None, :3], velocity=vector[None, 3:])

    def draw(self, state: BallisticState, params: LawParams) -> Drawing:
        """From the side: x to the right, z up."""
        ball = discs(state.position[:, ::2], state.radius, (0.8, 0.2, 0.1))
        return Drawing(ball, View(jnp.array([0.0, 4.5]), 4.5, jnp.array([0.55, 0.7, 0.9])))


__all__ = ["Ballistic", "BallisticState"]
