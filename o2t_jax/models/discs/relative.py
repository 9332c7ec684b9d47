"""A model of relative geometry: impulses along the line of centres, at times within the frame that it learns.

It is told geometry: gaps, directions, how near two bodies come if both move straight on. It is not told that anything
happens at a contact, when, or how strongly: two networks learn the time of the contact within the frame and the
impulse. An impulse acts on both bodies alike, so momentum is kept by construction; energy is not.
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from o2t_jax.models.discs import Frames, Step
from o2t_jax.models.layers import MLP
from o2t_jax.physics.discs.scene import Walls

_SCALES = (1.0, 10.0, 100.0)  # a hundredth of a frame's way decides whether two bodies meet in it
_FARTHEST = 4.0  # gaps beyond so many frames' ways look alike
_MOST_RATIO = 6.0  # log of the largest ratio of masses that can be told from a wall's
_TINY = 1e-6


class Relative(nn.Module):
    """See the module. Takes any number of discs and walls; its result moves and turns with the scene.

    Attributes: `dt` s, `size`, `speed`, the world's; `widths`, hidden layers of both networks; `rounds` of messages:
    each acts on what the one before left, so that a disc may be hit once more in a frame; `neighbourhood`, in mean
    radii, beyond which bodies do not act on each other (0: no limit); `dtype` of the networks, float32 if None.
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
        bodies = Bodies.of(frames)
        for number in range(self.rounds):
            times, impulses = Impulses(
                self.dt, self.speed, self.widths, self.neighbourhood, self.dtype, name=f"round{number}"
            )(position, velocity, bodies)
            change, shift = bodies.shared(impulses, times)
            # The frame's start from which a straight motion with the new velocity leads to the same end.
            position, velocity = position - shift, velocity + change
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

    def nearest_time(self, position: jax.Array, velocity: jax.Array, dt: float) -> jax.Array:
        """When within `dt` s the bodies [N, K] come nearest in straight motion; for walls: at its end or its start."""
        pairs, moving = len(self.second), self.relative_velocity(velocity)
        apart = position[:, self.second] - position[:, self.first[:pairs]]
        closing, square = (jnp.sum(moving[:, :pairs] * x, axis=-1) for x in (apart, moving[:, :pairs]))
        of_pairs = jnp.clip(closing / (square + _TINY), 0.0, dt)
        start = jnp.zeros_like(self.reach)
        here, there = (self.at(position, velocity, t)[0][:, pairs:] for t in (start, start + dt))
        return jnp.concatenate([of_pairs, jnp.where(there < here, dt, 0.0)], axis=1)

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

    def shared(self, impulses: jax.Array, times: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Changes of velocity [N, B, 2] by impulses [N, K, 2] on the first bodies, and of velocity times time."""

        def added(x: jax.Array) -> jax.Array:
            pairs = len(self.second)
            total = jnp.zeros((*self.inverse.shape, 2)).at[:, self.first].add(x)
            return self.inverse[..., None] * total.at[:, self.second].add(-x[:, :pairs])

        return added(impulses), added(impulses * times[..., None])


class Impulses(nn.Module):
    """The times [N, K] s and impulses [N, K, 2] on the first bodies of all possible contacts in a frame."""

    dt: float
    speed: float
    widths: tuple[int, ...]
    neighbourhood: float
    dtype: str | None

    @nn.compact
    def __call__(self, position: jax.Array, velocity: jax.Array, bodies: Bodies) -> tuple[jax.Array, jax.Array]:
        """`position` and `velocity` [N, B, 2] at the frame's start."""
        way, moving = self.speed * self.dt, bodies.relative_velocity(velocity)
        now = bodies.at(position, velocity, jnp.zeros_like(bodies.reach))
        least = bodies.at(position, velocity, bodies.nearest_time(position, velocity, self.dt)).gap
        evenly = jnp.clip(now.gap / jnp.maximum(now.gap - least, _TINY), 0.0, 1.0)

        def seen(contact: Contact, *more: jax.Array) -> jax.Array:
            approach = jnp.sum(moving * contact.normal, axis=-1) / self.speed
            slide = (moving[..., 0] * contact.normal[..., 1] - moving[..., 1] * contact.normal[..., 0]) / self.speed
            gaps = [jnp.clip(least * scale / way, -1.0, 1.0) for scale in _SCALES]
            near = jnp.clip(contact.gap / way, -1.0, _FARTHEST)
            return jnp.stack([near, *gaps, approach, jnp.abs(slide), bodies.ratio() / _MOST_RATIO, *more], axis=-1)

        dtype = self.dtype and jnp.dtype(self.dtype)
        share = nn.sigmoid(MLP((*self.widths, 1), dtype=dtype, name="time")(seen(now, evenly))[..., 0])
        time = self.dt * share.astype(jnp.float32)
        there = bodies.at(position, velocity, time)
        gate, size = jnp.moveaxis(MLP((*self.widths, 2), dtype=dtype, name="impulse")(seen(there)), -1, 0)
        allowed = bodies.allowed & ~_repeated(bodies, position)
        if self.neighbourhood:
            allowed &= now.gap + bodies.reach <= self.neighbourhood * bodies.reach / 2
        strength = jnp.where(allowed, (nn.sigmoid(gate) * size).astype(jnp.float32), 0.0)
        return time, -(self.speed * bodies.reduced() * strength)[..., None] * there.normal


def nearest_points(walls: Walls, place: jax.Array) -> jax.Array:
    """The points [N, B S, 2] of the walls that are nearest to places [N, B S, 2], S walls to each of B discs."""
    discs = place.shape[1] // max(walls.present.shape[1], 1)
    start, end = (jnp.tile(jnp.asarray(walls.ends)[:, :, i], (1, discs, 1)) for i in (0, 1))
    along = end - start
    square = jnp.maximum(jnp.sum(along * along, axis=-1), _TINY)
    share = jnp.sum((place - start) * along, axis=-1) / square
    inner = start + jnp.clip(share, 0.0, 1.0)[..., None] * along
    return jnp.where((share >= 1.0)[..., None], end, inner)


def _repeated(bodies: Bodies, position: jax.Array) -> jax.Array:
    """Contacts [N, K] with a wall whose nearest point another wall before it has too: the corner they share."""
    pairs, walls = len(bodies.second), bodies.walls.present.shape[1]
    none = jnp.zeros((len(position), pairs), bool)
    if not walls:
        return none
    place = position[:, bodies.first[pairs:]]
    point = nearest_points(bodies.walls, place).reshape(*position.shape[:2], walls, 2)
    same = jnp.all(jnp.abs(point[:, :, :, None] - point[:, :, None]) < 1e-3, axis=-1)
    before = same & jnp.asarray(bodies.walls.present)[:, None, None] & np.tri(walls, k=-1, dtype=bool)
    return jnp.concatenate([none, jnp.any(before, axis=-1).reshape(len(position), -1)], axis=1)


def _length(vector: jax.Array) -> jax.Array:
    """[...] of [..., 2], with a gradient at 0."""
    return jnp.sqrt(jnp.sum(vector * vector, axis=-1) + _TINY**2)


__all__ = ["Bodies", "Contact", "Impulses", "Relative", "nearest_points"]
