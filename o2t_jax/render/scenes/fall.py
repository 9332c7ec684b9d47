"""`fall`: one ball over 20 m of height, so that a law that varies with height is visible.

Numbers: the ball's centre starts within 2 m of the axis. Of ten balls seven start U(2, 20) m high with U(-2, 8) m/s
upwards, three are thrown up fast from U(0.6, 2) m with U(8, 19) m/s; U(-1.5, 1.5) m/s along x and y; radius
U(0.25, 0.45) m; colour U(0.30, 0.78) per channel. No contact is simulated: the ball disappears where it would touch
the ground. Camera 1 is 16 to 19 m from the axis (horizontally, at any bearing), 1.5 to 3 m high, turned to the axis
within 3 deg and raised by 18 to 22 deg: it sees heights from 0 to about 22 m there, most of them in front of the sky.

The rig: four such cameras around the axis, each 40 to 80 deg of bearing further than the one before.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from o2t_jax.physics.room.exact import PROJECTILE, Setup
from o2t_jax.render.scenes.base import distance_range

THROWN_SHARE = 0.3
_NEAR_M, _FAR_M = 16.0, 19.0
_RIG_CAMERAS = 4


class Fall:
    """See the module's docstring."""

    name = "fall"
    num_balls = 1
    bounces = False
    t_max = 2.2

    def sample(self, rng: np.random.Generator) -> Setup:
        """Initial conditions of one scene."""
        bearing, away = rng.uniform(0.0, 2.0 * np.pi), 2.0 * np.sqrt(rng.random())
        if rng.random() < THROWN_SHARE:
            height, rise = rng.uniform(0.6, 2.0), rng.uniform(8.0, 19.0)
        else:
            height, rise = rng.uniform(2.0, 20.0), rng.uniform(-2.0, 8.0)
        return Setup(
            radius=rng.uniform(0.25, 0.45, 1),
            colour=rng.uniform(0.30, 0.78, (1, 3)),
            position=np.array([[away * np.cos(bearing), away * np.sin(bearing), height]]),
            velocity=np.array([[*rng.uniform(-1.5, 1.5, 2), rise]]),
            kind=np.array([PROJECTILE]),
            side=np.array([1]),
            bounces=False,
            vanishes=False,
        )

    def view_prior(self, rng: np.random.Generator, shot_config: Any) -> tuple[np.ndarray, float, float]:
        """Camera 1: position [3] m, azimuth deg, elevation deg."""
        low, high = distance_range(shot_config, _NEAR_M, _FAR_M)
        return _camera(rng, rng.uniform(0.0, 360.0), low, high)

    def rig(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Four static cameras around the axis: positions [4, 3] m, angles [4, 2] (azimuth, elevation) deg."""
        bearings = rng.uniform(0.0, 360.0) + np.cumsum(rng.uniform(40.0, 80.0, _RIG_CAMERAS))
        cameras = [_camera(rng, bearing, _NEAR_M, _FAR_M) for bearing in bearings]
        return np.stack([c[0] for c in cameras]), np.array([c[1:] for c in cameras])


def _camera(rng: np.random.Generator, bearing: float, low: float, high: float) -> tuple[np.ndarray, float, float]:
    """A camera that looks along `bearing` (deg) past the axis, U(`low`, `high`) m from it."""
    heading, distance = np.radians(bearing), rng.uniform(low, high)
    position = np.array([-distance * np.cos(heading), -distance * np.sin(heading), rng.uniform(1.5, 3.0)])
    return position, float(bearing + rng.uniform(-3.0, 3.0)), float(20.0 + rng.uniform(-2.0, 2.0))
