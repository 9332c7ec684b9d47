"""What a model of discs sees: each disc's own numbers, those of its context, and which of them matter.

Every disc is in turn the focus; the other discs, and walls where they are seen as objects, are its context. An object's
numbers are [x, y, vx, vy, mass]: lengths over the room's larger side (one unit for both axes, so that angles stay what
they are) and velocities over the speed limit, as in the document that system `discs` follows.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Bool, Float

from o2t_jax.models.discs import Frames
from o2t_jax.physics.discs.scene import Walls
from o2t_jax.types import Array

STATIC_MASS = 0.0
"""What a network sees of an infinite mass: a number that no disc has (the document's have 1, 5, 25) and not a large
one, beside which places would hardly show."""


class Seen(NamedTuple):
    """Inputs of a network: for each of B discs its own F numbers in both frames, and those of C context objects.

    Attributes: `mask` [N, B, C], False for context that must not matter; `distance` [N, B, C] in the last frame from
    the disc's centre to the object's centre or the wall's closest point, in the world's unit.
    """

    own: Float[Array, "scenes discs numbers"]
    context: Float[Array, "scenes discs context numbers"]
    mask: Bool[Array, "scenes discs context"]
    distance: Float[Array, "scenes discs context"]

    def pairs(self) -> Float[Array, "scenes discs context both"]:
        """The focus' numbers and then the context's, for each pair."""
        return jnp.concatenate([jnp.broadcast_to(self.own[:, :, None], self.context.shape), self.context], axis=-1)


class WallsSeen(NamedTuple):
    """Each wall as each disc sees it.

    Attributes: `point`, the wall's closest to the disc's centre; `vector`, from the centre to it, and its length
    `distance`; `approach`, the disc's velocity towards it (negative: away; 0 at distance 0).
    """

    point: Float[Array, "scenes discs walls 2"]
    vector: Float[Array, "scenes discs walls 2"]
    distance: Float[Array, "scenes discs walls"]
    approach: Float[Array, "scenes discs walls"]


def length(vector: Float[Array, "*batch 2"]) -> Float[Array, "*batch"]:
    """Euclidean length, whose gradient at 0 is 0 (that of a square root is infinite)."""
    square = jnp.sum(jnp.square(vector), axis=-1)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def cleaned(frames: Frames) -> Frames:
    """The frames with finite numbers everywhere: 0 in rows that are not present, `STATIC_MASS` for infinite masses."""
    here, seen = frames.present, frames.walls.present
    mass = jnp.where(jnp.isinf(frames.mass), STATIC_MASS, frames.mass)
    return frames._replace(
        position=jnp.where(here[:, None, :, None], frames.position, 0.0),
        velocity=jnp.where(here[:, None, :, None], frames.velocity, 0.0),
        mass=jnp.where(here, mass, 0.0),
        radius=jnp.where(here, frames.radius, 0.0),
        walls=Walls(jnp.where(seen[..., None, None], frames.walls.ends, 0.0), seen),
    )


def others(x: Float[Array, "scenes discs *rest"]) -> Float[Array, "scenes discs others *rest"]:
    """The rows of the B - 1 other discs for each of B discs: entry [n, i, k] is row i + k + 1, counted round.

    Slices of the doubled array: no gather, whose gradient CPUs do slowly, and no work for a disc with itself.
    """
    count = x.shape[1]
    doubled = jnp.concatenate([x, x], axis=1)[:, :, None]
    return jnp.concatenate([doubled[:, k : k + count] for k in range(1, count)] or [doubled[:, :count, :0]], axis=2)


def pair_distances(position: Float[Array, "scenes discs 2"]) -> Float[Array, "scenes discs others"]:
    """Distances of each disc's centre to those of its `others`; gradients are finite where one is 0."""
    return length(others(position) - position[:, :, None])


def see_walls(
    position: Float[Array, "scenes discs 2"], velocity: Float[Array, "scenes discs 2"], walls: Walls
) -> WallsSeen:
    """See `WallsSeen`. Rows that only fill the shape must have finite ends (see `cleaned`); a wall may be a point."""
    start, along = walls.ends[:, None, :, 0], walls.ends[:, None, :, 1] - walls.ends[:, None, :, 0]
    square = jnp.sum(jnp.square(along), axis=-1)
    part = jnp.sum((position[:, :, None] - start) * along, axis=-1) / jnp.where(square > 0, square, 1.0)
    point = start + jnp.clip(part, 0.0, 1.0)[..., None] * along
    vector = point - position[:, :, None]
    distance = length(vector)
    normal = vector / jnp.where(distance > 0, distance, 1.0)[..., None]
    return WallsSeen(point, vector, distance, jnp.sum(velocity[:, :, None] * normal, axis=-1))


def near(
    distance: Float[Array, "scenes discs context"], radius: Float[Array, "scenes discs"], neighbourhood: float
) -> Bool[Array, "scenes discs context"]:
    """Where a distance is at most `neighbourhood` radii of the disc itself; everywhere if `neighbourhood` is 0."""
    return distance <= neighbourhood * radius[..., None] if neighbourhood else jnp.ones(distance.shape, bool)


def see(
    frames: Frames,
    size: tuple[float, float],
    speed: float,
    *,
    neighbourhood: float = 0.0,
    relative: bool = False,
    walls: bool = False,
) -> Seen:
    """The inputs of a network from frames that are `cleaned`.

    With `walls`, each wall is one more context object, after the discs: its point closest to the focus in the last
    frame, at rest in both, of infinite mass; all objects then have a sixth number, 1 for walls and 0 for discs. With
    `relative`, places and velocities of context are differences from the focus in the same frame, and its own places
    differences from its last. Context matters if it is present and at most `neighbourhood` radii of the focus away in
    the last frame (0: at any distance).
    """
    unit, mass = max(size), jnp.stack([frames.mass] * 2, axis=1)[..., None]
    discs = jnp.concatenate([frames.position / unit, frames.velocity / speed, mass], axis=-1)
    discs = jnp.moveaxis(flagged(discs, 0.0) if walls else discs, 1, 2)
    context, mask, distance = others(discs), others(frames.present), pair_distances(frames.position[:, 1])
    if walls:
        found = see_walls(frames.position[:, 1], frames.velocity[:, 1], frames.walls)
        present = jnp.broadcast_to(frames.walls.present[:, None], found.distance.shape)
        context = jnp.concatenate([context, wall_numbers(found.point / unit)], axis=2)
        mask, distance = (jnp.concatenate(pair, axis=2) for pair in ((mask, present), (distance, found.distance)))
    if relative:
        count = discs.shape[-1]
        context -= discs[:, :, None] * _first(4, count)
        discs -= discs[:, :, 1:] * _first(2, count)
    return Seen(_flat(discs), _flat(context), mask & near(distance, frames.radius, neighbourhood), distance)


def wall_numbers(point: Float[Array, "scenes discs walls 2"]) -> Float[Array, "scenes discs walls 2 6"]:
    """[x, y, 0, 0, mass, 1] in both frames of walls whose closest points are `point`, over the unit of length."""
    rest = jnp.broadcast_to(jnp.asarray([0.0, 0.0, STATIC_MASS, 1.0]), (*point.shape[:-1], 4))
    return jnp.stack([jnp.concatenate([point, rest], axis=-1)] * 2, axis=-2)


def flagged(x: Float[Array, "*batch numbers"], flag: float) -> Float[Array, "*batch more"]:
    """`x` with `flag` as one more number."""
    return jnp.concatenate([x, jnp.full((*x.shape[:-1], 1), flag, x.dtype)], axis=-1)


def _first(count: int, of: int) -> Array:
    """1 for the first `count` numbers of an object, 0 for the others."""
    return jnp.where(jnp.arange(of) < count, 1.0, 0.0)


def _flat(x: Float[Array, "*batch 2 numbers"]) -> Float[Array, "*batch both"]:
    """The numbers of both frames side by side."""
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


__all__ = [
    "STATIC_MASS",
    "Seen",
    "WallsSeen",
    "cleaned",
    "flagged",
    "length",
    "near",
    "others",
    "pair_distances",
    "see",
    "see_walls",
    "wall_numbers",
]
