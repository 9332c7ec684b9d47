"""`three_body`: three bodies that attract each other in a plane, one of them with an engine."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.physics.envs.base import compass
from o2t_jax.physics.envs.n_body import BodiesState, NBody, bodies_layout
from o2t_jax.types import Array


class ThreeBodyParams(NamedTuple):
    """`gravitation` m^3/(kg s^2), the constant G; `mass0` to `mass2` kg."""

    gravitation: Any = 1.0
    mass0: Any = 1.0
    mass1: Any = 1.0
    mass2: Any = 1.0


class ThreeBody(NBody):
    """Three bodies anywhere, see `NBody`. An action is a force on body 0: none, or 1 N in one of eight directions.

    Steps are Runge-Kutta's, as in all integrated worlds; the original takes symplectic Euler steps, of first order.
    """

    name = "three_body"
    COUNT = 3
    duration = 3.0
    actions = compass(1.0, unit="N")
    layout = bodies_layout(3)
    Params = ThreeBodyParams
    POSITIVE = ("gravitation", "mass0", "mass1", "mass2")

    def masses(self, params: ThreeBodyParams) -> Array:
        """[3] kg."""
        return jnp.stack([params.mass0, params.mass1, params.mass2])

    def reset(self, key: jax.Array, params: ThreeBodyParams) -> BodiesState:
        """Positions uniform within 1 m along either axis, velocities within 0.5 m/s."""
        start = jax.random.uniform(key, (2, 3, 2), minval=-1.0, maxval=1.0)
        return BodiesState(start[0], 0.5 * start[1])


__all__ = ["ThreeBody", "ThreeBodyParams"]
