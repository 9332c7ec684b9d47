"""`double_pendulum`: two point masses on rigid rods, one hanging from the other, in angles and canonical momenta."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.physics.environment import Actions, Layout
from o2t_jax.physics.envs.base import IntegratedWorld
from o2t_jax.physics.envs.look import BACKGROUND, BALLS
from o2t_jax.physics.primitives import Drawing, View, discs
from o2t_jax.types import Array


class DoublePendulumParams(NamedTuple):
    """`mass1`, `mass2` kg, `length1`, `length2` m, upper and lower; `gravity` m/s^2."""

    mass1: Any = 1.0
    mass2: Any = 1.0
    length1: Any = 1.0
    length2: Any = 1.0
    gravity: Any = 3.0


class DoublePendulumState(NamedTuple):
    """`angle` [2] rad of each rod from hanging down, counter-clockwise, not wrapped; `momentum` [2] kg m^2/s."""

    angle: Any
    momentum: Any


class DoublePendulum(IntegratedWorld):
    """H = p M(a)^-1 p / 2 + V(a), with angles a = (a1, a2), both from the vertical, and p = M a'.

    M11 = (m1 + m2) L1^2, M12 = M21 = m2 L1 L2 cos(a1 - a2), M22 = m2 L2^2,
    V = (m1 + m2) g L1 (1 - cos a1) + m2 g L2 (1 - cos a2); Landau & Lifshitz, Mechanics, 3rd ed., section 5, problem 1.
    An action is the torque at the upper joint, one of -1, 0, 1 N m, held (the original has none). No friction.
    See `environment.Environment`.
    """

    name = "double_pendulum"
    actions = Actions.choice(((-1.0,), (0.0,), (1.0,)), unit="N m")
    layout = Layout(4, positions=(0, 1), momenta=(2, 3), canonical=True, angles=(0, 1))
    max_dt = 0.5
    duration = 10.0
    Params = DoublePendulumParams
    POSITIVE = ("mass1", "mass2", "length1", "length2")

    def reset(self, key: jax.Array, params: DoublePendulumParams) -> DoublePendulumState:
        """(a1, a2, p1, p2) in any direction, at a distance of 0.5 to 1.3 from rest (rad and kg m^2/s)."""
        turn, size = jax.random.split(key)
        way = jax.random.normal(turn, (4,))
        start = jax.random.uniform(size, minval=0.5, maxval=1.3) * way / jnp.linalg.norm(way)
        return DoublePendulumState(start[:2], start[2:])

    def velocity(self, state: DoublePendulumState, params: DoublePendulumParams) -> Array:
        """Rates of the angles, M^-1 p, [2] rad/s."""
        m1, m2, l1, l2, _ = params
        both = m2 * l1 * l2 * jnp.cos(state.angle[0] - state.angle[1])
        upper, lower = (m1 + m2) * l1**2, m2 * l2**2
        p1, p2 = state.momentum
        return jnp.stack([lower * p1 - both * p2, upper * p2 - both * p1]) / (upper * lower - both**2)

    def field(self, state: DoublePendulumState, action: Array, params: DoublePendulumParams) -> DoublePendulumState:
        """a' = dH/dp, p' = -dH/da + torque."""
        m1, m2, l1, l2, g = params
        a1, a2 = state.angle
        velocity = self.velocity(state, params)
        coupling = m2 * l1 * l2 * velocity[0] * velocity[1] * jnp.sin(a1 - a2)
        above = action[0] - coupling - (m1 + m2) * g * l1 * jnp.sin(a1)
        return DoublePendulumState(velocity, jnp.stack([above, coupling - m2 * g * l2 * jnp.sin(a2)]))

    def power(self, state: DoublePendulumState, action: Array, params: DoublePendulumParams) -> Array:
        """[1] W: the power of the torque."""
        return action[0] * self.velocity(state, params)[:1]

    def energy(self, state: DoublePendulumState, params: DoublePendulumParams) -> Array:
        """[1] J, H, zero where both hang at rest."""
        m1, m2, l1, l2, g = params
        moving = 0.5 * jnp.sum(state.momentum * self.velocity(state, params))
        drop = jnp.stack([(m1 + m2) * l1, m2 * l2]) * (1.0 - jnp.cos(state.angle))
        return (moving + g * jnp.sum(drop))[None]

    def observe(self, state: DoublePendulumState, params: DoublePendulumParams) -> Array:
        """Angles and momenta, [4]."""
        return jnp.concatenate([state.angle, state.momentum])

    def restore(self, vector: Array, state: DoublePendulumState, params: DoublePendulumParams) -> DoublePendulumState:
        """See `Environment.restore`."""
        return DoublePendulumState(vector[:2], vector[2:])

    def draw(self, state: DoublePendulumState, params: DoublePendulumParams) -> Drawing:
        """The two bobs, the upper joint in the middle."""
        rods = jnp.stack([params.length1, params.length2])
        down = jnp.stack([jnp.sin(state.angle), -jnp.cos(state.angle)], axis=1)
        bobs = discs(jnp.cumsum(rods[:, None] * down, axis=0), 0.3, jnp.array(BALLS[:2]))
        half_height = jnp.maximum(2.5, jnp.sum(rods) + 0.4)
        return Drawing(bobs, View(jnp.zeros(2), half_height, jnp.array(BACKGROUND)))


__all__ = ["DoublePendulum", "DoublePendulumParams", "DoublePendulumState"]
