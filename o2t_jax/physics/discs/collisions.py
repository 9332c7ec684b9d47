"""The motion of discs from collision to collision, exact but for rounding.

Between collisions discs move straight, or fall under gravity. A collision changes velocities along the line of centres,
or along the normal of a wall, by an impulse of (1 + e) m v_n, m the reduced mass and v_n the speed at which the two
close; contacts have no friction, so that discs do not turn. Where contacts coincide, one is resolved after the other.

With e below 1 infinitely many collisions could happen in a finite time: of a disc that comes to rest on the floor, or
of one caught between two others. So none part more slowly than at `rest_speed`, or than they met where there is no
gravity, which would bring them together again. A disc at rest on the floor thus bounces at `rest_speed` v, to a height
of v^2 / 2 g.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from o2t_jax.errors import UsageError
from o2t_jax.physics.discs.contacts import Bodies, Edges, contact_times, dot, from_wall, laid_out
from o2t_jax.physics.discs.scene import Scene, Track
from o2t_jax.types import Array

MOST_EVENTS = 256
_ALL: Any = (True,) * len(Track._fields)


class _Law(NamedTuple):
    frames: int
    dt: float
    restitution: float
    gravity: float
    rest_speed: float
    most_events: int


class _Progress(NamedTuple):
    """`left` s of the current frame; `events` and `hits` [B, B + 1, N] in it; `frame`, the number of finished ones."""

    position: Array
    velocity: Array
    left: Array
    frame: Array
    events: Array
    hits: Array
    track: Track


def simulate(
    scene: Scene,
    frames: int,
    dt: float,
    *,
    restitution: float = 1.0,
    gravity: float = 0.0,
    rest_speed: float = 0.0,
    most_events: int = MOST_EVENTS,
) -> Track:
    """The motion of `scene`, with batch dimensions or under `jax.vmap`, in `frames` steps of `dt` s, start included.

    Args: `restitution` e, 0 to 1, of all contacts; `gravity` px/s^2, which pulls discs against the second axis (the
    library draws it upwards); `rest_speed` px/s, of the slowest rebound where e is below 1 (see above); `most_events`,
    collisions of one frame beyond which the track ends with `overflow` set.

    Discs of infinite mass and rows not present stay where they are, whatever their velocity.
    Raises: UsageError for a number out of its range.
    """
    if frames < 1 or not dt > 0.0:
        raise UsageError(f"frames={frames}, dt={dt:g}: give at least one frame, of more than 0 s")
    if not 0.0 <= restitution <= 1.0:
        raise UsageError(f"restitution={restitution:g} must lie between 0 and 1")
    law = _Law(frames, dt, restitution, gravity, rest_speed, most_events)

    # Under vmap too it is one loop for the whole batch: else each round would copy the tracks of scenes that are done.
    @custom_vmap
    def run(scene: Scene) -> Track:
        batch = jnp.shape(scene.mass)[:-1]
        size = math.prod(batch)
        track = _simulate(jax.tree.map(lambda leaf: leaf.reshape(size, *leaf.shape[len(batch) :]), scene), law)
        return jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), track)

    @run.def_vmap
    def _(size: int, batched: list[Scene], scene: Scene) -> tuple[Track, Track]:
        def whole(leaf: Array, own: bool) -> Array:
            return leaf if own else jnp.broadcast_to(leaf, (size, *leaf.shape))

        return run(jax.tree.map(whole, scene, batched[0])), Track(*_ALL)

    return run(jax.tree.map(jnp.asarray, scene))


def _simulate(scenes: Scene, law: _Law) -> Track:
    """Tracks of scenes with one batch dimension."""
    bodies, edges = laid_out(scenes, law.gravity)
    size, count = scenes.mass.shape
    zero = jnp.zeros(size, jnp.int32)
    hits = jnp.zeros((count, count + 1, size), jnp.int32)
    track = Track(
        jnp.repeat(scenes.position[:, None], law.frames + 1, axis=1),
        jnp.repeat(jnp.transpose(bodies.velocity, (2, 1, 0))[:, None], law.frames + 1, axis=1),
        jnp.zeros((size, law.frames, count, count + 1), jnp.int32),
        jnp.zeros(size, bool),
    )
    left = jnp.full(size, law.dt, scenes.position.dtype)
    progress = _Progress(bodies.position, bodies.velocity, left, zero, zero, hits, track)
    return jax.lax.while_loop(
        lambda now: jnp.any(now.frame < law.frames), lambda now: _step(now, bodies, edges, law), progress
    ).track


def _step(now: _Progress, bodies: Bodies, edges: Edges, law: _Law) -> _Progress:
    """Each scene to its next collision, or to the frame's end if that comes first."""
    bodies = bodies._replace(position=now.position, velocity=now.velocity)
    times = contact_times(bodies, edges, now.left)
    table = times.reshape(-1, times.shape[-1])
    soonest = jnp.min(table, axis=0)
    ends = soonest >= now.left
    moved = _moved(bodies, jnp.where(ends, now.left, soonest))
    chosen = jnp.argmin(table, axis=0) == jnp.arange(len(table))[:, None]
    velocity, hits = _collided(moved, edges, chosen.reshape(times.shape) & ~ends, law)
    hits = now.hits + hits

    running = now.frame < law.frames
    overflow = running & ~ends & (now.events >= law.most_events)
    row = jnp.where(running & ends, now.frame, law.frames + 1)  # beyond the last: not written
    track = Track(
        _written(now.track.position, row + 1, jnp.transpose(moved.position, (2, 1, 0))),
        _written(now.track.velocity, row + 1, jnp.transpose(velocity, (2, 1, 0))),
        _written(now.track.hits, row, jnp.transpose(hits, (2, 0, 1))),
        now.track.overflow | overflow,
    )
    return _Progress(
        position=moved.position,
        velocity=velocity,
        left=jnp.where(ends, law.dt, now.left - soonest),
        frame=jnp.where(overflow, law.frames, now.frame + ends),
        events=jnp.where(ends, 0, now.events + 1),
        hits=jnp.where(ends, 0, hits),
        track=track,
    )


