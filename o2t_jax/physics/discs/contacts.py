"""When discs next touch each other or a wall.

A contact counts only where the gap closes. A pair that rounding left slightly inside each other and that closes on is
in contact now, and one that opens is not, so no contact is lost and none is counted twice.

Layout: vectors are [2, ..., N], components first, with the N scenes of a batch last, where a CPU's vector units reach
them: with the batch first the same sums take thirty times as long.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Bool, Float

from o2t_jax.physics.discs.parabola import fall_to_circle, fall_to_line
from o2t_jax.physics.discs.scene import Scene
from o2t_jax.types import Array

SLACK = 1e-4
"""By how much of its radius a disc's contact with a wall's face may lie beyond the wall's end, so that none falls
between face and end by rounding; a disc is turned by as many rad at most."""


class Bodies(NamedTuple):
    """Discs of N scenes. `pull` is the acceleration, or None where there is none; `lightness` is 1 / mass, 0 for what
    does not move."""

    position: Float[Array, "2 discs batch"]
    velocity: Float[Array, "2 discs batch"]
    pull: Float[Array, "2 discs batch"] | None
    lightness: Float[Array, "discs batch"]
    radius: Float[Array, "discs batch"]
    present: Bool[Array, "discs batch"]


class Edges(NamedTuple):
    """Walls of N scenes: both ends, the unit vector from `start` to `end`, and the length."""

    start: Float[Array, "2 walls batch"]
    end: Float[Array, "2 walls batch"]
    along: Float[Array, "2 walls batch"]
    length: Float[Array, "walls batch"]
    present: Bool[Array, "walls batch"]


def laid_out(scenes: Scene, gravity: float) -> tuple[Bodies, Edges]:
    """Scenes with one batch dimension, first, in the layout of this file. `gravity` pulls against the second axis."""
    position, velocity = (jnp.transpose(leaf, (2, 1, 0)) for leaf in (scenes.position, scenes.velocity))
    mass, radius, present = scenes.mass.T, scenes.radius.T, scenes.present.T
    moves = present & jnp.isfinite(mass)
    velocity = jnp.where(moves, velocity, 0.0)
    pull = jnp.stack([jnp.zeros_like(mass), jnp.where(moves, -gravity, 0.0)]) if gravity else None
    lightness = jnp.where(moves, 1.0 / jnp.where(moves, mass, 1.0), 0.0)
    start, end = jnp.transpose(scenes.walls.ends, (2, 3, 1, 0))
    length = jnp.sqrt(dot(end - start, end - start))
    along = (end - start) / jnp.where(length > 0.0, length, 1.0)
    edges = Edges(start, end, along, length, scenes.walls.present.T)
    return Bodies(position, velocity, pull, lightness, radius, present), edges


def contact_times(bodies: Bodies, edges: Edges, window: Array) -> Float[Array, "discs partners batch"]:
    """s until disc i touches disc j (columns 0 to B - 1, i < j only) or wall k (columns from B on).

    Infinite where they do not touch; under gravity, where they do not within `window` [N] s.
    """
    return jnp.concatenate([_pair_times(bodies, window), _wall_times(bodies, edges, window)], axis=1)


def _pair_times(bodies: Bodies, window: Array) -> Array:
    count = len(bodies.radius)
    times = _round_times(
        bodies.position[:, :, None] - bodies.position[:, None],
        bodies.velocity[:, :, None] - bodies.velocity[:, None],
        None if bodies.pull is None else bodies.pull[:, :, None] - bodies.pull[:, None],
        bodies.radius[:, None] + bodies.radius,
        window,
    )
    ordered = jnp.triu(jnp.ones((count, count), bool), 1)[..., None]
    return jnp.where(ordered & bodies.present[:, None] & bodies.present, times, jnp.inf)


def _wall_times(bodies: Bodies, edges: Edges, window: Array) -> Array:
    """A wall is touched at its face, from either side, or at one of its ends."""
    velocity, radius = bodies.velocity[:, :, None], bodies.radius[:, None]
    pull = None if bodies.pull is None else bodies.pull[:, :, None]
    from_start = bodies.position[:, :, None] - edges.start[:, None]
    from_end = bodies.position[:, :, None] - edges.end[:, None]
    along, slack = edges.along[:, None], SLACK * radius

    def foot(times: Array) -> Array:
        """How far along the wall its point next to the disc lies by then."""
        moved = dot(from_start, along) + dot(velocity, along) * times
        return moved if pull is None else moved + 0.5 * dot(pull, along) * times**2

    side = cross(along, from_start)
    away = jnp.where(side >= 0.0, 1.0, -1.0)
    bend = jnp.zeros_like(side) if pull is None else away * cross(along, pull)
    face = fall_to_line(jnp.abs(side) - radius, away * cross(along, velocity), bend)
    at = foot(face)
    face = jnp.where((at >= -slack) & (at <= edges.length + slack), face, jnp.inf)
    start = _round_times(from_start, velocity, pull, radius, window)
    start = jnp.where(foot(start) <= 0.0, start, jnp.inf)
    end = _round_times(from_end, velocity, pull, radius, window)
    end = jnp.where(foot(end) >= edges.length, end, jnp.inf)
    moves = bodies.lightness[:, None] > 0.0
    return jnp.where(moves & edges.present, jnp.minimum(face, jnp.minimum(start, end)), jnp.inf)


def from_wall(point: Float[Array, "2 ..."], edges: Edges) -> Float[Array, "2 ..."]:
    """From the nearest point of a wall to `point`; the fields of `edges` are [2, ...] and [...]."""
    offset = point - edges.start
    return offset - jnp.clip(dot(offset, edges.along), 0.0, edges.length) * edges.along


def _round_times(apart: Array, closing: Array, pull: Array | None, reach: Array, window: Array) -> Array:
    """s until |apart + closing t + pull t^2 / 2| first falls to `reach`.

    Straight motion: the smaller root of a quadratic, whose last term and discriminant are products, not differences of
    squares, which float32 would cancel.
    """
    distance = jnp.sqrt(dot(apart, apart))
    gap = jnp.maximum((distance - reach) * (distance + reach), 0.0)
    rate = dot(apart, closing)
    root = dot(closing, closing) * reach**2 - cross(apart, closing) ** 2
    meets = (rate < 0.0) & ((root >= 0.0) | (gap == 0.0))
    straight = jnp.where(meets, gap / (jnp.sqrt(jnp.maximum(root, 0.0)) - jnp.where(meets, rate, -1.0)), jnp.inf)
    if pull is None:
        return straight
    falls = dot(pull, pull) > 0.0  # two discs fall alike
    return jnp.where(falls, fall_to_circle(apart, closing, pull, reach, window), straight)


def dot(one: Float[Array, "2 ..."], other: Float[Array, "2 ..."]) -> Float[Array, ...]:
    """Scalar product over the first axis."""
    return one[0] * other[0] + one[1] * other[1]


def cross(one: Float[Array, "2 ..."], other: Float[Array, "2 ..."]) -> Float[Array, ...]:
    """one_x other_y - one_y other_x."""
    return one[0] * other[1] - one[1] * other[0]


__all__ = ["SLACK", "Bodies", "Edges", "contact_times", "cross", "dot", "from_wall", "laid_out"]
