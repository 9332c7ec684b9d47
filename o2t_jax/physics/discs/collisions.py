"""The motion of discs from collision to collision, exact but for rounding.

Between collisions discs move straight. A collision changes velocities along the line of centres, or along the normal of
a wall, by an impulse of (1 + e) m v_n, m the reduced mass and v_n the speed at which the two close; contacts have no
friction, so that discs do not turn. Where contacts coincide, one is resolved after the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.physics.discs.contacts import from_wall, movable, pair_times, wall_times
from o2t_jax.physics.discs.scene import Scene, Track
from o2t_jax.types import Array

MOST_EVENTS = 64


class _Progress(NamedTuple):
    """`left` s of the current frame; `events` and `hits` [B, B + 1] in it; `frame`, the number of finished ones."""

    position: Array
    velocity: Array
    left: Array
    frame: Array
    events: Array
    hits: Array
    track: Track


def simulate(scene: Scene, frames: int, dt: Any, *, restitution: Any = 1.0, most_events: int = MOST_EVENTS) -> Track:
    """The motion of `scene` in `frames` steps of `dt` s, the start included.

    Args: a `scene` with batch dimensions is faster than `jax.vmap`, and gives the same; `restitution` e, 0 to 1, of all
    contacts; `most_events`, collisions in one frame beyond which the track ends with `overflow` set.

    Discs of infinite mass and rows not present stay where they are, whatever their velocity.
    """
    batch = scene.mass.shape[:-1]
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[len(batch) :]), scene)
    progress = jax.vmap(lambda one: _start(one, frames, dt))(flat)

    def step(one: Scene, now: _Progress) -> _Progress:
        return _step(one, now, frames, dt, restitution, most_events)

    # One loop for the whole batch: under vmap, every round would copy the tracks of the scenes that are done.
    progress = jax.lax.while_loop(
        lambda now: jnp.any(now.frame < frames), lambda now: jax.vmap(step)(flat, now), progress
    )
    return jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), progress.track)


def _start(scene: Scene, frames: int, dt: Any) -> _Progress:
    velocity = jnp.where(movable(scene)[:, None], scene.velocity, 0.0)
    count = len(scene.mass)
    hits = jnp.zeros((count, count + 1), jnp.int32)
    track = Track(
        jnp.broadcast_to(scene.position, (frames + 1, count, 2)),
        jnp.broadcast_to(velocity, (frames + 1, count, 2)),
        jnp.broadcast_to(hits, (frames, *hits.shape)),
        jnp.zeros((), bool),
    )
    zero = jnp.zeros((), jnp.int32)
    return _Progress(scene.position, velocity, jnp.asarray(dt, velocity.dtype), zero, zero, hits, track)


def _step(scene: Scene, now: _Progress, frames: int, dt: Any, restitution: Any, most_events: int) -> _Progress:
    """To the next collision, or to the frame's end if that comes first."""
    there = scene._replace(position=now.position, velocity=now.velocity)
    times = jnp.concatenate([pair_times(there), wall_times(there)], axis=1)
    chosen = jnp.argmin(times)
    until = jnp.min(times)
    ends = until >= now.left
    position = now.position + jnp.where(ends, now.left, until) * now.velocity
    velocity, hits = _collide(there._replace(position=position), chosen, restitution)
    velocity = jnp.where(ends, now.velocity, velocity)
    hits = jnp.where(ends, now.hits, now.hits + hits)

    running = now.frame < frames
    overflow = running & ~ends & (now.events >= most_events)
    # Rows beyond the last are not written.
    row = jnp.where(running & ends, now.frame, frames)
    position_row = jnp.where(running & ends, now.frame + 1, frames + 1)
    track = Track(
        _with_row(now.track.position, position_row, position),
        _with_row(now.track.velocity, position_row, velocity),
        _with_row(now.track.hits, row, hits),
        now.track.overflow | overflow,
    )
    return _Progress(
        position,
        velocity,
        jnp.where(ends, jnp.asarray(dt, until.dtype), now.left - until),
        jnp.where(overflow, frames, jnp.where(ends, now.frame + 1, now.frame)),
        jnp.where(ends, 0, now.events + 1),
        jnp.where(ends, 0, hits),
        track,
    )


def _with_row(rows: Array, at: Array, row: Array) -> Array:
    return jnp.asarray(rows).at[at].set(row, mode="drop")


def _collide(scene: Scene, chosen: Array, restitution: Any) -> tuple[Array, Array]:
    """Velocities after contact `chosen`, an entry of the table of times [B, B + S] row by row; and whom it hits."""
    count, walls = len(scene.mass), len(scene.walls.present)
    first, second = jnp.divmod(chosen, count + walls)
    on_wall = second >= count
    other, wall = jnp.minimum(second, count - 1), jnp.maximum(second - count, 0)

    point = scene.position[first]
    normal = point - scene.position[other]
    if walls:
        normal = jnp.where(on_wall, from_wall(point, scene.walls.ends[wall]), normal)
    lightness = jnp.where(movable(scene), 1.0 / scene.mass, 0.0)
    one, two = lightness[first], jnp.where(on_wall, 0.0, lightness[other])
    closing = scene.velocity[first] - jnp.where(on_wall, 0.0, scene.velocity[other])
    size = jnp.sum(normal * normal)
    # The normal is not made a unit vector: dividing by its square loses the least energy to rounding.
    change = -(1.0 + restitution) * jnp.sum(closing * normal) / jnp.where(size > 0.0, size, 1.0) * normal
    total = jnp.where(one + two > 0.0, one + two, 1.0)
    velocity = jnp.asarray(scene.velocity).at[first].add(one / total * change).at[other].add(-two / total * change)
    partner = jnp.where(on_wall, count, other)
    hits = jnp.zeros((count, count + 1), jnp.int32).at[first, partner].add(1)
    return velocity, hits.at[other, first].add(jnp.where(on_wall, 0, 1))


__all__ = ["MOST_EVENTS", "simulate"]
