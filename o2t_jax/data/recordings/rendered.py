"""Recordings of known motions: a ball before a textured wall, seen by a camera that has all its faults.

Everything is a pure function of a motion, a camera and a seed. The plane of motion is tilted about both axes, and the
camera rolled, as the priors of `evaluation.recordings` say; perspective is exact.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from o2t_jax.data.recordings.motions import AROUND, LAWFUL, Motion
from o2t_jax.errors import UsageError
from o2t_jax.render.effects.camera import Camera
from o2t_jax.render.effects.h264 import encode

SIZE = 256  # px, sides of the picture
TILT, ROLL = np.radians(5.0), np.radians(2.0)  # standard deviations, about either axis
FRAMES = (40, 80)
MARGIN = 6.0  # px between the ball and the picture's edge
BITS = 2e6  # bit/s of a file, where the camera does not say


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """How a motion is seen. `scale` px/m of a plane seen from the front; `focal` px; `tilts` rad about the upright and
    the level axis; `roll` rad; `shift` [2] m, added to places; `radius` px of the ball; `colour` RGB; `wall` RGB."""

    motion: Motion
    scale: float
    focal: float
    tilts: tuple[float, float]
    roll: float
    shift: Float[np.ndarray, 2]
    radius: float
    colour: Float[np.ndarray, 3]
    wall: Float[np.ndarray, "S S 3"]

    def seen(self, times: Float[np.ndarray, " T"]) -> tuple[Float[np.ndarray, "T 2"], Float[np.ndarray, " T"]]:
        """Where the ball's centre is in the ideal picture, px (right, down), and by how much it looks larger there."""
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        plane = (self.motion.place(np.asarray(times)) + self.shift) @ np.array([[cos, sin], [-sin, cos]])
        turn = cv2.Rodrigues(np.array([self.tilts[1], self.tilts[0], 0.0]))[0]
        space = self.scale * plane @ turn[:, :2].T  # px, from the middle of the plane, which is `focal` away
        larger = self.focal / (self.focal + space[:, 2])
        return (len(self.wall) - 1) / 2 + space[:, :2] * larger[:, None] * (1.0, -1.0), larger

    def render(self, times: Float[np.ndarray, " T"]) -> UInt8[np.ndarray, "T S S 3"]:
        """Sharp pictures. A pixel's share of the ball's colour grows from 0 to 1 within half a px of the edge."""
        wall = self.wall.astype(np.uint8)
        pictures = np.repeat(wall[None], len(times), axis=0)
        for picture, (x, y), larger in zip(pictures, *self.seen(times), strict=True):
            radius = larger * self.radius
            reach = int(radius) + 2
            left, top = (max(0, int(at) - reach) for at in (x, y))
            part = np.s_[top : max(top, int(y) + reach + 2), left : max(left, int(x) + reach + 2)]
            rows, columns = np.ogrid[: len(wall), : len(wall)]
            away = np.hypot(columns[:, part[1]] - x, rows[part[0]] - y)
            cover = np.clip(radius + 0.5 - away, 0, 1)[..., None]
            picture[part] = np.rint(self.wall[part] * (1 - cover) + self.colour * cover)
        return pictures


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """A film of `stage` at `times` s with its `frames`; `path` px (right, down), where the ball's centre is in the
    ideal picture at these times."""

    stage: Stage
    times: Float[np.ndarray, " T"]
    frames: UInt8[np.ndarray, "T S S 3"]
    path: Float[np.ndarray, "T 2"]

    def mp4(self, bits: float = BITS) -> bytes:
        """The film as a file, at `bits` bit/s."""
        return encode(self.frames, self.times, bits)


