"""Scenes for the tests of discs: placed here in numpy, apart from the library's own draws."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.physics.discs import collisions, rooms
from o2t_jax.physics.discs.scene import Scene, Walls

SIZE = (800.0, 600.0)
ROWS = 12  # walls of the room that has most

simulate = partial(jax.jit, static_argnames=("frames", "dt", "restitution", "gravity", "rest_speed", "most_events"))(
    collisions.simulate
)


def scene(position, velocity, mass=None, radius=60.0, walls=None) -> Scene:
    """One scene; without `walls` there are none."""
    position = np.asarray(position, float)
    count = len(position)
    return Scene(
        position,
        np.asarray(velocity, float),
        np.ones(count) if mass is None else np.asarray(mass, float),
        np.broadcast_to(np.asarray(radius, float), count),
        np.ones(count, bool),
        Walls(np.zeros((0, 2, 2)), np.zeros(0, bool)) if walls is None else walls,
    )


def random_scene(
    seed: int, room="box", masses=(1.0,), radii=(60.0,), count=4, speed=60.0, static=0, rows=ROWS
) -> Scene:
    """Discs placed one after the other, the last `static` of infinite mass."""
    random = np.random.default_rng(seed)
    walls, radius = rooms.walls(room, SIZE, rows), random.choice(radii, count)
    placed = []
    for _ in range(10_000):
        if len(placed) == count:
            break
        i = len(placed)
        place = random.uniform((0, 0), SIZE)
        if rooms.inside(walls, place, radius[i]) and all(
            np.hypot(*(place - other)) > radius[i] + radius[j] for j, other in enumerate(placed)
        ):
            placed.append(place)
    assert len(placed) == count, "no place"
    way = random.uniform(0.0, 2.0 * np.pi, count)
    velocity = random.uniform(0.2, 1.0, count)[:, None] * speed * np.stack([np.cos(way), np.sin(way)], axis=1)
    mass = random.choice(masses, count)
    if static:
        mass[-static:] = np.inf
        velocity[-static:] = 0.0
    return scene(placed, velocity, mass, radius, walls)


def stacked(scenes: list[Scene]) -> Scene:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *scenes)


def single(given: Scene, dtype=np.float32) -> Scene:
    """The scene with numbers of one type."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype if leaf.dtype.kind == "f" else None), given)


def gaps(given: Scene, position: np.ndarray) -> np.ndarray:
    """The least distance between the edges of two present discs, in each frame of one scene."""
    i, j = np.triu_indices(len(given.mass), 1)
    keep = np.asarray(given.present)[i] & np.asarray(given.present)[j]
    i, j = i[keep], j[keep]
    radius, position = np.asarray(given.radius, float), np.asarray(position, float)
    return (np.linalg.norm(position[:, i] - position[:, j], axis=-1) - radius[i] - radius[j]).min(axis=1)
