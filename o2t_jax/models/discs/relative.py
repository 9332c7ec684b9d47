"""A model of relative geometry: impulses along the line of centres, one contact after the other.

It is told geometry: how near two bodies come within the frame if both move straight on, and when and where they would
touch. It is not told that anything happens there: a network learns whether, and how strongly, they push each other.
An impulse acts on both bodies alike, so momentum is kept by construction; energy is not.
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from o2t_jax.models.discs import Frames, Step
from o2t_jax.models.layers import MLP, Dense
from o2t_jax.physics.discs.scene import Walls

_SCALES = (1.0, 10.0, 100.0, 1000.0)  # a thousandth of a frame's way decides whether two bodies meet in it
_NEWTON = 3  # steps to the time of touching; the gap is convex in time, so they approach it from before
_MOST_RATIO = 6.0  # log of the largest ratio of masses that can be told from a wall's
_ALIKE = 1e-4  # times (s) and directions that differ less are of the same contact
_TINY = 1e-6


class Relative(nn.Module):
    """See the module. Takes any number of discs and walls; its result moves and turns with the scene.

    Attributes: `dt` s, `size`, `speed`, the world's; `widths`, hidden layers of the network; `rounds` of messages, all
    by the same network: in each a body acts on the first that it meets, so that it can be hit as often in a frame;
    `neighbourhood`, in mean radii, beyond which bodies do not act on each other (0: no limit); `dtype` of the network,
    float32 if None.
    """

    dt: float = 0.1
    size: tuple[float, float] = (800.0, 600.0)
    speed: float = 60.0
    widths: tuple[int, ...] = (64, 64)
    rounds: int = 2
    neighbourhood: float = 0.0
    dtype: str | None = None

    @nn.compact
    def __call__(self, frames: Frames, *, train: bool = False) -> Step:
        """The next frame. `train` changes nothing: there is no dropout."""
        position, velocity = jnp.asarray(frames.position[:, 1]), jnp.asarray(frames.velocity[:, 1])
        bodies, since = Bodies.of(frames), jnp.zeros(position.shape[:2])
        act = Impulses(self.dt, self.speed, self.widths, self.neighbourhood, self.dtype, name="impulses")
        for _ in range(self.rounds):
            times, impulses, touched = act(position, velocity, since, bodies)
            change, shift = bodies.shared(impulses, times)
            # The frame's start from which a straight motion with the new velocity leads to the same end.
            position, velocity = position - shift, velocity + change
            since = bodies.latest(times, touched, since)
        return Step(position + self.dt * velocity, velocity)


class Contact(NamedTuple):
    """Possible contacts at some time: gap [N, K], and the unit vector [N, K, 2] from the first body to the second."""

    gap: Float[jax.Array, "scenes contacts"]
    normal: Float[jax.Array, "scenes contacts 2"]


class Bodies(NamedTuple):
    """The possible contacts of N scenes: all pairs of B discs, then each disc with each of S walls; K in all.

    Attributes: `first` and `second` [K], numbers of discs, `second` only of the P pairs; `inverse` [N, B], inverse
    masses, 0 of obstacles; `reach` [N, K], the distance of contact; `allowed` [N, K]; `walls`, theirs.
    """

    first: np.ndarray
    second: np.ndarray
    inverse: Float[jax.Array, "scenes discs"]
    reach: Float[jax.Array, "scenes contacts"]
    allowed: Bool[jax.Array, "scenes contacts"]
    walls: Walls

    @classmethod
    def of(cls, frames: Frames) -> Bodies:
        """Those of some frames."""
        mass, radius, present = (jnp.asarray(x) for x in (frames.mass, frames.radius, frames.present))
        discs, walls = mass.shape[1], frames.walls.present.shape[1]
        first, second = np.triu_indices(discs, 1)
        inverse = jnp.where(present & jnp.isfinite(mass), 1.0 / mass, 0.0)
        with_walls = np.repeat(np.arange(discs), walls)
        reach = jnp.concatenate([radius[:, first] + radius[:, second], radius[:, with_walls]], axis=1)
        pairs = present[:, first] & present[:, second] & (inverse[:, first] + inverse[:, second] > 0)
        wall_there = jnp.tile(jnp.asarray(frames.walls.present), (1, discs)) & (inverse[:, with_walls] > 0)
        allowed = jnp.concatenate([pairs, wall_there], axis=1)
        return cls(np.concatenate([first, with_walls]), second, inverse, reach, allowed, frames.walls)

    def relative_velocity(self, velocity: jax.Array) -> jax.Array:
        """Of the first body to the second [N, K, 2]; walls rest."""
        moving = velocity[:, self.first]
        return moving.at[:, : len(self.second)].add(-velocity[:, self.second])

    def at(self, position: jax.Array, velocity: jax.Array, time: jax.Array) -> Contact:
        """The contacts after `time` [N, K] s of straight motion."""
        pairs = len(self.second)
        place = position[:, self.first] + velocity[:, self.first] * time[..., None]
        other = position[:, self.second] + velocity[:, self.second] * time[:, :pairs, None]
        nearest = nearest_points(self.walls, place[:, pairs:])
        apart = jnp.concatenate([other, nearest], axis=1) - place
        distance = _length(apart)
        return Contact(distance - self.reach, apart / (distance[..., None] + _TINY))

    def nearest_time(self, position: jax.Array, velocity: jax.Array, since: jax.Array, dt: float) -> jax.Array:
        """When from `since` [N, K] to `dt` s two bodies, or a body and a wall, come nearest in straight motion."""
        pairs, discs = len(self.second), position.shape[1]
        of_pairs = _passing(
            position[:, self.second] - position[:, self.first[:pairs]], self.relative_velocity(velocity)[:, :pairs]
        )
        start, end = (jnp.tile(jnp.asarray(self.walls.ends)[:, :, i], (1, discs, 1)) for i in (0, 1))
        place, moving = position[:, self.first[pairs:]], velocity[:, self.first[pairs:]]
        # A wall's face is nearest at the first time or the last, its ends where they are passed.
        of_walls = [jnp.zeros(place.shape[:2]), jnp.full(place.shape[:2], dt)]
        of_walls += [_passing(corner - place, moving) for corner in (start, end)]
        times = [jnp.clip(jnp.concatenate([of_pairs, x], axis=1), since, dt) for x in of_walls]
        best = jnp.argmin(jnp.stack([self.at(position, velocity, x).gap for x in times]), axis=0)
        return jnp.take_along_axis(jnp.stack(times), best[None], axis=0)[0]

    def touching(
        self, position: jax.Array, velocity: jax.Array, since: jax.Array, latest: jax.Array
    ) -> tuple[jax.Array, Contact]:
        """When [N, K] from `since` to `latest` straight motion closes the gap, and the contact then."""
        moving, time = self.relative_velocity(velocity), since
        contact = self.at(position, velocity, time)
        for _ in range(_NEWTON):
            approach = jnp.sum(moving * contact.normal, axis=-1)
            later = time + contact.gap / jnp.maximum(approach, _TINY)
            time = jnp.clip(jnp.where(approach > 0, later, latest), since, latest)
            contact = self.at(position, velocity, time)
        return time, contact

    def of_both(self, of_bodies: jax.Array) -> jax.Array:
        """The later [N, K] of times [N, B] of both bodies of each contact."""
        both = of_bodies[:, self.first]
        return both.at[:, : len(self.second)].max(of_bodies[:, self.second])

    def latest(self, times: jax.Array, touched: jax.Array, since: jax.Array) -> jax.Array:
        """`since` [N, B], or the last of the `times` [N, K] at which the body has `touched` something."""
        pairs, there = len(self.second), jnp.where(touched, times, 0.0)
        return since.at[:, self.first].max(there).at[:, self.second].max(there[:, :pairs])

    def ratio(self) -> jax.Array:
        """|log| of the ratio of masses [N, K], at most that of a wall."""
        log = jnp.where(self.inverse > 0, -jnp.log(jnp.maximum(self.inverse, _TINY)), jnp.inf)
        apart = jnp.full(self.reach.shape, _MOST_RATIO)
        pairs = jnp.nan_to_num(
            jnp.abs(log[:, self.first[: len(self.second)]] - log[:, self.second]), posinf=_MOST_RATIO
        )
        return apart.at[:, : len(self.second)].set(jnp.clip(pairs, 0.0, _MOST_RATIO))

    def reduced(self) -> jax.Array:
        """Reduced masses [N, K]; 0 where nothing can move."""
        inverse = self.inverse[:, self.first]
        inverse = inverse.at[:, : len(self.second)].add(self.inverse[:, self.second])
        return jnp.where(inverse > 0, 1.0 / jnp.where(inverse > 0, inverse, 1.0), 0.0)

    def first_of_all(self, times: jax.Array, active: jax.Array) -> jax.Array:
        """Contacts [N, K] before which neither body has an `active` one, by their `times` [N, K]."""
        pairs, later = len(self.second), jnp.where(active, times, jnp.inf)
        earliest = jnp.full(self.inverse.shape, jnp.inf).at[:, self.first].min(later)
        earliest = earliest.at[:, self.second].min(later[:, :pairs])
        free = times <= earliest[:, self.first]
        return free.at[:, :pairs].set(free[:, :pairs] & (times[:, :pairs] <= earliest[:, self.second]))

    def shared(self, impulses: jax.Array, times: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Changes of velocity [N, B, 2] by impulses [N, K, 2] on the first bodies, and of velocity times time."""

        def added(x: jax.Array) -> jax.Array:
            pairs = len(self.second)
            total = jnp.zeros((*self.inverse.shape, 2)).at[:, self.first].add(x)
            return self.inverse[..., None] * total.at[:, self.second].add(-x[:, :pairs])

        return added(impulses), added(impulses * times[..., None])