def make_stage(motion: Motion, rng: np.random.Generator, size: int = SIZE, focal: float = 1.0) -> Stage:
    """A random view of `motion` in which the ball stays in the picture; `focal`, in widths of the picture.

    Raises: UsageError for a motion that fits into no picture.
    """
    tilts, roll = rng.normal(0, TILT, 2), rng.normal(0, ROLL)
    radius, span = rng.uniform(5, 10), rng.uniform(0.55, 0.85) * size
    place, wall = rng.uniform(-0.5, 0.5, 2), _wall(rng, size)
    colour = _colour(rng, wall)
    around = np.linspace(-AROUND, 1 + AROUND, 201) * motion.duration
    points = motion.place(around[(around >= 0) & (around <= motion.duration)])
    extent = float(np.ptp(points, axis=0).max())
    for shrink in 0.93 ** np.arange(30 if extent > 0 else 0):  # smaller, and nearer to the middle
        scale = shrink * span / extent
        room = (size - 2 * (radius + MARGIN)) / scale - np.ptp(points, axis=0)
        shift = shrink**4 * np.maximum(room, 0) * place - (points.max(axis=0) + points.min(axis=0)) / 2
        stage = Stage(motion, scale, focal * size, (tilts[0], tilts[1]), roll, shift, radius, colour, wall)
        seen, larger = stage.seen(np.linspace(0, motion.duration, 201))
        edge = MARGIN + radius * larger[:, None]
        if ((seen > edge) & (seen < size - 1 - edge)).all():
            return stage
    raise UsageError(f"{motion.law} does not fit into a picture of {size} px: its extent is {extent:g} m")


def frame_times(motion: Motion, rng: np.random.Generator, frames: tuple[int, int] = FRAMES) -> np.ndarray:
    """Times s of a steady rate over the motion, as many as `frames` allow."""
    return np.linspace(0, motion.duration, int(rng.integers(*frames)))


def make_recording(
    seed: int,
    index: int,
    camera: Camera | Callable[[float], Camera] = Camera(),  # noqa: B008 (frozen)
    motions: Sequence[Callable[[np.random.Generator], Motion]] = LAWFUL,
    focal: float = 1.0,
) -> Recording:
    """Recording `index` of `seed`: the motions take turns. `camera` may depend on the time between frames, s."""
    stage, times = make_scene(seed, index, motions, focal)
    used = camera if isinstance(camera, Camera) else camera(float(times[1] - times[0]))
    stamps, frames = used.film(stage.render, times, (seed, index, 1))
    return Recording(stage, stamps, frames, stage.seen(stamps)[0])


def make_scene(
    seed: int,
    index: int,
    motions: Sequence[Callable[[np.random.Generator], Motion]] = LAWFUL,
    focal: float = 1.0,
) -> tuple[Stage, Float[np.ndarray, " T"]]:
    """Stage and times of recording `index`, which do not depend on the camera."""
    rng = np.random.default_rng((seed, index, 0))
    motion = motions[index % len(motions)](rng)
    times = frame_times(motion, rng)
    return make_stage(motion, rng, focal=focal), times


def _wall(rng: np.random.Generator, size: int) -> np.ndarray:
    """Texture of two sizes, 70 to 180 levels."""
    coarse = rng.uniform(90, 160, (8, 8, 3)).astype(np.float32)
    fine = rng.uniform(-20, 20, (64, 64, 1)).astype(np.float32)
    smooth = [cv2.resize(each, (size, size), interpolation=cv2.INTER_CUBIC) for each in (coarse, fine)]
    return np.clip(np.rint(smooth[0] + smooth[1][..., None]), 0, 255)


def _colour(rng: np.random.Generator, wall: np.ndarray) -> np.ndarray:
    """A colour at least 90 levels from the wall's usual one."""
    usual = wall.mean(axis=(0, 1))
    while True:
        colour = rng.uniform(0, 255, 3)
        if np.linalg.norm(colour - usual) > 90:
            return colour


__all__ = ["FRAMES", "ROLL", "SIZE", "TILT", "Recording", "Stage", "frame_times", "make_recording", "make_scene"]
