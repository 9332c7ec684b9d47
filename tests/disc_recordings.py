"""Two discs that slide, collide once and slide on, in closed form; as tracks with noise, and as a small film."""

from __future__ import annotations

import dataclasses

import numpy as np

RATE = 240.0
WAVES = np.random.default_rng(1).uniform(-0.9, 0.9, (12, 3))  # of the table's marks


@dataclasses.dataclass(frozen=True)
class Collision:
    """What happens: disc 1 comes along x and meets disc 2 `offset` radii of contact beside its centre at time 0.

    Lengths are px. `rubbing` is the friction coefficient of the edges, `friction` the deceleration on the table.
    """

    mass_ratio: float = 1.0
    restitution: float = 0.8
    friction: float = 1000.0
    speed: float = 700.0
    offset: float = 0.3
    rubbing: float = 0.1
    radius: float = 9.0
    at: tuple[float, float] = (60.0, 60.0)
    second: tuple[float, float] = (0.0, 0.0)

    def places(self, times: np.ndarray) -> np.ndarray:
        """[T, 2, 2] at `times` [T] s."""
        normal = np.array([np.sqrt(1 - self.offset**2), self.offset])
        tangent = np.array([-normal[1], normal[0]])
        at = np.array(self.at), np.array(self.at) + 2 * self.radius * normal
        before = np.array([self.speed, 0.0]), np.array(self.second)
        reduced = self.mass_ratio / (1 + self.mass_ratio)
        push = (1 + self.restitution) * ((before[0] - before[1]) @ normal) * reduced
        # Rolling would need a third of the slip's impulse (a disc's moment of inertia is m r^2 / 2).
        rub = np.clip((before[0] - before[1]) @ tangent * reduced / 3, -self.rubbing * push, self.rubbing * push)
        impulse = push * normal + rub * tangent
        after = before[0] - impulse, before[1] + impulse / self.mass_ratio
        return np.stack([self._path(times, *disc) for disc in zip(at, before, after, strict=True)], axis=1)

    def _path(self, times: np.ndarray, at: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        ways = []
        for velocity, t in ((before, np.minimum(times, 0)), (after, np.maximum(times, 0))):
            speed = np.hypot(*velocity)
            if speed == 0:
                continue
            if self.friction:
                t = np.minimum(t, speed / self.friction)
            ways.append(velocity / speed * (speed * t - 0.5 * self.friction * t**2)[:, None])
        return at + sum(ways)


def clock(before: int, after: int, shift: float = 0.4) -> np.ndarray:
    """Times s of frames round a contact at 0, `shift` of a frame after one of them."""
    return (np.arange(-before, after) - shift) / RATE


def noise(rng: np.random.Generator, shape: tuple[int, ...], size: float, alike: float = 0.0) -> np.ndarray:
    """Errors of standard deviation `size` along axis 0, correlated by `alike` from one to the next."""
    out = rng.normal(size=shape) * size
    for i in range(1, len(out)):
        out[i] = alike * out[i - 1] + np.sqrt(1 - alike**2) * out[i]
    return out


def draw_film(places: np.ndarray, radius: float, size: tuple[int, int], shake: np.ndarray | None = None) -> np.ndarray:
    """uint8 [T, H, W, 3]: light discs with two dark marks on a mottled table, under a lamp's still reflection, and a
    finger that comes and goes at the left. `shake` [T, 2] px moves all."""
    height, width = size
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] + 0.5
    frames = []
    for t, discs in enumerate(places):
        dx, dy = (0.0, 0.0) if shake is None else shake[t]
        u, v = x - dx, y - dy
        waves = [np.sin(a * u + b * v + c) for a, b, c in WAVES]
        level = 50 + 4 * np.sum(waves, axis=0) + 150 * np.exp(-((u - 0.8 * width) ** 2 + (v - 8) ** 2) / 60)
        reach = 0.12 * width * np.clip(np.sin(np.pi * t / len(places)) * 1.5, 0, 1)
        level = np.where((u < reach) & (np.abs(v - 0.8 * height) < 4), 85, level)
        for centre in discs:
            away = np.hypot(u - centre[0], v - centre[1])
            cover = np.clip(radius - away + 0.5, 0, 1)
            level = level * (1 - cover) + 200 * cover
            for side in (-0.55, 0.55):
                mark = np.clip(2.0 - np.hypot(u - centre[0] - side * radius, v - centre[1]) + 0.5, 0, 1)
                level = level * (1 - mark) + 40 * mark
        frames.append(np.clip(level + rng.normal(size=level.shape) * 1.5, 0, 255))
    return np.repeat(np.array(frames).round().astype(np.uint8)[..., None], 3, axis=-1)
