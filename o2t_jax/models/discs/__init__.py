"""Models of discs that collide: what they see, what they give back, and their registry.

A model is a Flax module called with `Frames`; it returns the `Step` to the next frame. Its fields `dt` s, `size`
(width, height of the room) and `speed` (the speed limit) are those of the world, and units of its inputs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxtyping import Bool, Float

from o2t_jax.physics.discs.scene import Walls
from o2t_jax.registry import Registry
from o2t_jax.types import Array


class Frames(NamedTuple):
    """Two frames of N scenes of B discs, `[:, 1]` the later one. Masses are infinite for static obstacles.

    Rows that are not `present` must not change the result for others; their own results are not used.
    """

    position: Float[Array, "scenes 2 discs 2"]
    velocity: Float[Array, "scenes 2 discs 2"]
    mass: Float[Array, "scenes discs"]
    radius: Float[Array, "scenes discs"]
    present: Bool[Array, "scenes discs"]
    walls: Walls


class Step(NamedTuple):
    """Position and velocity in the next frame, in the world's units."""

    position: Float[Array, "scenes discs 2"]
    velocity: Float[Array, "scenes discs 2"]


MODELS: Registry[Any] = Registry(
    "model",
    {
        "classic": "o2t_jax.models.discs.classic:Classic",
        "lstm": "o2t_jax.models.discs.lstm:ObjectLSTM",
        "modern": "o2t_jax.models.discs.modern:Modern",
        "no_pairwise": "o2t_jax.models.discs.no_pairwise:NoPairwise",
        "relative": "o2t_jax.models.discs.relative:Relative",
    },
)


__all__ = ["MODELS", "Frames", "Step"]
