"""`pendulum`, `double_pendulum` and `spring_mass`: worlds of `physics.envs` in px and frames, with something to see."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.physics.environment import Environment, idle, observed, simulate
from o2t_jax.physics.envs.double_pendulum import DoublePendulum, DoublePendulumParams, DoublePendulumState
from o2t_jax.physics.envs.oscillator import Oscillator, OscillatorParams, OscillatorState
from o2t_jax.physics.envs.pendulum import Pendulum as World
from o2t_jax.physics.envs.pendulum import PendulumParams, PendulumState
from o2t_jax.physics.primitives import Drawing, discs, layers, segments
from o2t_jax.physics.video.base import GREY, WHITE, Motion, on_black, uniform, varied
from o2t_jax.types import Array

_ROD, _STEPS = 0.7, 2  # px; steps of a frame, each of which the world divides by eight


class SwingParams(NamedTuple):
    """`constants` of the world, lengths in px, times in frames; its `start`."""

    constants: Any
    start: Any


def _motion(env: Environment, params: SwingParams, frames: int) -> Array:
    """Observed states [T, D] of every frame."""
    steps = _STEPS * (frames - 1)
    track = simulate(env, params.start, idle(env, steps), 1.0 / _STEPS, params.constants)
    return observed(env, track, params.constants)[::_STEPS]


class Pendulum:
    """A bob of 5 px on a rod of 25 px, with a little friction; g/L differs by g."""

    name = "pendulum"
    clips = 5000
    constant = "gravity"
    nominal = 0.5
    entries = ("angle", "velocity")
    pivot = (32.0, 54.0)
    length, damping = 25.0, 0.005

    def draw(self, key: jax.Array) -> SwingParams:
        """See `VideoSet`."""
        of_gravity, of_start = jax.random.split(key)
        constants = PendulumParams(1.0, self.length, varied(of_gravity, self.nominal), self.damping)
        return SwingParams(constants, PendulumState(*uniform(of_start, [-jnp.pi / 3, -0.05], [jnp.pi / 3, 0.05])))

    def move(self, params: SwingParams, frames: int) -> Motion:
        """See `VideoSet`."""
        state = _motion(World(), params, frames)
        bob = jnp.stack([jnp.sin(state[:, 0]), -jnp.cos(state[:, 0])], axis=-1)
        return Motion(state, (jnp.asarray(self.pivot) + self.length * bob)[:, None], jnp.ones(1, bool))

    def show(self, motion: Motion, params: SwingParams) -> Drawing:
        """A grey rod, a white bob."""
        rod = segments(jnp.asarray(self.pivot)[None], motion.place, _ROD, GREY)
        return on_black(layers(rod, discs(motion.place, 5.0, WHITE)))


class DoubleSwing:
    """Two bobs of 3 px on rods of 15 and 12 px, hung in the middle, without friction; gravity differs."""

    name = "double_pendulum"
    clips = 2000
    constant = "gravity"
    nominal = 0.5
    entries = ("angle1", "angle2", "momentum1", "momentum2")
    pivot = (32.0, 32.0)
    lengths = (15.0, 12.0)

    def draw(self, key: jax.Array) -> SwingParams:
        """See `VideoSet`."""
        of_gravity, of_start = jax.random.split(key)
        constants = DoublePendulumParams(1.0, 1.0, *self.lengths, varied(of_gravity, self.nominal))
        half, turn = 0.5 * jnp.pi, 0.1
        a1, a2, w1, w2 = uniform(of_start, [-half, -half, -turn, -turn], [half, half, turn, turn])
        m1, m2, l1, l2, _ = constants
        both = m2 * l1 * l2 * jnp.cos(a1 - a2)
        momentum = jnp.stack([(m1 + m2) * l1**2 * w1 + both * w2, both * w1 + m2 * l2**2 * w2])
        return SwingParams(constants, DoublePendulumState(jnp.stack([a1, a2]), momentum))

    def move(self, params: SwingParams, frames: int) -> Motion:
        """See `VideoSet`."""
        state = _motion(DoublePendulum(), params, frames)
        rods = jnp.stack([jnp.sin(state[:, :2]), -jnp.cos(state[:, :2])], axis=-1) * jnp.asarray(self.lengths)[:, None]
        return Motion(state, jnp.asarray(self.pivot) + jnp.cumsum(rods, axis=1), jnp.ones(2, bool))

    def show(self, motion: Motion, params: SwingParams) -> Drawing:
        """Grey rods, white bobs."""
        start = jnp.stack([jnp.asarray(self.pivot), motion.place[0]])
        return on_black(layers(segments(start, motion.place, _ROD, GREY), discs(motion.place, 3.0, WHITE)))


class SpringMass:
    """A mass of 5 px on a zigzag spring from the left, at rest at x = 34 px, with a little friction; k/m differs."""

    name = "spring_mass"
    clips = 5000
    constant = "stiffness"
    nominal = 0.3
    entries = ("position", "velocity")
    anchor, rest, height = 6.0, 34.0, 32.0
    damping, turns = 0.02, 8

    def draw(self, key: jax.Array) -> SwingParams:
        """See `VideoSet`."""
        of_stiffness, of_start = jax.random.split(key)
        constants = OscillatorParams(1.0, varied(of_stiffness, self.nominal), self.damping)
        return SwingParams(constants, OscillatorState(*uniform(of_start, [-14.0, -2.0], [14.0, 2.0])))

    def move(self, params: SwingParams, frames: int) -> Motion:
        """See `VideoSet`."""
        state = _motion(Oscillator(), params, frames)
        place = jnp.stack([self.rest + state[:, 0], jnp.full(len(state), self.height)], axis=-1)
        return Motion(state, place[:, None], jnp.ones(1, bool))

    def show(self, motion: Motion, params: SwingParams) -> Drawing:
        """A grey zigzag, a white mass."""
        share = jnp.linspace(0.0, 1.0, self.turns + 1)
        up = jnp.where(jnp.arange(self.turns + 1) % 2 == 1, 3.0, -3.0).at[jnp.array([0, self.turns])].set(0.0)
        knots = jnp.stack([self.anchor + share * (motion.place[0, 0] - self.anchor), self.height + up], axis=-1)
        return on_black(layers(segments(knots[:-1], knots[1:], _ROD, GREY), discs(motion.place, 5.0, WHITE)))


__all__ = ["DoubleSwing", "Pendulum", "SpringMass", "SwingParams"]
