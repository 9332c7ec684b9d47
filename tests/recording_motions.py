"""Films of what is told by more than one place: discs that collide, a disc that rolls, a ball that comes nearer."""

from __future__ import annotations

import cv2
import numpy as np

SIDE, FINE = (240, 320), 4  # px (height, width); drawn at this many times the size


def drawn(shapes, seed: int = 0) -> np.ndarray:
    """uint8 [T, H, W, 3]. `shapes`: for each frame a list of (x, y, radius, angle, RGB) in px, clockwise rad; half of a
    disc with an angle is dark."""
    rng = np.random.default_rng(seed)
    rough = rng.uniform(100, 140, (12, 16, 3)).astype(np.float32)
    still = cv2.resize(rough, SIDE[::-1], interpolation=cv2.INTER_CUBIC)
    pictures = []
    for frame in shapes:
        picture = still.copy()
        for x, y, radius, angle, colour in frame:
            reach = int(radius) + 3
            left, top = int(x) - reach, int(y) - reach
            part = np.s_[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
            axis = (np.arange((2 * reach + 1) * FINE) + 0.5) / FINE - 0.5
            across, down = np.meshgrid(left + axis - x, top + axis - y)
            inside = (np.hypot(across, down) < radius).astype(np.float32)
            dark = np.zeros_like(inside) if angle is None else down * np.cos(angle) - across * np.sin(angle) > 0
            cover, shade = (_shrunk(each) for each in (inside, inside * dark))
            seen = (cover - shade)[..., None] * np.array(colour) + shade[..., None] * 40.0
            picture[part] = picture[part] * (1 - cover)[..., None] + seen
        pictures.append(np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).round())
    return np.array(pictures, np.uint8)


def _shrunk(fine: np.ndarray) -> np.ndarray:
    height, width = (side // FINE for side in fine.shape)
    return fine.astype(np.float64).reshape(height, FINE, width, FINE).mean(axis=(1, 3))


__all__ = ["SIDE", "drawn"]