class Impulses(nn.Module):
    """Of all possible contacts from `since` on: times [N, K] s, impulses [N, K, 2] on the first bodies, which touch."""

    dt: float
    speed: float
    widths: tuple[int, ...]
    neighbourhood: float
    dtype: str | None

    @nn.compact
    def __call__(
        self, position: jax.Array, velocity: jax.Array, since: jax.Array, bodies: Bodies
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """`position` and `velocity` [N, B, 2] at the frame's start, `since` [N, B] s after it."""
        way, moving, begin = self.speed * self.dt, bodies.relative_velocity(velocity), bodies.of_both(since)
        nearest = bodies.nearest_time(position, velocity, begin, self.dt)
        least = bodies.at(position, velocity, nearest).gap
        time, there = bodies.touching(position, velocity, begin, nearest)
        approach = jnp.sum(moving * there.normal, axis=-1) / self.speed
        slide = (moving[..., 0] * there.normal[..., 1] - moving[..., 1] * there.normal[..., 0]) / self.speed
        gaps = [jnp.clip(least * scale / way, -1.0, 1.0) for scale in _SCALES]
        seen = jnp.stack([*gaps, approach, jnp.abs(slide), bodies.ratio() / _MOST_RATIO], axis=-1)
        dtype = self.dtype and jnp.dtype(self.dtype)
        # What is proportional to an input needs no hidden unit.
        found = MLP((*self.widths, 2), dtype=dtype, name="network")(seen) + Dense(2, dtype=dtype, name="linear")(seen)
        gate, size = jnp.moveaxis(found.astype(jnp.float32), -1, 0)
        allowed = bodies.allowed & ~_repeated(bodies, time, there)
        if self.neighbourhood:
            apart = bodies.at(position, velocity, jnp.zeros_like(time)).gap + bodies.reach
            allowed &= apart <= self.neighbourhood * bodies.reach / 2
        # A contact waits for those that straight motion reaches before it: its turn comes in a later round.
        meets = allowed & (least < 0) & (approach > 0)
        acts = allowed & bodies.first_of_all(time, meets)
        strength = jnp.where(acts, nn.sigmoid(gate) * size, 0.0)
        return time, -(self.speed * bodies.reduced() * strength)[..., None] * there.normal, acts & meets


def nearest_points(walls: Walls, place: jax.Array) -> jax.Array:
    """The points [N, B S, 2] of the walls that are nearest to places [N, B S, 2], S walls to each of B discs."""
    discs = place.shape[1] // max(walls.present.shape[1], 1)
    start, end = (jnp.tile(jnp.asarray(walls.ends)[:, :, i], (1, discs, 1)) for i in (0, 1))
    along = end - start
    square = jnp.maximum(jnp.sum(along * along, axis=-1), _TINY)
    share = jnp.sum((place - start) * along, axis=-1) / square
    inner = start + jnp.clip(share, 0.0, 1.0)[..., None] * along
    return jnp.where((share >= 1.0)[..., None], end, inner)


def _repeated(bodies: Bodies, time: jax.Array, contact: Contact) -> jax.Array:
    """Contacts [N, K] with a wall at the time and place of one with a wall before it: the corner that they share."""
    pairs, walls, shape = len(bodies.second), bodies.walls.present.shape[1], bodies.inverse.shape
    when, way = time[:, pairs:].reshape(*shape, walls), contact.normal[:, pairs:].reshape(*shape, walls, 2)
    same = jnp.all(jnp.abs(way[:, :, :, None] - way[:, :, None]) < _ALIKE, axis=-1)
    same &= jnp.abs(when[:, :, :, None] - when[:, :, None]) < _ALIKE
    before = same & jnp.asarray(bodies.walls.present)[:, None, None] & np.tri(walls, k=-1, dtype=bool)
    none = jnp.zeros((len(time), pairs), bool)
    return jnp.concatenate([none, jnp.any(before, axis=-1).reshape(len(time), -1)], axis=1)


def _passing(apart: jax.Array, moving: jax.Array) -> jax.Array:
    """When something `apart` [..., 2] is nearest to a body that moves with `moving` relative to it."""
    return jnp.sum(moving * apart, axis=-1) / (jnp.sum(moving * moving, axis=-1) + _TINY)


def _length(vector: jax.Array) -> jax.Array:
    """[...] of [..., 2], with a gradient at 0."""
    return jnp.sqrt(jnp.sum(vector * vector, axis=-1) + _TINY**2)


__all__ = ["Bodies", "Contact", "Impulses", "Relative", "nearest_points"]
