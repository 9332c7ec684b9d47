"""`ballistic`: one ball in the air, near the camera. The quick scene.

Numbers: the ball's centre starts within 0.5 m of the axis in x and in y, 3 to 5 m high, with U(-1.5, 1.5) m/s along x
and y and U(-3, 6) m/s upwards; radius U(0.22, 0.38) m; colour U(0.30, 0.78) per channel. The camera is 3.5 to 5 m
from the axis (horizontally, at any bearing), 1.6 to 2.4 m high, turned to the axis within 3 deg and raised by 18 to
26 deg: it sees heights from about 1 to 7 m there. No contact is simulated: the ball disappears where it would touch
the ground, which is mostly out of sight.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from o2t_jax.physics.room.exact import PROJECTILE, Setup
from o2t_jax.render.scenes.base import distance_range


class Ballistic:
    """See the module's docstring."""

    name = "ballistic"
    num_balls = 1
    bounces = False
    t_max = 1.0

    def sample(self, rng: np.random.Generator) -> Setup:
        """Initial conditions of one scene."""
        position = np.array([[*rng.uniform(-0.5, 0.5, 2), rng.uniform(3.0, 5.0)]])
        velocity = np.array([[*rng.uniform(-1.5, 1.5, 2), rng.uniform(-3.0, 6.0)]])
        return Setup(
            radius=rng.uniform(0.22, 0.38, 1),
            colour=rng.uniform(0.30, 0.78, (1, 3)),
            position=position,
            velocity=velocity,
            kind=np.array([PROJECTILE]),
            side=np.array([1]),
            bounces=False,
            vanishes=False,
        )

    def view_prior(self, rng: np.random.Generator, shot_config: Any) -> tuple[np.ndarray, float, float]:
        """Camera 1: position [3] m, azimuth deg, elevation deg."""
        low, high = distance_range(shot_config, 3.5, 5.0)
        bearing, distance = rng.uniform(0.0, 360.0), rng.uniform(low, high)
        heading = np.radians(bearing)
        position = np.array([-distance * np.cos(heading), -distance * np.sin(heading), rng.uniform(1.6, 2.4)])
        return position, float(bearing + rng.uniform(-3.0, 3.0)), float(22.0 + rng.uniform(-4.0, 4.0))
