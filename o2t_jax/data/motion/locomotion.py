"""Plans of walking, running and turning: feet planted on a path, hips above it, flight under gravity."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.data.motion.manner import Manner
from o2t_jax.data.motion.posing import SHIN, THIGH, Plan
from o2t_jax.physics.motion.measures import GRAVITY
from o2t_jax.physics.motion.skeleton import SOLES
from o2t_jax.types import Array

_HIP = 0.022  # m from the hips down to the leg's joint
_LEG = THIGH + SHIN


def smooth(way: Array) -> jax.Array:
    """0 to 1 as `way` goes from 0 to 1, with speed and acceleration zero at both ends; constant outside."""
    way = jnp.clip(way, 0.0, 1.0)
    return way**3 * (10.0 - 15.0 * way + 6.0 * way**2)


def path(time: jax.Array, speed: Array, turning: Array) -> tuple[jax.Array, jax.Array]:
    """Places [..., 2] m (x, z) on an arc from the origin along +z, and the headings rad there."""
    heading = jnp.asarray(turning * time)
    chord = speed * time * jnp.sinc(heading / (2.0 * jnp.pi))
    return jnp.stack([chord * jnp.sin(heading / 2), chord * jnp.cos(heading / 2)], -1), heading


def stride(times: Float[Array, " frames"], manner: Manner, speed: Array, duty: float, runs: bool) -> Plan:
    """Steps along an arc: each foot stands for a share `duty` of its cycle, at the place its path has in the middle.

    The centre of mass of a run falls with g while both feet are off the ground, and is held up by a half wave else.
    """
    tempo, start = manner.tempo, manner.phase
    left = tempo * times + start
    cycle = left[:, None] + jnp.array([0.0, 0.5])
    count = jnp.floor(cycle)
    within = cycle - count
    side = jnp.array([1.0, -1.0]) * (0.05 if runs else 0.075)

    def planted(number: jax.Array) -> tuple[jax.Array, jax.Array]:
        middle = (number + 0.5 * duty - start - jnp.array([0.0, 0.5])) / tempo
        place, heading = path(middle, speed, manner.turn)
        left_of = jnp.stack([jnp.cos(heading), -jnp.sin(heading)], -1)
        return place + side[:, None] * left_of, heading

    (here, looked), (there, looks) = planted(count), planted(count + 1.0)
    swung = (within - duty) / (1.0 - duty)
    way, lift = smooth(swung), jnp.sin(jnp.pi * jnp.clip(swung, 0.0, 1.0)) ** 2
    ground = here + way[..., None] * (there - here)
    raised = manner.extent * (0.26 if runs else 0.11) * lift
    ankles = jnp.stack([ground[..., 0], SOLES[0] + raised, ground[..., 1]], -1)

    place, heading = path(jnp.asarray(times), speed, manner.turn)
    sway = (0.01 if runs else 0.025) * jnp.cos(2.0 * jnp.pi * (left - 0.5 * duty))
    reach = 0.5 * speed * duty / tempo + 0.03
    top = SOLES[0] + _HIP + jnp.sqrt(((0.95 if runs else 0.97) * _LEG) ** 2 - reach**2)
    height = top + (_bounce(left, tempo, duty) - 0.02 if runs else 0.012 * jnp.cos(4 * jnp.pi * (left - 0.5 * duty)))
    hips = jnp.stack([place[:, 0] + sway * jnp.cos(heading), height, place[:, 1] - sway * jnp.sin(heading)], -1)

    arms = manner.arms * (0.6 if runs else 0.4) * jnp.cos(2.0 * jnp.pi * left)[:, None] * jnp.array([-1.0, 1.0])
    zero = jnp.zeros((len(times), 2))
    return Plan(
        hips=hips,
        heading=heading,
        lean=jnp.full_like(times, 0.12 if runs else 0.02),
        bend=jnp.full_like(times, manner.slouch),
        twist=0.12 * jnp.cos(2.0 * jnp.pi * left),
        ankles=ankles,
        foot_heading=looked + way * (looks - looked),
        pitch=(0.9 if runs else 0.5) * lift,
        swing=arms,
        raised=zero + 0.15,
        elbow=zero + (1.4 if runs else 0.3) + 0.3 * jnp.abs(arms),
        sway=zero,
        ballistic=1.0 if runs else 0.0,
    )


def _bounce(left: Array, tempo: Array, duty: float) -> Array:
    """Height m of a runner's centre of mass over that at touch-down; speed is continuous."""
    standing, flying = duty / tempo, (0.5 - duty) / tempo
    since = jnp.mod(left, 0.5) / tempo
    landing = 0.5 * GRAVITY * flying
    sunk = -landing * standing / jnp.pi * jnp.sin(jnp.pi * jnp.clip(since / standing, 0.0, 1.0))
    aloft = since - standing
    return jnp.where(aloft < 0.0, sunk, landing * aloft - 0.5 * GRAVITY * aloft**2)


__all__ = ["path", "smooth", "stride"]
