"""What a scene is: where things start, and from where one would look at them. Nothing here knows the law."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from o2t_jax.physics.room import Setup


class Scene(Protocol):
    """A distribution of initial conditions with the cameras that suit it."""

    name: str
    num_balls: int
    bounces: bool
    t_max: float
    """The latest time (s) at which a picture makes sense."""

    def sample(self, rng: np.random.Generator) -> Setup:
        """Initial conditions of one scene."""
        ...

    def view_prior(self, rng: np.random.Generator, view_config: Any) -> tuple[np.ndarray, float, float]:
        """Camera 1: position [3] m, azimuth deg, elevation deg, aimed from the distribution alone.

        `view_config.distance_min` and `.distance_max` (m, None: the scene's own) bound the horizontal distance.
        """
        ...


def distance_range(view_config: Any, low: float, high: float) -> tuple[float, float]:
    """The config's distances where it sets them, the scene's own elsewhere."""
    near, far = getattr(view_config, "distance_min", None), getattr(view_config, "distance_max", None)
    return (low, high) if near is None or far is None else (float(near), float(far))
