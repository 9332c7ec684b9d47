"""`room`: the world of the public RoomPhys benchmark (Obs2Law-Arena, Apache-2.0), as its rules describe it.

Two balls, one on each side of x = 0: radius N(0.4, 0.2) clipped to [0.1, 1.5] m, colour U(0.30, 0.78) per channel,
place (+-10, 0) + N(0, 6^2) with |x| >= 2. Thrown: height U(0.3, 1.5) m + radius, speed U(5, 10) m/s, elevation
U(10, 70) deg, azimuth within 60 deg of away from x = 0. Dropped from rest: height N(10, 3) m, at least 1, + radius.
70% of scenes have a ramp at x > 0: slope U(10, 50) deg, height U(1.2, 2.0) m, width U(2, 3) m, foot at x U(3, 20),
y U(-20, 20), within 20 m of the origin; its uphill direction lies near +y or -y, tilted by 20 (+-10) deg to +x. With a
ramp, the ball of that side starts on it, at rest, with probability 0.55, at 50 to 92% of its length.

This project's choices where the rules do not say: half of the balls that are not on the ramp are thrown; no ball starts
inside the ramp (its place is drawn again); a ball on the ramp starts in the middle across.
Camera 1 is 11 to 15 m from one side's mean place (+-10, 0), at any bearing, 1.5 to 3 m high, aimed 5 m above it
within 3 deg sideways and 2 deg in height: the ball of that side is completely in view in about two pictures of three.

The rig: four cameras 33 to 37 m from the middle, 1.5 to 3 m high, near the corners of a rectangle (bearings of 53 deg
from the x axis, within 6), all raised by about 14 deg. Each sees both sides, so that a picture shows two balls. Of the
moments in the first 1.7 s at which a ball is in the air, two or more cameras see it in about 95 of 100. Four cameras
18 m from one side's mean place show balls 1.5 times as large, but in 56 of 100, since the other side is out of view.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from o2t_jax.geometry.camera import look_at
from o2t_jax.physics.room.exact import FALL, PROJECTILE, RAMP, Setup
from o2t_jax.physics.room.ramp import Ramp, ball_on_ramp, footprint_coordinates
from o2t_jax.render.scenes.base import distance_range

MEAN_X, SPREAD, MIN_X = 10.0, 6.0, 2.0
RAMP_SHARE, ON_RAMP_SHARE, THROWN_SHARE = 0.7, 0.55, 0.5
RIG_BEARINGS = np.array([-127.0, -53.0, 53.0, 127.0])


class Room:
    """See the module's docstring."""

    name = "room"
    num_balls = 2
    bounces = True
    t_max = 4.0

    def sample(self, rng: np.random.Generator) -> Setup:
        """Initial conditions of one scene; ball 0 lives at x > 0."""
        radius = np.clip(rng.normal(0.4, 0.2, 2), 0.1, 1.5)
        ramp = _draw_ramp(rng) if rng.random() < RAMP_SHARE else None
        side = np.array([1, -1])
        starts = [_start(rng, int(s), float(r), ramp if s > 0 else None) for s, r in zip(side, radius, strict=True)]
        kind, position, velocity = (np.array(field) for field in zip(*starts, strict=True))
        colour = rng.uniform(0.30, 0.78, (2, 3))
        return Setup(radius, colour, position, velocity, kind, side, ramp, bounces=True, vanishes=True)

    def view_prior(self, rng: np.random.Generator, shot_config: Any) -> tuple[np.ndarray, float, float]:
        """Camera 1: position [3] m, azimuth deg, elevation deg."""
        low, high = distance_range(shot_config, 11.0, 15.0)
        centre = np.array([MEAN_X * rng.choice([-1.0, 1.0]), 0.0, 5.0])
        bearing, distance = np.radians(rng.uniform(0.0, 360.0)), rng.uniform(low, high)
        offset = distance * np.array([np.cos(bearing), np.sin(bearing)])
        position = np.array([*(centre[:2] - offset), rng.uniform(1.5, 3.0)])
        azimuth, elevation = look_at(position, centre)
        return position, float(azimuth + rng.uniform(-3.0, 3.0)), float(elevation + rng.uniform(-2.0, 2.0))

    def rig(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Four static cameras that see both sides: positions [4, 3] m, angles [4, 2] (azimuth, elevation) deg."""
        # The pair (0, 1) is drawn at random: the room looks alike from y > 0 and y < 0.
        bearings = rng.choice([-1.0, 1.0]) * RIG_BEARINGS + rng.uniform(-6.0, 6.0, 4)
        distance, around = rng.uniform(33.0, 37.0, 4), np.radians(bearings)
        height, raised = rng.uniform(1.5, 3.0, 4), rng.uniform(13.0, 15.0, 4)
        positions = np.stack([distance * np.cos(around), distance * np.sin(around), height], axis=1)
        return positions, np.stack([bearings + 180.0 + rng.uniform(-2.0, 2.0, 4), raised], axis=1)


def _draw_ramp(rng: np.random.Generator) -> Ramp:
    while True:
        foot = (rng.uniform(3.0, 20.0), rng.uniform(-20.0, 20.0))
        if np.hypot(*foot) <= 20.0:
            break
    theta = rng.normal(20.0, 10.0) if rng.random() < 0.5 else rng.normal(160.0, 10.0)
    slope, height, width = rng.uniform(10.0, 50.0), rng.uniform(1.2, 2.0), rng.uniform(2.0, 3.0)
    return Ramp(float(slope), float(height), float(width), (float(foot[0]), float(foot[1])), float(90.0 - theta))


def _start(rng: np.random.Generator, side: int, radius: float, ramp: Ramp | None) -> tuple[int, np.ndarray, np.ndarray]:
    """(kind, position [3], velocity [3]) of one ball."""
    if ramp is not None and rng.random() < ON_RAMP_SHARE:
        return RAMP, ball_on_ramp(ramp, radius, rng.uniform(0.5, 0.92)), np.zeros(3)
    thrown = rng.random() < THROWN_SHARE
    z = radius + (rng.uniform(0.3, 1.5) if thrown else max(rng.normal(10.0, 3.0), 1.0))
    while True:
        x, y = side * MEAN_X + rng.normal(0.0, SPREAD), rng.normal(0.0, SPREAD)
        if side * x >= MIN_X and (ramp is None or _clear_of(ramp, x, y, z, radius)):
            break
    position = np.array([x, y, z])
    if not thrown:
        return FALL, position, np.zeros(3)
    speed, rise, turn = rng.uniform(5.0, 10.0), *np.radians([rng.uniform(10.0, 70.0), rng.uniform(-60.0, 60.0)])
    velocity = speed * np.array([side * np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)])
    return PROJECTILE, position, velocity


def _clear_of(ramp: Ramp, x: float, y: float, z: float, radius: float) -> bool:
    """Whether a ball is clear of the upright block around the ramp."""
    up, across = footprint_coordinates(ramp, (x, y))
    run = ramp.height / np.tan(np.radians(ramp.slope))
    beside = up < -radius or up > run + radius or abs(across) > 0.5 * ramp.width + radius
    return bool(beside or z - radius > ramp.height)
