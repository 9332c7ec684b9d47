"""`oscillator`: a mass on a spring with friction, pushed up, down or not at all."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.physics.environment import Actions, Layout
from o2t_jax.physics.envs.base import IntegratedWorld, Ranges
from o2t_jax.physics.envs.look import BACKGROUND, BALL
from o2t_jax.physics.primitives import Drawing, View, discs
from o2t_jax.types import Array


class OscillatorParams(NamedTuple):
    """`mass` kg, `stiffness` N/m, `damping` N s/m."""

    mass: Any = 0.5
    stiffness: Any = 2.0
    damping: Any = 0.1


class OscillatorState(NamedTuple):
    """`position` [] m from rest, upwards, `velocity` [] m/s."""

    position: Any
    velocity: Any


class Oscillator(IntegratedWorld):
    """m x'' = F - c x' - k x. An action is the force F, one of -1, 0, 1 N, held over the step.

    See `environment.Environment`. The friction c differs from sequence to sequence.
    """

    name = "oscillator"
    actions = Actions.choice(((-1.0,), (0.0,), (1.0,)), unit="N")
    layout = Layout(2, positions=(0,), momenta=(1,))
    max_dt = 0.5
    duration = 10.0
    Params = OscillatorParams
    RANGES: ClassVar[Ranges] = {"damping": (0.1, 1.0)}
    POSITIVE = ("mass", "stiffness")

    def reset(self, key: jax.Array, params: OscillatorParams) -> OscillatorState:
        """Position and velocity uniform within 1.8 m and 1.8 m/s."""
        position, velocity = jax.random.uniform(key, (2,), minval=-1.8, maxval=1.8)
        return OscillatorState(position, velocity)

    def field(self, state: OscillatorState, action: Array, params: OscillatorParams) -> OscillatorState:
        """Velocity and acceleration."""
        force = action[0] - params.damping * state.velocity - params.stiffness * state.position
        return OscillatorState(state.velocity, force / params.mass)

    def power(self, state: OscillatorState, action: Array, params: OscillatorParams) -> Array:
        """[1] W: the power of the force, less that of friction."""
        return ((action[0] - params.damping * state.velocity) * state.velocity)[None]

    def energy(self, state: OscillatorState, params: OscillatorParams) -> Array:
        """[1] J, zero at rest."""
        return 0.5 * (params.mass * state.velocity**2 + params.stiffness * state.position**2)[None]

    def observe(self, state: OscillatorState, params: OscillatorParams) -> Array:
        """Position and velocity, [2]."""
        return jnp.stack([state.position, state.velocity])

    def restore(self, vector: Array, state: OscillatorState, params: OscillatorParams) -> OscillatorState:
        """See `Environment.restore`."""
        return OscillatorState(vector[0], vector[1])

    def draw(self, state: OscillatorState, params: OscillatorParams) -> Drawing:
        """A ball of 0.5 m that moves up and down in the middle."""
        centre = jnp.stack([jnp.zeros_like(state.position), state.position])[None]
        return Drawing(discs(centre, 0.5, BALL), View(jnp.zeros(2), 3.0, jnp.array(BACKGROUND)))


__all__ = ["Oscillator", "OscillatorParams", "OscillatorState"]
