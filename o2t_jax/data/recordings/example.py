"""A film made on the fly for those who have none: a ball thrown before a wall, with the camera's noise."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8

WIDTH, HEIGHT, FPS = 160, 120, 60.0
PX_PER_METRE, GRAVITY = 100.0, 9.81  # m/s²
_START, _LAUNCH = (0.2, 0.55), (1.9, 1.7)  # m from the left and from the top; m/s to the right and up
_RADIUS, _COLOUR, _NOISE = 4.5, (240.0, 200.0, 40.0), 2.0  # px, RGB levels, levels


def thrown_ball(
    count: int = 36, drag: float = 0.0, seed: int = 0
) -> tuple[UInt8[np.ndarray, "T H W 3"], Float[np.ndarray, " T"]]:
    """Frames and their times s. `drag` 1/m: of r'' = g - drag |r'| r'."""
    rng = np.random.default_rng(seed)
    rough = rng.uniform(90, 150, (HEIGHT // 10, WIDTH // 10, 3)).astype(np.float32)
    wall = cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    times = np.arange(count) / FPS
    frames = np.empty((count, HEIGHT, WIDTH, 3), np.uint8)
    for number, (across, down) in enumerate(PX_PER_METRE * flight(times, drag)):
        cover = np.clip(_RADIUS + 0.5 - np.hypot(x - across, y - down), 0, 1)[..., None]
        picture = wall * (1 - cover) + np.array(_COLOUR) * cover + rng.normal(0, _NOISE, wall.shape)
        frames[number] = np.clip(picture, 0, 255).round()
    return frames, times


def flight(times: Float[np.ndarray, " T"], drag: float = 0.0) -> Float[np.ndarray, "T 2"]:
    """The ball's centre, m (right, down), in steps of a hundredth of a frame."""
    place, speed = np.array(_START), np.array(_LAUNCH) * (1.0, -1.0)
    h, found, now = 0.01 / FPS, [], 0.0
    for time in times:
        for _ in range(round((time - now) / h)):
            middle = speed + 0.5 * h * (np.array([0.0, GRAVITY]) - drag * np.linalg.norm(speed) * speed)
            place = place + h * middle
            speed = speed + h * (np.array([0.0, GRAVITY]) - drag * np.linalg.norm(middle) * middle)
        now = time
        found.append(place)
    return np.array(found)


__all__ = ["FPS", "GRAVITY", "HEIGHT", "PX_PER_METRE", "WIDTH", "flight", "thrown_ball"]
