"""What a scene of discs in a room is made of.

Lengths are in the world's own unit of length: px in the worlds of the document that system `discs` follows, and
whatever unit a recording's track has. Times are in s.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Bool, Float

from o2t_jax.types import Array


class Walls(NamedTuple):
    """Straight walls of no thickness, with their ends. Batch dimensions may come first.

    Attributes: `ends` [S, 2, 2], both end points of each; `present` [S], False for a row that only fills the shape.
    """

    ends: Float[Array, "*batch walls 2 2"]
    present: Bool[Array, "*batch walls"]


class Scene(NamedTuple):
    """Discs at one time, and the walls round them. Batch dimensions may come first.

    Attributes: `position` and `velocity` [B, 2]; `mass` [B], infinite for a static obstacle; `radius` [B];
    `present` [B], False for a row that only fills the shape.
    """

    position: Float[Array, "*batch discs 2"]
    velocity: Float[Array, "*batch discs 2"]
    mass: Float[Array, "*batch discs"]
    radius: Float[Array, "*batch discs"]
    present: Bool[Array, "*batch discs"]
    walls: Walls


class Track(NamedTuple):
    """A scene's motion in T + 1 frames.

    Attributes: `position` and `velocity` [T + 1, B, 2]; `hits` [T, B, B + 1], how often discs i and j hit each other
    between frames t and t + 1, and (last column) how often disc i hit a wall; `overflow` [], True where more happened
    than the simulation counts in a step, so that the rest of the track is not to be used.
    """

    position: Float[Array, "*batch frames discs 2"]
    velocity: Float[Array, "*batch frames discs 2"]
    hits: Float[Array, "*batch steps discs partners"]
    overflow: Bool[Array, "*batch"]


__all__ = ["Scene", "Track", "Walls"]
