"""Frames of discs for the tests of this folder."""

from __future__ import annotations

import numpy as np

from o2t_jax.models.discs import Frames
from o2t_jax.physics.discs.scene import Walls

DT, SIZE, SPEED = 0.1, (800.0, 600.0), 60.0
CORNERS = np.array([[0, 0], [800, 0], [800, 600], [0, 600]], np.float32)
ROOM = np.stack([CORNERS, np.roll(CORNERS, -1, axis=0)], axis=1)


def make_frames(scenes: int = 3, discs: int = 4, obstacle: bool = False, seed: int = 0) -> Frames:
    """Discs anywhere in the document's room, moving straight, of masses 1, 5 and 25; `obstacle`: the last is static."""
    rng = np.random.default_rng(seed)
    velocity = rng.uniform(-SPEED, SPEED, (scenes, discs, 2))
    mass = rng.choice([1.0, 5.0, 25.0], (scenes, discs))
    if obstacle:
        velocity[:, -1], mass[:, -1] = 0.0, np.inf
    place = rng.uniform([60, 60], [740, 540], (scenes, discs, 2))
    return Frames(
        position=np.stack([place - DT * velocity, place], axis=1).astype(np.float32),
        velocity=np.stack([velocity, velocity], axis=1).astype(np.float32),
        mass=mass.astype(np.float32),
        radius=np.full((scenes, discs), 60.0, np.float32),
        present=np.ones((scenes, discs), bool),
        walls=Walls(np.tile(ROOM, (scenes, 1, 1, 1)), np.ones((scenes, 4), bool)),
    )


def rows(frames: Frames, index: np.ndarray | slice) -> Frames:
    """The same scenes with these discs, in this order."""
    return frames._replace(
        position=frames.position[:, :, index],
        velocity=frames.velocity[:, :, index],
        mass=frames.mass[:, index],
        radius=frames.radius[:, index],
        present=frames.present[:, index],
    )


def moved(frames: Frames, by: np.ndarray) -> Frames:
    """Discs and walls displaced by the vector `by`."""
    return frames._replace(position=frames.position + by, walls=frames.walls._replace(ends=frames.walls.ends + by))
