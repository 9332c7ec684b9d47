"""Random scenes of discs in a room, and their motion."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.physics.discs import collisions, rooms
from o2t_jax.physics.discs.scene import Scene, Track, Walls
from o2t_jax.types import Array

CANDIDATES = 32  # places tried for a disc before its scene is given up
MOST_TRIES = 200  # scenes placed anew before the last one is taken as it is
MOST_REDRAWS = 10  # scenes simulated anew
LEAVES = 1e-3  # of its radius: how far into a wall rounding may let a disc


@dataclasses.dataclass(frozen=True)
class DiscWorld:
    """Discs, and static obstacles, in a room; px, s, and masses in any unit.

    Attributes: `room`, a name of `rooms.ROOMS`, of `size` (width, height) px; `dt` s between frames; `speed` px/s, up
    to which speeds are drawn uniformly, directions too; `discs` and `obstacles`, how many; `masses` and `radii` px, of
    which each disc draws one; `obstacle_radius` px; `restitution` e of all contacts; `gravity` px/s^2, against the
    second axis, which the library draws upwards; `rest_speed` px/s, of the slowest rebound where e is
    below 1 (see `least_rebound`); `most_events`, collisions that a frame may hold.
    Raises: UsageError for an unknown room, a number out of its range, and more discs than the room holds.
    """

    room: str = "box"
    size: tuple[float, float] = (800.0, 600.0)
    dt: float = 0.1
    speed: float = 60.0
    discs: int = 4
    obstacles: int = 0
    masses: tuple[float, ...] = (1.0,)
    radii: tuple[float, ...] = (60.0,)
    obstacle_radius: float = 80.0
    restitution: float = 1.0
    gravity: float = 0.0
    rest_speed: float | None = None
    most_events: int = collisions.MOST_EVENTS

    def __post_init__(self) -> None:
        rooms.ROOMS.check(self.room)
        for name in ("size", "masses", "radii"):
            values = getattr(self, name)
            object.__setattr__(self, name, tuple(float(value) for value in values))
            _check_positive(name, *getattr(self, name))
        _check_positive("dt", self.dt)
        _check_positive("obstacle_radius", self.obstacle_radius)
        if len(self.size) != 2 or not self.masses or not self.radii:
            raise UsageError("size takes two numbers, masses and radii at least one each")
        if not 0.0 <= self.restitution <= 1.0:
            raise UsageError(f"restitution={self.restitution:g} must lie between 0 and 1")
        for name, value in (("speed", self.speed), ("gravity", self.gravity), ("rest_speed", self.rest_speed or 0.0)):
            if not (value >= 0.0 and math.isfinite(value)):
                raise UsageError(f"{name}={value:g} must be a finite number, at least 0")
        if self.discs < 1 or self.obstacles < 0:
            raise UsageError(f"discs={self.discs}, obstacles={self.obstacles}: give at least 1 and at least 0")
        self._check_space()

    def _check_space(self) -> None:
        """Raises UsageError where no scene of the largest discs is found in many tries."""
        taken = math.pi * (self.discs * max(self.radii) ** 2 + self.obstacles * self.obstacle_radius**2)
        space = rooms.area(self.room, self.size)
        radii = (*(self.obstacle_radius,) * self.obstacles, *(max(self.radii),) * self.discs)
        if taken >= space or not _have_places(self.room, self.size, radii):
            raise UsageError(
                f"{self.discs} discs of radius {max(self.radii):g} and {self.obstacles} obstacles do not fit in room "
                f"{self.room!r} of {self.size[0]:g} x {self.size[1]:g} px: they take {100 * taken / space:.0f} % of "
                "its area; give fewer or smaller ones"
            )

    @property
    def least_rebound(self) -> float:
        """`rest_speed`, where it is not given 1 % of `speed`, or under gravity so much that a disc at rest bounces
        about twice a frame."""
        if self.rest_speed is not None:
            return self.rest_speed
        return max(0.01 * self.speed, 0.25 * self.gravity * self.dt)

    @property
    def bodies(self) -> int:
        """B: discs first, then obstacles."""
        return self.discs + self.obstacles

    @property
    def walls(self) -> Walls:
        """The room's walls, of the precision that is JAX's default."""
        return jax.tree.map(jnp.asarray, rooms.walls(self.room, self.size))

    def draw(self, key: jax.Array) -> Scene:
        """A random scene.

        Places are uniform where there is room, one body after the other, obstacles first. If that fails 200 times
        (the world was refused if it always does) the last scene has bodies that overlap: `draw_scene` flags it.
        """

        def again(now: tuple[jax.Array, Scene, Array, Array]) -> tuple[jax.Array, Scene, Array, Array]:
            key, fresh = jax.random.split(now[0])
            return key, *self._placed(fresh), now[3] + 1

        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(self._placed, key))
        start = (key, *nothing, jnp.zeros((), jnp.int32))
        return jax.lax.while_loop(lambda now: ~now[2] & (now[3] < MOST_TRIES), again, start)[1]

    def simulate(self, scene: Scene, frames: int) -> Track:
        """`collisions.simulate` of a scene, or of scenes with batch dimensions, with this world's numbers."""
        return collisions.simulate(
            scene,
            frames,
            self.dt,
            restitution=self.restitution,
            gravity=self.gravity,
            rest_speed=self.least_rebound,
            most_events=self.most_events,
        )

    def draw_scene(self, key: jax.Array, frames: int) -> tuple[Scene, Track, Array]:
        """A random scene, its motion, and how often it was drawn anew; `key` may have batch dimensions.

        A scene is drawn anew where more happens than the simulation counts, a disc leaves the room, or no place was
        found for one; after ten times the track's `overflow` says that the last one is not to be used either. The key
        is one of `jax.random.key`; its scene is not that of `draw`.
        """
        flat = key.reshape(-1)

        def attempt(keys: jax.Array) -> tuple[Scene, Track]:
            scene = jax.vmap(self.draw)(keys)
            track = self.simulate(scene, frames)
            bad = track.overflow | jax.vmap(self._left)(scene, track) | jax.vmap(_overlap)(scene)
            return scene, track._replace(overflow=bad)

        def again(now: tuple[Any, Scene, Track, Array]) -> tuple[Any, Scene, Track, Array]:
            keys, scene, track, redraws = now
            bad = track.overflow
            fresh = jax.vmap(jax.random.fold_in)(keys, redraws + 1)

            def chosen(new: Array, old: Array) -> Array:
                return jnp.where(bad.reshape(-1, *(1,) * (old.ndim - 1)), new, old)

            scene, track = jax.tree.map(chosen, attempt(fresh), (scene, track))
            return keys, scene, track, redraws + bad

        def pending(now: tuple[Any, Scene, Track, Array]) -> Array:
            return jnp.any(now[2].overflow & (now[3] < MOST_REDRAWS))

        # The first draw is a round like the others, so that it is compiled once.
        scene, track = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(attempt, flat))
        start = (flat, scene, track._replace(overflow=jnp.ones(flat.shape, bool)), jnp.full(flat.shape, -1))
        found = jax.lax.while_loop(pending, again, start)[1:]
        return jax.tree.map(lambda leaf: leaf.reshape(*key.shape, *leaf.shape[1:]), found)

    def _left(self, scene: Scene, track: Track) -> Array:
        """Whether a disc of one scene leaves the room in a frame."""
        clear = rooms.inside(scene.walls, track.position, (1.0 - LEAVES) * scene.radius)
        return ~jnp.all(clear | ~scene.present)

    def _placed(self, key: jax.Array) -> tuple[Scene, Array]:
        """A scene, and whether there was a place for all of its bodies."""
        walls, count = self.walls, self.bodies
        moves = jnp.arange(count) < self.discs
        # One call for all numbers: XLA takes a second to compile each.
        draws = jax.random.uniform(key, (4 + 2 * CANDIDATES, count))
        mass = jnp.where(moves, _choice(self.masses, draws[0]), jnp.inf)
        radius = jnp.where(moves, _choice(self.radii, draws[1]), self.obstacle_radius)
        speed, way = jnp.where(moves, self.speed * draws[2], 0.0), 2.0 * jnp.pi * draws[3]
        velocity = speed[:, None] * jnp.stack([jnp.cos(way), jnp.sin(way)], axis=1)
        places = draws[4:].T.reshape(count, CANDIDATES, 2)

        def place(now: tuple[jax.Array, jax.Array], i: jax.Array) -> tuple[Any, jax.Array]:
            position, placed = now
            spare = jnp.asarray(self.size) - 2.0 * radius[i]
            candidates = radius[i] + spare * places[i]
            away = candidates.T[:, None] - position.T[..., None]
            apart = away[0] ** 2 + away[1] ** 2 > (radius[i] + radius[:, None]) ** 2
            free = rooms.inside(walls, candidates, radius[i]) & jnp.all(apart | ~placed[:, None], axis=0)
            position = position.at[i].set(candidates[jnp.argmax(free)])
            return (position, placed.at[i].set(True)), jnp.any(free)

        start = (jnp.zeros((count, 2)), jnp.zeros(count, bool))
        (position, _), found = jax.lax.scan(place, start, jnp.arange(count)[::-1])
        return Scene(position, velocity, mass, radius, jnp.ones(count, bool), walls), jnp.all(found)


