"""Plans of what is done on the spot: standing, waving, sitting down, kicking, jumping."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.data.motion.locomotion import smooth
from o2t_jax.data.motion.manner import Manner
from o2t_jax.data.motion.posing import Plan
from o2t_jax.physics.motion.measures import GRAVITY
from o2t_jax.physics.motion.skeleton import SOLES, STANDING
from o2t_jax.types import Array

_APART = 0.09  # m of each foot from the middle


def stand(times: Float[Array, " frames"], manner: Manner) -> Plan:
    """Upright, both feet planted; the weight shifts slowly by some mm."""
    one, zero = jnp.ones_like(times), jnp.zeros((len(times), 2))
    wave = 2.0 * jnp.pi * (0.25 * manner.tempo * times + manner.phase)
    hips = jnp.stack([0.012 * jnp.sin(wave), STANDING - 0.02 + 0.003 * jnp.cos(2 * wave), 0.006 * jnp.cos(wave)], -1)
    feet = jnp.array([[_APART, SOLES[0], 0.0], [-_APART, SOLES[0], 0.0]])
    return Plan(
        hips=hips,
        heading=0.0 * one,
        lean=0.02 * one,
        bend=manner.slouch + 0.015 * jnp.sin(wave),
        twist=0.03 * jnp.cos(wave),
        ankles=jnp.broadcast_to(feet, (len(times), 2, 3)),
        foot_heading=zero + jnp.array([0.15, -0.15]),
        pitch=zero,
        swing=zero + 0.05,
        raised=zero + 0.15,
        elbow=zero + 0.25,
        sway=zero,
    )


def wave(times: Float[Array, " frames"], manner: Manner) -> Plan:
    """One arm goes up at the onset and its forearm waves from then on."""
    plan, arm = stand(times, manner), _one_of(manner)
    since = times - manner.onset
    up = smooth(since / 0.5 * manner.tempo)
    wag = 0.5 * manner.extent * jnp.sin(2.0 * jnp.pi * 1.6 * manner.tempo * since) * smooth((since - 0.2) / 0.4)
    return plan._replace(
        raised=plan.raised + arm * (up * 1.9)[:, None],
        elbow=plan.elbow * (1.0 - arm * up[:, None]),
        sway=arm * (up * 0.5 + wag)[:, None],
        swing=plan.swing + arm * (0.3 * up)[:, None],
    )


def sit(times: Float[Array, " frames"], manner: Manner) -> Plan:
    """Down onto a seat of about 0.42 m behind the feet, from the onset on; the trunk leans to keep the balance."""
    plan = stand(times, manner)
    way = (times - manner.onset) * manner.tempo / 1.3
    down, over = smooth(way), jnp.sin(jnp.pi * jnp.clip(way, 0.0, 1.0)) ** 2
    drop, back = 0.43 * jnp.clip(manner.extent, 0.8, 1.1), 0.36
    move = down[:, None] * jnp.stack([jnp.zeros(()), -drop, jnp.full((), -back)])
    return plan._replace(
        hips=plan.hips * (1.0 - down[:, None] * jnp.array([0.8, 0.0, 0.8])) + move,
        lean=plan.lean + 0.35 * over,
        bend=plan.bend + 0.45 * over,
        swing=plan.swing + (0.5 * down + 0.3 * over)[:, None],
        elbow=plan.elbow + (0.7 * down)[:, None],
    )


def kick(times: Float[Array, " frames"], manner: Manner) -> Plan:
    """One foot swings back, then forward and up, and comes down again; the weight is on the other one."""
    plan, leg = stand(times, manner), _one_of(manner)
    way = (times - manner.onset) * manner.tempo / 1.3
    back, ahead = _bump(way, 0.05, 0.5), _bump(way, 0.3, 0.95)
    lift = 0.18 * _bump(way, 0.0, 0.6) + 0.3 * manner.extent * ahead
    reach = 0.5 * manner.extent * ahead - 0.25 * back
    moved = jnp.stack([jnp.zeros_like(way), lift, reach], -1)
    aside = smooth(way / 0.15) * smooth((1.15 - way) / 0.2)
    other = 2.0 * manner.side - 1.0  # the side of the standing foot: +1 is left
    shift = jnp.stack([other * 0.06 * aside, -0.015 * aside, 0.0 * aside], -1)
    arms = jnp.stack([-ahead, ahead], -1) * (1.0 - 2.0 * manner.side)
    return plan._replace(
        hips=plan.hips + shift,
        lean=plan.lean - 0.15 * ahead,
        ankles=plan.ankles + leg[None, :, None] * moved[:, None, :],
        pitch=leg * (0.5 * back)[:, None] - leg * (0.2 * ahead)[:, None],
        swing=plan.swing + 0.5 * manner.arms * arms,
        raised=plan.raised + 0.5 * aside[:, None],
    )


def jump(times: Float[Array, " frames"], manner: Manner) -> Plan:
    """Down, up, in the air (the centre of mass falls with g), and caught: constant acceleration in each part."""
    plan = stand(times, manner)
    launch = 2.0 * manner.extent  # m/s
    dip, flight = 0.2, 2.0 * launch / GRAVITY
    sink, push = 0.5 / manner.tempo, 2.0 * dip / launch
    since = times - manner.onset
    pushed, flown = since - sink, since - sink - push
    landed = flown - flight
    height = -dip * smooth(since / sink)
    height = jnp.where(pushed > 0, -dip + 0.5 * launch / push * pushed**2, height)
    height = jnp.where(flown > 0, launch * flown - 0.5 * GRAVITY * flown**2, height)
    height = jnp.where(landed > 0, -launch * landed + 0.5 * launch / push * landed**2, height)
    height = jnp.where(landed > push, -dip * (1.0 - smooth((landed - push) / 0.6)), height)
    aloft = jnp.clip(flown, 0.0, flight)
    rise = launch * aloft - 0.5 * GRAVITY * aloft**2
    share = aloft / flight
    tuck = 0.06 * jnp.sin(jnp.pi * share) ** 2
    far = 0.35 * (0.5 + 0.5 * manner.turn) * smooth(share)
    feet = jnp.stack([jnp.zeros_like(far), rise + tuck, far], -1)
    squat = jnp.clip(-height / dip, 0.0, 1.0)
    arms = -0.8 * smooth(since / sink) * (1.0 - smooth(pushed / push)) + 1.8 * jnp.sin(jnp.pi * share) ** 2
    hips = plan.hips + jnp.stack([0.0 * far, height - 0.012, far - 0.06 * squat], -1)
    return plan._replace(
        hips=hips,
        lean=plan.lean + 0.35 * squat,
        bend=plan.bend + 0.25 * squat,
        ankles=plan.ankles + feet[:, None, :],
        pitch=jnp.broadcast_to((0.5 * jnp.sin(jnp.pi * share) ** 2)[:, None], (len(times), 2)),
        swing=plan.swing + manner.arms * arms[:, None] / 1.3,
        ballistic=1.0,
    )


def _one_of(manner: Manner) -> jax.Array:
    """[2], 1 for the side that acts."""
    return jnp.stack([1.0 - manner.side, manner.side])


def _bump(way: Array, first: float, last: float) -> Array:
    """0 outside [first, last], 1 in the middle, smooth."""
    return jnp.sin(jnp.pi * jnp.clip((way - first) / (last - first), 0.0, 1.0)) ** 2


__all__ = ["jump", "kick", "sit", "stand", "wave"]
