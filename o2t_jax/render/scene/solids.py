"""Where rays hit capsules (a sphere is one of length 0) and boxes. Any number of rays, one solid or one by ray.

Vectors have their components first ([3, ...]): a compiler makes one loop over rays of it. A miss is `FAR`.
Source: closed forms of the quadratic (capsule) and of slabs (box; Kay & Kajiya 1986).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.types import Array

FAR = 1e6  # m
_TINY = 1e-9


class Solid(NamedTuple):
    """One solid: its `centre` [3] m, its axes as the columns of `turn` [3, 3], its `size` [3]; each may have [..., R].

    A capsule's size is (radius, half length along its z axis, 0), a box's its half extents, in m.
    """

    centre: Array
    turn: Array
    size: Array


def dot(a: Sequence[Any] | Array, b: Sequence[Any] | Array) -> jax.Array:
    """Scalar products of vectors [3, ...]."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def capsule_hit(solid: Solid, origin: Float[Array, "3 rays"], ray: Float[Array, "3 rays"]) -> jax.Array:
    """Distance m [*rays] along unit rays to a capsule. From within it is missed."""
    axis = solid.turn[:, 2]
    radius, half = solid.size[0], solid.size[1]
    to = [origin[i] - solid.centre[i] for i in range(3)]
    ray_z, to_z, to_ray, to_to = dot(ray, axis), dot(to, axis), dot(to, ray), dot(to, to)
    # The cylinder: what is across the axis.
    at = _first(to_ray - to_z * ray_z, jnp.maximum(1.0 - ray_z * ray_z, _TINY), to_to - to_z * to_z - radius * radius)
    at = jnp.where(jnp.abs(to_z + at * ray_z) <= half, at, FAR)
    for end in (half, -half):
        from_end = to_to - 2.0 * end * to_z + end * end - radius * radius
        at = jnp.minimum(at, _first(to_ray - end * ray_z, 1.0, from_end))
    return at


def capsule_normal(solid: Solid, point: Float[Array, "3 rays"]) -> Float[jax.Array, "3 rays"]:
    """Outward normals of a capsule's surface at its points."""
    axis = solid.turn[:, 2]
    to = jnp.stack([point[i] - solid.centre[i] for i in range(3)])
    along = jnp.clip(dot(to, axis), -solid.size[1], solid.size[1])
    out = jnp.stack([to[i] - along * axis[i] for i in range(3)])
    return out / jnp.sqrt(dot(out, out) + _TINY)


def box_hit(solid: Solid, origin: Float[Array, "3 rays"], ray: Float[Array, "3 rays"]) -> jax.Array:
    """Distance m [*rays] along unit rays to a box. From within it is missed."""
    to = [origin[i] - solid.centre[i] for i in range(3)]
    enter, leave = -FAR, FAR
    for i in range(3):
        way = dot(ray, solid.turn[:, i])
        way = jnp.where(jnp.abs(way) < _TINY, _TINY, way)
        middle, reach = -dot(to, solid.turn[:, i]) / way, jnp.abs(solid.size[i] / way)
        enter, leave = jnp.maximum(enter, middle - reach), jnp.minimum(leave, middle + reach)
    return jnp.where((enter <= leave) & (enter > 0.0), enter, FAR)


def box_normal(solid: Solid, point: Float[Array, "3 rays"]) -> Float[jax.Array, "3 rays"]:
    """Outward normals of a box's surface at its points: of the face that is nearest."""
    to = [point[i] - solid.centre[i] for i in range(3)]
    local = [dot(to, solid.turn[:, i]) for i in range(3)]
    out = jnp.stack([jnp.abs(local[i]) - solid.size[i] for i in range(3)])
    face = jnp.argmax(out, axis=0)
    sign = [jnp.where(face == i, jnp.sign(local[i]), 0.0) for i in range(3)]
    return jnp.stack([sum((sign[i] * solid.turn[k, i] for i in range(3)), jnp.zeros(())) for k in range(3)])


def _first(b: jax.Array, a: jax.Array | float, c: jax.Array) -> jax.Array:
    """The smaller root of a t^2 + 2 b t + c = 0 where it is above 0, else `FAR`."""
    square = b * b - a * c
    at = (-b - jnp.sqrt(jnp.maximum(square, _TINY))) / a
    return jnp.where((square > 0.0) & (at > 0.0), at, FAR)


__all__ = ["FAR", "Solid", "box_hit", "box_normal", "capsule_hit", "capsule_normal", "dot"]
