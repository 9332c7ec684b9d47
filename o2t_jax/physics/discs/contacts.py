"""When discs in straight motion next touch each other, or a wall.

A contact counts only where the gap closes. A pair that rounding left slightly inside each other and that closes on is
in contact now, and one that opens is not, so no contact is lost and none is counted twice.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.physics.discs.scene import Scene, Walls
from o2t_jax.types import Array

SLACK = 1e-4
"""By how much of its radius a disc's contact with a wall's face may lie beyond the wall's end, so that none falls
between face and end by rounding; a disc is turned by as many rad at most."""


def movable(scene: Scene) -> Array:
    """Which discs [..., B] move: present, and of finite mass."""
    return scene.present & jnp.isfinite(scene.mass)


def pair_times(scene: Scene) -> Float[Array, "discs discs"]:
    """s until discs i and j of one scene touch, for i < j; infinite where they do not."""
    apart = scene.position[:, None] - scene.position
    closing = scene.velocity[:, None] - scene.velocity
    reach = scene.radius[:, None] + scene.radius
    times = _round_times(apart, closing, reach)
    first, second = jnp.arange(len(reach))[:, None], jnp.arange(len(reach))
    valid = (first < second) & scene.present[:, None] & scene.present
    return jnp.where(valid, times, jnp.inf)


def wall_times(scene: Scene) -> Float[Array, "discs walls"]:
    """s until disc i of one scene touches wall k, its face from either side or one of its ends; infinite where not."""
    along, length = directions(scene.walls)
    from_start = scene.position[:, None] - scene.walls.ends[:, 0]
    from_end = scene.position[:, None] - scene.walls.ends[:, 1]
    radius, velocity = scene.radius[:, None], scene.velocity[:, None]
    slack = SLACK * radius
    ahead, drift = _dot(from_start, along), _dot(velocity, along)

    face = _face_times(_cross(along, from_start), _cross(along, velocity), radius)
    foot = ahead + drift * face
    face = jnp.where((foot >= -slack) & (foot <= length + slack), face, jnp.inf)
    start = _round_times(from_start, velocity, radius)
    start = jnp.where(ahead + drift * start <= 0.0, start, jnp.inf)
    end = _round_times(from_end, velocity, radius)
    end = jnp.where(ahead + drift * end >= length, end, jnp.inf)

    times = jnp.minimum(face, jnp.minimum(start, end))
    return jnp.where(movable(scene)[:, None] & scene.walls.present, times, jnp.inf)


def directions(walls: Walls) -> tuple[Float[Array, "*batch walls 2"], Float[Array, "*batch walls"]]:
    """Unit vectors along the walls, and their lengths."""
    span = walls.ends[..., 1, :] - walls.ends[..., 0, :]
    length = jnp.sqrt(_dot(span, span))
    return span / jnp.maximum(length, jnp.finfo(length.dtype).tiny)[..., None], length


def from_wall(point: Array, ends: Array) -> Array:
    """Vectors [..., 2] from the nearest point of the segment `ends` [..., 2, 2] to `point` [..., 2]."""
    along, length = directions(Walls(ends, jnp.ones(ends.shape[:-2], bool)))
    offset = point - ends[..., 0, :]
    foot = jnp.clip(_dot(offset, along), 0.0, length)
    return offset - foot[..., None] * along


def _round_times(apart: Array, closing: Array, reach: Array) -> Array:
    """s until |apart + closing t| first falls to `reach`: the smaller root of a quadratic.

    Both its last term and its discriminant are products, not differences of squares, which float32 would cancel.
    """
    distance = jnp.sqrt(_dot(apart, apart))
    gap = jnp.maximum((distance - reach) * (distance + reach), 0.0)
    rate = _dot(apart, closing)
    root = _dot(closing, closing) * reach**2 - _cross(apart, closing) ** 2
    meets = (rate < 0.0) & ((root >= 0.0) | (gap == 0.0))
    return jnp.where(meets, gap / (jnp.sqrt(jnp.maximum(root, 0.0)) - jnp.where(meets, rate, -1.0)), jnp.inf)


def _face_times(side: Array, speed: Array, radius: Array) -> Array:
    """s until |side + speed t| first falls to `radius`."""
    gap = jnp.maximum(jnp.abs(side) - radius, 0.0)
    rate = jnp.where(side >= 0.0, speed, -speed)
    return jnp.where(rate < 0.0, gap / -jnp.where(rate < 0.0, rate, -1.0), jnp.inf)


def _dot(one: Array, other: Array) -> Array:
    return jnp.sum(one * other, axis=-1)


def _cross(one: Array, other: Array) -> Array:
    return one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]


__all__ = ["SLACK", "directions", "from_wall", "movable", "pair_times", "wall_times"]
