"""How far a motion is from what feet, ground and gravity allow: one definition for losses, evaluation and the linter.

All take positions [..., T, J, 3] in m, y up, ground y = 0, at `rate` frames/s, and return [...]. All are differentiable
(almost everywhere); what decides *where* a penalty acts is held constant, so that lifting a foot is no way out of it.
NumPy arrays in give NumPy arrays out, as in `contacts`.
"""

from __future__ import annotations

import jax
import numpy as np
from jaxtyping import Float

from o2t_jax.physics.motion.contacts import NEAR, RATE, clearance, foot_speed, space_of
from o2t_jax.physics.motion.skeleton import MASS_SHARES, OUR_FEET, Feet
from o2t_jax.types import Array

GRAVITY = 9.81  # m/s²
SOFT = 0.005  # m: a foot counts as low by a sigmoid of this width
PRESSED = 0.005  # m that a joint may be below its place on a flat foot: soles give


def mass_centre(positions: Float[Array, "*batch joints 3"]) -> Float[Array, "*batch 3"]:
    """The body's centre of mass, m; the mean of the joints for a skeleton that is not `OURS`."""
    joints = positions.shape[-2]
    shares = MASS_SHARES if joints == len(MASS_SHARES) else np.full(joints, 1.0 / joints)
    return space_of(positions).einsum("...ja,j->...a", positions, shares.astype(positions.dtype))


def low(positions: Float[Array, "*batch joints 3"], feet: Feet = OUR_FEET) -> Float[Array, "*batch feet"]:
    """How far each of the feet's joints counts as on the ground, 0 to 1, by height alone; no gradient."""
    xp = space_of(positions)
    return _held(1.0 / (1.0 + xp.exp(xp.clip((clearance(positions, feet) - NEAR) / SOFT, -50.0, 50.0))))


def skate(
    positions: Float[Array, "*batch frames joints 3"], rate: float = RATE, feet: Feet = OUR_FEET
) -> Float[Array, "*batch"]:
    """Mean speed m/s along the ground of the feet's joints that are `low` before and after a step; 0 where none is.

    Feet that swing close to the ground count too: recorded people have about 0.1, so compare, and at equal error.
    """
    xp, held = space_of(positions), low(positions, feet)
    held = held[..., :-1, :] * held[..., 1:, :]
    speed = foot_speed(positions, rate, feet)[..., :-1, :]
    return xp.sum(held * speed, (-2, -1)) / xp.maximum(xp.sum(held, (-2, -1)), 1e-3)


def penetration(positions: Float[Array, "*batch frames joints 3"], feet: Feet = OUR_FEET) -> Float[Array, "*batch"]:
    """Mean depth m, over frames and the feet's joints, below flat feet less `PRESSED`."""
    xp = space_of(positions)
    return xp.mean(xp.maximum(-PRESSED - clearance(positions, feet), 0.0), (-2, -1))


def floating(
    positions: Float[Array, "*batch frames joints 3"], rate: float = RATE, feet: Feet = OUR_FEET
) -> Float[Array, "*batch"]:
    """Mean height m of the lowest foot above `NEAR` while nothing holds the body up and yet it does not fall.

    A frame counts by the share of g that the centre of mass does not fall with (0 in a true flight, at most 1); that
    share has no gradient. T >= 3 frames; the first and the last are left out.
    """
    xp = space_of(positions)
    up = mass_centre(positions)[..., 1]
    fall = (up[..., 2:] - 2.0 * up[..., 1:-1] + up[..., :-2]) * rate**2
    held = _held(xp.clip(xp.abs(fall + GRAVITY) / GRAVITY, 0.0, 1.0))
    lowest = xp.min(clearance(positions, feet), -1)[..., 1:-1]
    return xp.mean(held * xp.maximum(lowest - NEAR, 0.0), -1)


def jerk(positions: Float[Array, "*batch frames joints 3"], rate: float = RATE) -> Float[Array, "*batch"]:
    """Mean length m/s³, over frames and joints, of the third derivative of the places; T >= 4 frames."""
    xp = space_of(positions)
    third = xp.diff(positions, n=3, axis=-3) * rate**3
    return xp.mean(xp.sqrt(xp.sum(xp.square(third), -1) + 1e-12), (-2, -1))


def measures(
    positions: Float[Array, "*batch frames joints 3"], rate: float = RATE, feet: Feet = OUR_FEET
) -> dict[str, Array]:
    """All of the above by name: skate m/s, penetration m, float m, jerk m/s³."""
    return {
        "skate": skate(positions, rate, feet),
        "penetration": penetration(positions, feet),
        "float": floating(positions, rate, feet),
        "jerk": jerk(positions, rate),
    }


def _held(values: Array) -> Array:
    return jax.lax.stop_gradient(values) if isinstance(values, jax.Array) else values


__all__ = ["GRAVITY", "PRESSED", "SOFT", "floating", "jerk", "low", "mass_centre", "measures", "penetration", "skate"]