def _moved(bodies: Bodies, time: Array) -> Bodies:
    """The bodies after `time` [N] s without a collision."""
    position = bodies.position + bodies.velocity * time
    if bodies.pull is None:
        return bodies._replace(position=position)
    position = position + 0.5 * bodies.pull * time**2
    return bodies._replace(position=position, velocity=bodies.velocity + bodies.pull * time)


def _collided(bodies: Bodies, edges: Edges, chosen: Array, law: _Law) -> tuple[Array, Array]:
    """Velocities and hits after the contacts `chosen` [B, B + S, N], at most one a scene."""
    count = len(bodies.radius)
    one, two, wall = jnp.any(chosen, axis=1), jnp.any(chosen[:, :count], axis=0), jnp.any(chosen[:, count:], axis=0)
    point = _picked(bodies.position, one)
    edge = Edges(*(_picked(field, wall) for field in edges[:-1]), present=jnp.any(wall, axis=0))
    off_wall = from_wall(point, edge)
    largest = jnp.max(jnp.abs(off_wall), axis=0)
    # One component is 1, so that an upright wall turns velocities exactly.
    off_wall = off_wall / jnp.where(largest > 0.0, largest, 1.0)
    normal = jnp.where(edge.present, off_wall, point - _picked(bodies.position, two))
    closing = _picked(bodies.velocity, one) - _picked(bodies.velocity, two)

    # No unit vectors: sums are divided by their squares, which loses least energy to rounding.
    square = dot(normal, normal)
    met = -dot(closing, normal)
    part = law.restitution * met
    if law.restitution < 1.0:
        least = law.rest_speed * jnp.sqrt(square)
        part = jnp.maximum(part, least if law.gravity else jnp.minimum(met, least))
    change = (met + part) / jnp.where(square > 0.0, square, 1.0) * normal
    first, second = _picked(bodies.lightness, one), _picked(bodies.lightness, two)
    # The larger share is rounded and the rest is exact: were their sum not 1, energy would drift at every collision.
    larger = jnp.maximum(first, second) / jnp.where(first + second > 0.0, first + second, 1.0)
    own = jnp.where(first >= second, larger, 1.0 - larger)
    share = jnp.where(one, own, 0.0) - jnp.where(two, 1.0 - own, 0.0)
    velocity = bodies.velocity + share * change[:, None]

    pairs = chosen[:, :count].astype(jnp.int32)
    on_wall = jnp.sum(chosen[:, count:], axis=1, dtype=jnp.int32)
    return velocity, jnp.concatenate([pairs + jnp.swapaxes(pairs, 0, 1), on_wall[:, None]], axis=1)


def _picked(values: Array, mask: Array) -> Array:
    """The entries of `values` [..., K, N] at the one true row of `mask` [K, N]; 0 where there is none."""
    return jnp.sum(jnp.where(mask, values, 0), axis=-2)


def _written(rows: Array, at: Array, row: Array) -> Array:
    """`rows` [N, T, ...] with `row` [N, ...] in the places `at` [N], or nowhere where that is beyond T."""
    return jnp.asarray(rows).at[jnp.arange(len(at)), at].set(row, mode="drop", unique_indices=True)


__all__ = ["MOST_EVENTS", "simulate"]
