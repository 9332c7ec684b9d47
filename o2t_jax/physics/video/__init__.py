"""Registry of the sets of clips of system `video`. A new set is one class and one line below."""

from __future__ import annotations

from collections.abc import Callable

from o2t_jax.physics.video.base import Motion, VideoSet
from o2t_jax.registry import Registry

SETS: Registry[Callable[[], VideoSet]] = Registry(
    "set",
    {
        "bouncing_balls": "o2t_jax.physics.video.balls:BouncingBalls",
        "pendulum": "o2t_jax.physics.video.swings:Pendulum",
        "spring_mass": "o2t_jax.physics.video.swings:SpringMass",
        "multi_ball": "o2t_jax.physics.video.balls:MultiBall",
        "projectile": "o2t_jax.physics.video.balls:Projectile",
        "double_pendulum": "o2t_jax.physics.video.swings:DoubleSwing",
        "falling_shapes": "o2t_jax.physics.video.shapes:FallingShapes",
        "waves": "o2t_jax.physics.video.waves:Waves",
        "orbits": "o2t_jax.physics.video.orbits:Orbits",
    },
)


def get_set(name: str) -> VideoSet:
    """The registered set of that name. Raises: UsageError, with a suggestion, where there is none."""
    return SETS.get(name)()


__all__ = ["SETS", "Motion", "VideoSet", "get_set"]