def _overlap(scene: Scene) -> Array:
    """Whether two bodies of one scene overlap."""
    away = scene.position[:, None] - scene.position
    reach = (1.0 - LEAVES) * (scene.radius[:, None] + scene.radius)
    near = (jnp.sum(away**2, axis=-1) < reach**2) & scene.present[:, None] & scene.present
    return jnp.any(jnp.triu(near, 1))


def _choice(values: tuple[float, ...], uniform: Array) -> Array:
    """One of `values` for each number of [0, 1)."""
    return jnp.asarray(values)[jnp.floor(len(values) * uniform).astype(int)]


@functools.lru_cache
def _have_places(room: str, size: tuple[float, float], radii: tuple[float, ...]) -> bool:
    """Whether one of many random scenes has a place for all bodies, drawn as `DiscWorld.draw` does; on the host."""
    walls, random = rooms.walls(room, size), np.random.default_rng(0)
    for _ in range(MOST_TRIES):
        placed: list[np.ndarray] = []
        for radius in radii:
            candidates = radius + (np.asarray(size) - 2.0 * radius) * random.uniform(size=(CANDIDATES, 2))
            free = np.asarray(rooms.inside(walls, candidates, radius))
            for other, place in zip(radii, placed, strict=False):
                free &= np.linalg.norm(candidates - place, axis=1) > radius + other
            if not free.any():
                break
            placed.append(candidates[np.argmax(free)])
        if len(placed) == len(radii):
            return True
    return False


