"""What worlds of bodies that attract each other have in common: the equations, the energy, the drawing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.physics.environment import Layout
from o2t_jax.physics.envs.base import NEAREST, IntegratedWorld
from o2t_jax.physics.envs.look import BACKGROUND, BALLS
from o2t_jax.physics.primitives import Drawing, View, discs
from o2t_jax.types import Array

SOFTENING = 1e-6  # m^2, added to squared distances
VIEW = 3.0  # m


class BodiesState(NamedTuple):
    """`position` [N, 2] m, `velocity` [N, 2] m/s."""

    position: Any
    velocity: Any


class EqualBodiesParams(NamedTuple):
    """`gravitation` m^3/(kg s^2), the constant G; `mass` kg, of each body."""

    gravitation: Any = 1.0
    mass: Any = 1.0


class NBody(IntegratedWorld):
    """m_i q_i'' = sum over j of G m_i m_j (q_j - q_i) / r_ij^3, plus the action's force on body 0; in a plane.

    See `environment.Environment`. r^2 is softened by 1e-6 m^2. Steps are of the stated order where no two bodies come
    within 0.2 m. Observed: the positions of all bodies, then their velocities.
    """

    COUNT: ClassVar[int]
    SUBSTEPS = 16
    max_dt = 0.5

    def masses(self, params: Any) -> Array:
        """[N] kg."""
        raise NotImplementedError

    def _apart(self, position: Array) -> tuple[Array, Array]:
        """For each pair i < j: q_j - q_i [pairs, 2] m and the softened distance [pairs] m."""
        first, second = np.triu_indices(self.COUNT, 1)
        apart = position[second] - position[first]
        return apart, jnp.sqrt(jnp.sum(apart**2, axis=1) + SOFTENING)

    def field(self, state: BodiesState, action: Array, params: Any) -> BodiesState:
        """Velocities and accelerations."""
        first, second = np.triu_indices(self.COUNT, 1)
        masses = self.masses(params)
        apart, distance = self._apart(state.position)
        pull = params.gravitation * (masses[first] * masses[second] / distance**3)[:, None] * apart
        force = jnp.zeros_like(state.position).at[first].add(pull).at[second].add(-pull).at[0].add(action)
        return BodiesState(state.velocity, force / masses[:, None])

    def power(self, state: BodiesState, action: Array, params: Any) -> Array:
        """[1] W: the power of the force on body 0."""
        return jnp.sum(action * state.velocity[0])[None]

    def energy(self, state: BodiesState, params: Any) -> Array:
        """[1] J of all bodies together, zero far apart at rest."""
        first, second = np.triu_indices(self.COUNT, 1)
        masses = self.masses(params)
        moving = 0.5 * jnp.sum(masses[:, None] * state.velocity**2)
        bound = jnp.sum(masses[first] * masses[second] / self._apart(state.position)[1])
        return (moving - params.gravitation * bound)[None]

    def events(self, state: BodiesState, params: Any) -> Mapping[str, Array]:
        """`close`, [1]: whether two bodies are within 0.2 m at the step's end."""
        return {"close": jnp.any(self._apart(state.position)[1] < NEAREST).astype(jnp.int32)[None]}

    def observe(self, state: BodiesState, params: Any) -> Array:
        """Positions x0, y0, x1, ..., then velocities, [4 N]."""
        return jnp.concatenate([state.position.ravel(), state.velocity.ravel()])

    def restore(self, vector: Array, state: BodiesState, params: Any) -> BodiesState:
        """See `Environment.restore`."""
        position, velocity = vector.reshape(2, self.COUNT, 2)
        return BodiesState(position, velocity)

    def draw(self, state: BodiesState, params: Any) -> Drawing:
        """A ball for each body; bodies beyond 3 m are not seen."""
        balls = discs(state.position, 0.3, jnp.array(BALLS[: self.COUNT]))
        return Drawing(balls, View(jnp.zeros(2), VIEW, jnp.array(BACKGROUND)))


class OrbitingBodies(NBody):
    """N equal bodies at the corners of a regular polygon, almost on the circle on which they would stay.

    Subclasses state `RADII` m, the least and the largest circle, and `NOISE`, the relative deviation of speeds.
    """

    RADII: ClassVar[tuple[float, float]]
    NOISE: ClassVar[float]
    duration = 10.0
    Params = EqualBodiesParams
    POSITIVE = ("gravitation", "mass")

    def masses(self, params: EqualBodiesParams) -> Array:
        """[N] kg."""
        return jnp.broadcast_to(params.mass, (self.COUNT,))

    def reset(self, key: jax.Array, params: EqualBodiesParams) -> BodiesState:
        """Turned by any angle, counter-clockwise; v = v_circle (1 + NOISE n), n normal, each body's own.

        v_circle is that of G = 1, m = 1 whatever the parameters, so that a start does not tell them. The bodies'
        common motion is taken out.
        """
        size, turn, noise = jax.random.split(key, 3)
        radius = jax.random.uniform(size, minval=self.RADII[0], maxval=self.RADII[1])
        angle = jax.random.uniform(turn, maxval=2.0 * jnp.pi) + 2.0 * jnp.pi * jnp.arange(self.COUNT) / self.COUNT
        speed = jnp.sqrt(circular_speed2(self.COUNT) / radius)
        speeds = speed * (1.0 + self.NOISE * jax.random.normal(noise, (self.COUNT, 1)))
        out = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
        velocity = speeds * jnp.stack([-out[:, 1], out[:, 0]], axis=1)
        return BodiesState(radius * out, velocity - jnp.mean(velocity, axis=0))


def circular_speed2(count: int) -> float:
    """v^2 r / (G m) of N = `count` equal bodies on a circle, evenly spaced: the sum of 1 / (4 sin(pi k / N))."""
    return sum(0.25 / math.sin(math.pi * k / count) for k in range(1, count))


def bodies_layout(count: int) -> Layout:
    """2 `count` positions, then as many velocities."""
    size = 2 * count
    return Layout(2 * size, positions=tuple(range(size)), momenta=tuple(range(size, 2 * size)))


__all__ = ["BodiesState", "EqualBodiesParams", "NBody", "OrbitingBodies", "bodies_layout", "circular_speed2"]
