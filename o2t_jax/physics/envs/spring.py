"""`spring`: a mass on a spring, without friction by default, in position and momentum."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.physics.environment import Actions, Layout
from o2t_jax.physics.envs.base import IntegratedWorld
from o2t_jax.physics.envs.look import BACKGROUND, BALL
from o2t_jax.physics.primitives import Drawing, View, discs
from o2t_jax.types import Array


class SpringParams(NamedTuple):
    """`mass` kg, `stiffness` N/m, `damping` N s/m."""

    mass: Any = 0.5
    stiffness: Any = 2.0
    damping: Any = 0.0


class SpringState(NamedTuple):
    """`position` [] m from rest, upwards, `momentum` [] kg m/s."""

    position: Any
    momentum: Any


class Spring(IntegratedWorld):
    """q' = p/m, p' = F - k q - c p/m. An action is the force F, one of -1, 0, 1 N, held (the original has none).

    See `environment.Environment`. Constants and starts are those of the mass-spring system of Hamiltonian Generative
    Networks (Toth et al., 2020).
    """

    name = "spring"
    actions = Actions.choice(((-1.0,), (0.0,), (1.0,)), unit="N")
    layout = Layout(2, positions=(0,), momenta=(1,), canonical=True)
    max_dt = 0.5
    duration = 10.0
    Params = SpringParams
    POSITIVE = ("mass", "stiffness")

    def reset(self, key: jax.Array, params: SpringParams) -> SpringState:
        """(q, p) in any direction, at a radius of 0.1 to 1 (m and kg m/s)."""
        turn, size = jax.random.split(key)
        angle = jax.random.uniform(turn, maxval=2.0 * jnp.pi)
        radius = jax.random.uniform(size, minval=0.1, maxval=1.0)
        return SpringState(radius * jnp.cos(angle), radius * jnp.sin(angle))

    def field(self, state: SpringState, action: Array, params: SpringParams) -> SpringState:
        """Velocity and force."""
        velocity = state.momentum / params.mass
        return SpringState(velocity, action[0] - params.stiffness * state.position - params.damping * velocity)

    def power(self, state: SpringState, action: Array, params: SpringParams) -> Array:
        """[1] W: the power of the force, less that of friction."""
        velocity = state.momentum / params.mass
        return ((action[0] - params.damping * velocity) * velocity)[None]

    def energy(self, state: SpringState, params: SpringParams) -> Array:
        """[1] J, zero at rest."""
        return 0.5 * (state.momentum**2 / params.mass + params.stiffness * state.position**2)[None]

    def observe(self, state: SpringState, params: SpringParams) -> Array:
        """Position and momentum, [2]."""
        return jnp.stack([state.position, state.momentum])

    def restore(self, vector: Array, state: SpringState, params: SpringParams) -> SpringState:
        """See `Environment.restore`."""
        return SpringState(vector[0], vector[1])

    def draw(self, state: SpringState, params: SpringParams) -> Drawing:
        """A ball that moves up and down in the middle."""
        centre = jnp.stack([jnp.zeros_like(state.position), state.position])[None]
        return Drawing(discs(centre, 0.5, BALL), View(jnp.zeros(2), 2.0, jnp.array(BACKGROUND)))


__all__ = ["Spring", "SpringParams", "SpringState"]
