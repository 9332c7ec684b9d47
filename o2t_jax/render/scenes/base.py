"""The interface of a scene: initial conditions and suitable cameras. Neither depends on the gravity law."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.physics.room.exact import Setup


class Scene(Protocol):
    """A distribution of initial conditions, with suitable cameras."""

    name: str
    num_balls: int
    bounces: bool
    t_max: float
    """The latest time (s) at which a picture makes sense."""

    def sample(self, rng: np.random.Generator) -> Setup:
        """Initial conditions of one scene."""
        ...

    def view_prior(self, rng: np.random.Generator, shot_config: Any) -> tuple[np.ndarray, float, float]:
        """Camera 1: position [3] m, azimuth deg, elevation deg, aimed from the distribution alone.

        `shot_config.distance_min` and `.distance_max` (m, None: the scene's own) bound the horizontal distance.
        """
        ...


@runtime_checkable
class RigScene(Scene, Protocol):
    """A scene that can also be watched as a whole, by a few static cameras."""

    def rig(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Static cameras: positions [C, 3] m, angles [C, 2] (azimuth, elevation) deg, C >= 2.

        Placed by the scene's distribution alone, like `view_prior`: independent of the law and of this seed's ball.
        Cameras 0 and 1 converge strongly (30 to 90 deg apart), the others are further round.
        """
        ...


def rig_of(scene: Any) -> RigScene:
    """The scene, if it has a rig. Raises: UsageError for one that has none."""
    if not isinstance(scene, RigScene):
        name = getattr(scene, "name", type(scene).__name__)
        raise UsageError(f"scene '{name}' has no rig of cameras to watch whole flights: choose scene 'fall' or 'room'")
    return scene


def distance_range(shot_config: Any, low: float, high: float) -> tuple[float, float]:
    """The config's distances where it sets them, the scene's own elsewhere."""
    near, far = getattr(shot_config, "distance_min", None), getattr(shot_config, "distance_max", None)
    return (low, high) if near is None or far is None else (float(near), float(far))
