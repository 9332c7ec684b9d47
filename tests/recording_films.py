"""Small films of known motions, drawn by the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from o2t_jax import media

WIDTH, HEIGHT = 160, 120


def room(rng: np.random.Generator) -> np.ndarray:
    """A background with texture, float [H, W, 3]."""
    rough = rng.uniform(90, 150, (12, 16, 3)).astype(np.float32)
    return cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def frames(
    path: np.ndarray, radius: float = 5.0, seed: int = 0, shift: Callable[[int], float] = lambda number: 0.0
) -> np.ndarray:
    """uint8 [T, H, W, 3] of a bright ball at `path` [T, 2] px (right, down) with smooth edges and noise of 2 levels.

    `shift` moves the whole picture to the right, px, in frame `number`: a camera that moves.
    """
    rng = np.random.default_rng(seed)
    still = room(rng)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    found = np.empty((len(path), HEIGHT, WIDTH, 3), np.uint8)
    for number, (cx, cy) in enumerate(path):
        cover = np.clip(radius + 0.5 - np.hypot(x - cx, y - cy), 0, 1)[..., None]
        picture = still * (1 - cover) + np.array([240.0, 200.0, 40.0]) * cover
        if moved := shift(number):
            picture = cv2.warpAffine(picture, np.array([[1.0, 0, moved], [0, 1, 0]]), (WIDTH, HEIGHT), borderMode=2)
        found[number] = np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).round()
    return found


def flight(count: int = 30, fps: float = 60.0, px_per_metre: float = 100.0, g: float = 9.81) -> np.ndarray:
    """[T, 2] px (right, down) of a ball thrown at 1.8 m/s to the right and 2 m/s up."""
    t = np.arange(count) / fps
    metres = np.stack([0.2 + 1.8 * t, 0.7 - (2.0 * t - 0.5 * g * t**2)], axis=1)
    return metres * px_per_metre


def write_film(path: Path, pictures: np.ndarray, fps: float = 60.0) -> Path:
    """An H.264 film, or a GIF by its name."""
    data = media.gif(pictures, fps) if path.suffix == ".gif" else media.film(pictures, fps)[0]
    path.write_bytes(data)
    return path


__all__ = ["HEIGHT", "WIDTH", "flight", "frames", "room", "write_film"]