def check_scene(scene: Scene) -> None:
    """Raises UsageError where bodies of one scene overlap, lie in a wall or have no mass; on the host."""
    position, mass, radius = (np.asarray(leaf, float) for leaf in (scene.position, scene.mass, scene.radius))
    for name, values in (("mass", mass), ("radius", radius)):
        for i in np.flatnonzero(np.asarray(scene.present) & ~(values > 0.0)):
            raise UsageError(f"disc {i}: {name}={values[i]:g} must be above 0")
    inside = rooms.inside(Walls(*map(np.asarray, scene.walls)), position, (1.0 - LEAVES) * radius)
    bodies = np.flatnonzero(scene.present)
    for i in bodies:
        if not inside[i]:
            x, y = position[i]
            raise UsageError(f"disc {i} at ({x:g}, {y:g}) with radius {radius[i]:g} is not inside the walls; move it")
        for j in bodies[bodies > i]:
            distance, reach = float(np.linalg.norm(position[i] - position[j])), radius[i] + radius[j]
            if distance < (1.0 - LEAVES) * reach:
                raise UsageError(f"discs {i} and {j} overlap: {distance:g} apart, less than {reach:g}; move one")


def _check_positive(name: str, *values: float) -> None:
    for value in values:
        if not (value > 0.0 and math.isfinite(value)):
            raise UsageError(f"{name}={value:g} must be a number above 0")


__all__ = ["DiscWorld", "check_scene"]
