"""The 64-channel physics state of a person, from the first frames of a clip alone.

| channels | what | unit |
|---|---|---|
| 0 | gravity | m/s² |
| 1, 2, 3 | height of the hips, its velocity and acceleration | m, m/s, m/s² |
| 4-6, 7-9 | velocity and angular velocity of the hips | m/s, rad/s |
| 10, 11 | left and right foot on the ground | 0 or 1 |
| 12-14, 15-17 | velocity and acceleration of the centre of mass | m/s, m/s² |
| 18-20 | place of the hips | m |
| 21-23 | angular momentum about the centre of mass, over the mass | m²/s |
| 24-63 | zero, as in the document | |
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.physics.motion.contacts import RATE, contacts
from o2t_jax.physics.motion.kinematics import unit
from o2t_jax.physics.motion.measures import GRAVITY, mass_centre
from o2t_jax.physics.motion.skeleton import MASS_SHARES, OURS
from o2t_jax.types import Array

CHANNELS = 64
LEAST = 3  # frames: an acceleration needs them
_LEFT, _RIGHT, _SPINE = (OURS.index(name) for name in ("LeftUpLeg", "RightUpLeg", "Spine"))


def physics_state(
    given: Float[Array, "*batch frames joints 3"], rate: float = RATE
) -> Float[jax.Array, "*batch channels"]:
    """The state at the last of T >= 3 given frames of `OURS`, by differences to the frames before it."""
    given = jnp.asarray(given)
    root, centre = given[..., 0, :], mass_centre(given)
    (velocity, acceleration), (of_centre, pull) = (_rates(x, rate) for x in (root, centre))
    touching = contacts(given, rate)[..., -1, :].astype(given.dtype)
    shares = jnp.asarray(MASS_SHARES, given.dtype)
    arm = given[..., -1, :, :] - centre[..., -1, None, :]
    moving = rate * (given[..., -1, :, :] - given[..., -2, :, :]) - of_centre[..., None, :]
    momentum = jnp.einsum("...ja,j->...a", jnp.cross(arm, moving), shares)
    before, now = (_orientation(given[..., t, :, :]) for t in (-2, -1))
    channels = [
        jnp.full((*given.shape[:-3], 1), -GRAVITY, given.dtype),
        root[..., -1, 1:2],
        velocity[..., 1:2],
        acceleration[..., 1:2],
        velocity,
        _turning(before, now, rate),
        jnp.maximum(touching[..., ::2], touching[..., 1::2]),  # ankle or toe
        of_centre,
        pull,
        root[..., -1, :],
        momentum,
    ]
    state = jnp.concatenate(channels, axis=-1)
    return jnp.pad(state, [(0, 0)] * (state.ndim - 1) + [(0, CHANNELS - state.shape[-1])])


def _rates(places: Any, rate: float) -> tuple[jax.Array, jax.Array]:
    """Velocity and acceleration at the last of [..., T, 3]."""
    first, second = places[..., -1, :] - places[..., -2, :], places[..., -2, :] - places[..., -3, :]
    return rate * first, rate**2 * (first - second)


def _orientation(pose: jax.Array) -> jax.Array:
    """Columns: left, up and ahead of the hips, from the hips' joints and the spine: [..., 3, 3]."""
    left = unit(pose[..., _LEFT, :] - pose[..., _RIGHT, :])
    ahead = unit(jnp.cross(left, pose[..., _SPINE, :] - pose[..., 0, :]))
    return jnp.stack([left, jnp.cross(ahead, left), ahead], axis=-1)


def _turning(before: jax.Array, now: jax.Array, rate: float) -> jax.Array:
    """Angular velocity rad/s [..., 3] of small turns: the skew part of the rotation between them."""
    turn = now @ jnp.swapaxes(before, -1, -2)
    skew = 0.5 * (turn - jnp.swapaxes(turn, -1, -2))
    return rate * jnp.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], axis=-1)


__all__ = ["CHANNELS", "LEAST", "physics_state"]
