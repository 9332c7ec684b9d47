"""`spaceship`: a ship with a weak engine about a star, in a plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.physics.environment import Layout
from o2t_jax.physics.envs.base import NEAREST, IntegratedWorld, compass
from o2t_jax.physics.envs.look import BACKGROUND, BALLS
from o2t_jax.physics.primitives import Drawing, View, discs, layers
from o2t_jax.types import Array

THRUST = 0.5  # m/s^2
_SOFTENING = 1e-6  # m^2, added to r^2


class SpaceshipParams(NamedTuple):
    """`pull` m^3/s^2, the star's mass times the constant of gravity."""

    pull: Any = 10.0


class SpaceshipState(NamedTuple):
    """`position` [2] m from the star, `velocity` [2] m/s."""

    position: Any
    velocity: Any


class Spaceship(IntegratedWorld):
    """q'' = u - GM q / r^3. An action is the engine's u: none, or 0.5 m/s^2 in one of eight directions, held.

    See `environment.Environment`. Steps are of the stated order where the ship stays 0.2 m away from the star.
    """

    name = "spaceship"
    SUBSTEPS = 16
    actions = compass(THRUST, unit="m/s^2")
    layout = Layout(4, positions=(0, 1), momenta=(2, 3))
    max_dt = 0.5
    duration = 5.0
    Params = SpaceshipParams
    POSITIVE = ("pull",)

    def reset(self, key: jax.Array, params: SpaceshipParams) -> SpaceshipState:
        """Anywhere within 5 m along either axis, up to 2 m/s along either."""
        start = jax.random.uniform(key, (2, 2), minval=-1.0, maxval=1.0)
        return SpaceshipState(5.0 * start[0], 2.0 * start[1])

    def field(self, state: SpaceshipState, action: Array, params: SpaceshipParams) -> SpaceshipState:
        """Velocity and acceleration."""
        r2 = jnp.sum(state.position**2) + _SOFTENING
        return SpaceshipState(state.velocity, action - params.pull * state.position / (r2 * jnp.sqrt(r2)))

    def power(self, state: SpaceshipState, action: Array, params: SpaceshipParams) -> Array:
        """[1] m^2/s^3: the engine's power per unit mass."""
        return jnp.sum(action * state.velocity)[None]

    def energy(self, state: SpaceshipState, params: SpaceshipParams) -> Array:
        """[1] m^2/s^2, per unit mass, zero far away at rest."""
        r = jnp.sqrt(jnp.sum(state.position**2) + _SOFTENING)
        return (0.5 * jnp.sum(state.velocity**2) - params.pull / r)[None]

    def events(self, state: SpaceshipState, params: SpaceshipParams) -> Mapping[str, Array]:
        """`close`, [1]: whether the ship is within 0.2 m of the star at the step's end."""
        return {"close": (jnp.sum(state.position**2) < NEAREST**2).astype(jnp.int32)[None]}

    def observe(self, state: SpaceshipState, params: SpaceshipParams) -> Array:
        """Position and velocity, [4]."""
        return jnp.concatenate([state.position, state.velocity])

    def restore(self, vector: Array, state: SpaceshipState, params: SpaceshipParams) -> SpaceshipState:
        """See `Environment.restore`."""
        return SpaceshipState(vector[:2], vector[2:])

    def draw(self, state: SpaceshipState, params: SpaceshipParams) -> Drawing:
        """The star in the middle, the ship in front of it."""
        star, ship = discs(jnp.zeros((1, 2)), 0.5, BALLS[0]), discs(state.position[None], 0.3, BALLS[1])
        return Drawing(layers(star, ship), View(jnp.zeros(2), 6.0, jnp.array(BACKGROUND)))


__all__ = ["Spaceship", "SpaceshipParams", "SpaceshipState"]
