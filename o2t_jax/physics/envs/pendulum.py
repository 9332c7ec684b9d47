"""`pendulum`: a point mass on a rigid rod with friction, turned one way, the other or not at all."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.physics.environment import Actions, Layout
from o2t_jax.physics.envs.base import IntegratedWorld, Ranges
from o2t_jax.physics.envs.look import BACKGROUND, BALL
from o2t_jax.physics.primitives import Drawing, View, discs
from o2t_jax.types import Array


class PendulumParams(NamedTuple):
    """`mass` kg, `length` m, `gravity` m/s^2, `damping` 1/s."""

    mass: Any = 1.0
    length: Any = 1.0
    gravity: Any = 9.81
    damping: Any = 0.1


class PendulumState(NamedTuple):
    """`angle` [] rad from hanging down, counter-clockwise, not wrapped; `velocity` [] rad/s."""

    angle: Any
    velocity: Any


class Pendulum(IntegratedWorld):
    """angle'' = -(g/L) sin(angle) - c angle' + torque/(m L^2). An action is the torque, one of -2, 0, 2 N m, held.

    See `environment.Environment`. The friction c differs from sequence to sequence. The angle is observed without
    wrapping, so that it changes smoothly when the pendulum turns over; `layout.difference` wraps differences.
    """

    name = "pendulum"
    actions = Actions.choice(((-2.0,), (0.0,), (2.0,)), unit="N m")
    layout = Layout(2, positions=(0,), momenta=(1,), angles=(0,))
    max_dt = 0.5
    duration = 10.0
    Params = PendulumParams
    RANGES: ClassVar[Ranges] = {"damping": (0.05, 0.5)}
    POSITIVE = ("mass", "length")

    def reset(self, key: jax.Array, params: PendulumParams) -> PendulumState:
        """Any angle, up to 2 rad/s."""
        angle, velocity = jax.random.uniform(key, (2,), minval=-1.0, maxval=1.0) * jnp.array([jnp.pi, 2.0])
        return PendulumState(angle, velocity)

    def field(self, state: PendulumState, action: Array, params: PendulumParams) -> PendulumState:
        """Velocity and acceleration."""
        pull = -params.gravity / params.length * jnp.sin(state.angle)
        turn = action[0] / (params.mass * params.length**2)
        return PendulumState(state.velocity, pull + turn - params.damping * state.velocity)

    def power(self, state: PendulumState, action: Array, params: PendulumParams) -> Array:
        """[1] W: the power of the torque, less that of friction."""
        friction = params.damping * params.mass * params.length**2 * state.velocity
        return ((action[0] - friction) * state.velocity)[None]

    def energy(self, state: PendulumState, params: PendulumParams) -> Array:
        """[1] J, zero where it hangs at rest."""
        height = params.length * (1.0 - jnp.cos(state.angle))
        moving = 0.5 * params.length**2 * state.velocity**2
        return (params.mass * (moving + params.gravity * height))[None]

    def observe(self, state: PendulumState, params: PendulumParams) -> Array:
        """Angle and velocity, [2]."""
        return jnp.stack([state.angle, state.velocity])

    def restore(self, vector: Array, state: PendulumState, params: PendulumParams) -> PendulumState:
        """See `Environment.restore`."""
        return PendulumState(vector[0], vector[1])

    def draw(self, state: PendulumState, params: PendulumParams) -> Drawing:
        """The bob, a ball of 0.5 m, about the pivot in the middle; wider than 2 m only for long rods."""
        bob = params.length * jnp.stack([jnp.sin(state.angle), -jnp.cos(state.angle)])[None]
        half_height = jnp.maximum(2.0, params.length + 0.6)
        return Drawing(discs(bob, 0.5, BALL), View(jnp.zeros(2), half_height, jnp.array(BACKGROUND)))


__all__ = ["Pendulum", "PendulumParams", "PendulumState"]
