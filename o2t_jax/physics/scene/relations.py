"""Relations as inequalities of places: by how many metres a layout misses each.

A thing's place is the middle of its footprint and its lowest height. The camera looks along +y: left is -x, in front
is -y. docs/scene.md has the table. All is arithmetic on padded arrays, so that one program plans every scene.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from o2t_jax.physics.scene.description import PREDICATES
from o2t_jax.types import Array

GAP = 0.05  # m between things side by side
REACH = 0.4  # m, the most between things that are next to each other
NEAR = 1.5  # m, the most between the footprints of things that are near
HOVER = 0.2  # m, the least between a thing and one above it
ROOM = 6.0  # m, half side of the floor
WALL = 0.04  # m, thickness of the bottom and walls of hollow things
ON, ABOVE, UNDER, IN, LEFT, RIGHT, FRONT, BEHIND, NEXT, CLOSE = range(len(PREDICATES))


class Problem(NamedTuple):
    """Things padded to N and relations to R. `half` [N, 3] m, `level` [N] m where things stand on it, `there` [N];
    `lifted` [N]: its height follows from a relation, else it stands on the ground. Of relations `subject`, `object`,
    `kind` [R] (a place in `PREDICATES`), `holds` [R] (not padding); `apart` [N, N]: must not overlap."""

    half: Float[Array, "things 3"]
    level: Float[Array, " things"]
    there: Bool[Array, " things"]
    lifted: Bool[Array, " things"]
    subject: Int[Array, " relations"]
    object: Int[Array, " relations"]
    kind: Int[Array, " relations"]
    holds: Bool[Array, " relations"]
    apart: Bool[Array, "things things"]


def misses(
    problem: Problem, place: Float[Array, "things 3"], margin: float
) -> tuple[Float[jax.Array, "relations terms"], Float[jax.Array, "things things"], Float[jax.Array, "things 3"]]:
    """By how many metres each relation, pair and place misses, 0 where it holds with `margin` m to spare.

    Pairs: how deep the boxes about two things overlap, in the direction where it is least. Places: height over the
    ground of what stands there, and how far a thing is outside of the room.
    """
    s, o = problem.subject, problem.object
    d, hs, ho = place[s] - place[o], problem.half[s], problem.half[o]
    away = jnp.abs(d)
    side = away[:, :2] - hs[:, :2] - ho[:, :2]
    over = jnp.maximum(away[:, :2] - 0.8 * ho[:, :2], 0.0)  # its middle lies over the other's footprint
    within = jnp.maximum(away[:, :2] - jnp.maximum(ho[:, :2] - hs[:, :2] - WALL, 0.0), 0.0)
    between = jnp.max(side, axis=1)
    least, zero = GAP + margin, jnp.zeros_like(between)

    def flat(x: jax.Array, z: jax.Array) -> jax.Array:
        return jnp.concatenate([x, z[:, None]], axis=1)

    def one(x: jax.Array) -> jax.Array:
        return jnp.stack([jnp.maximum(x, 0.0), zero, zero], axis=1)

    def beside(axis: int, sign: float) -> jax.Array:
        return one(sign * d[:, axis] + hs[:, axis] + ho[:, axis] + least)

    terms = {
        ON: flat(over, d[:, 2] - problem.level[o]),
        ABOVE: flat(over, jnp.maximum(2.0 * ho[:, 2] + HOVER + margin - d[:, 2], 0.0)),
        UNDER: flat(within, d[:, 2]),
        IN: flat(within, d[:, 2] - WALL),
        LEFT: beside(0, 1.0),
        RIGHT: beside(0, -1.0),
        FRONT: beside(1, 1.0),
        BEHIND: beside(1, -1.0),
        NEXT: one(jnp.maximum(between + margin - REACH, least - between)),
        CLOSE: one(between + margin - NEAR),
    }
    stacked = jnp.stack([jnp.broadcast_to(terms[k], (*s.shape, 3)) for k in range(len(PREDICATES))])
    missed = jnp.take_along_axis(stacked, problem.kind[None, :, None], axis=0)[0] * problem.holds[:, None]
    centre = place + problem.half * jnp.array([0.0, 0.0, 1.0])
    depth = problem.half[:, None] + problem.half[None] - jnp.abs(centre[:, None] - centre[None])
    overlap = jnp.maximum(jnp.min(depth, axis=-1) + margin, 0.0) * problem.apart
    outside = jnp.maximum(jnp.abs(place[:, :2]) + problem.half[:, :2] + margin - ROOM, 0.0)
    ground = jnp.where(problem.lifted, jnp.minimum(place[:, 2], 0.0), place[:, 2])
    return missed, overlap, flat(outside, ground) * problem.there[:, None]


__all__ = ["PREDICATES", "Problem", "misses"]
