"""Which feet are on the ground, from geometry alone; and the spans of time when none is.

NumPy arrays in give NumPy arrays out (files have any length, and JAX would compile for each); JAX's give JAX's.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from o2t_jax.physics.motion.skeleton import OUR_FEET, Feet
from o2t_jax.types import Array

RATE = 20.0  # frames/s of every clip of ours
NEAR = 0.02  # m above flat feet at which a foot still touches: recorded feet roll, and soles give
SLOW = 0.35  # m/s; the ankle of a foot that rolls over its toe moves at up to this
LIFTED = 0.03  # m above flat feet from which a foot is certainly in the air


def clearance(positions: Float[Array, "*batch joints 3"], feet: Feet = OUR_FEET) -> Float[Array, "*batch feet"]:
    """Height m of each of the feet's joints above where it is on a flat foot; the ground is y = 0."""
    heights = positions[..., np.array(feet.joints), 1]
    return heights - np.asarray(feet.soles, heights.dtype)


def space_of(values: Array) -> Any:
    """The module whose functions take these: `numpy` or `jax.numpy`."""
    return np if isinstance(values, np.ndarray) else jnp


def foot_speed(
    positions: Float[Array, "*batch frames joints 3"], rate: float = RATE, feet: Feet = OUR_FEET
) -> Float[Array, "*batch frames feet"]:
    """Speed m/s along the ground of the feet's joints, from each frame to the next; the last frame repeats."""
    xp = space_of(positions)
    places = positions[..., np.array(feet.joints), :][..., np.array([0, 2])]
    steps = xp.diff(places, axis=-3)
    speed = rate * xp.sqrt(xp.sum(xp.square(steps), -1) + 1e-12)
    return xp.concatenate([speed, speed[..., -1:, :]], -2)


def contacts(
    positions: Float[Array, "*batch frames joints 3"],
    rate: float = RATE,
    feet: Feet = OUR_FEET,
    near: float = NEAR,
    slow: float = SLOW,
) -> Bool[Array, "*batch frames feet"]:
    """Which of the feet's joints are low (within `near` m of flat) and slow (below `slow` m/s)."""
    return (clearance(positions, feet) < near) & (foot_speed(positions, rate, feet) < slow)


def flights(
    positions: Float[Array, "frames joints 3"], feet: Feet = OUR_FEET, lifted: float = LIFTED
) -> list[tuple[int, int]]:
    """The spans (first frame, one past the last) in which every one of the feet's joints is above `lifted` m.

    Spans that touch the clip's first or last frame are left out: their beginning or end is unknown.
    """
    aloft = np.asarray(clearance(positions, feet)).min(-1) > lifted
    edges = np.flatnonzero(np.diff(np.concatenate([[False], aloft, [False]]).astype(int)))
    return [
        (int(first), int(past))
        for first, past in zip(edges[::2], edges[1::2], strict=True)
        if first > 0 and past < len(aloft)
    ]


__all__ = ["LIFTED", "NEAR", "RATE", "SLOW", "clearance", "contacts", "flights", "foot_speed", "space_of"]
