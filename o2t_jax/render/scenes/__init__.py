"""Registry of scenes. A new scene is one file in this folder and one line here."""

from __future__ import annotations

from o2t_jax.registry import Registry
from o2t_jax.render.scenes.ballistic import Ballistic
from o2t_jax.render.scenes.base import RigScene, Scene, rig_of
from o2t_jax.render.scenes.fall import Fall
from o2t_jax.render.scenes.room import Room

SCENES: Registry[Scene] = Registry(
    "scene",
    {
        "ballistic": Ballistic(),
        "fall": Fall(),
        "room": Room(),
    },
)


def get_scene(name: str) -> Scene:
    """The registered scene of that name. Raises UsageError, with a suggestion, for an unknown one."""
    return SCENES.get(name)


__all__ = ["SCENES", "RigScene", "Scene", "get_scene", "rig_of"]
