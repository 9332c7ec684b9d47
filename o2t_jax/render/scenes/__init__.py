"""Registry of scenes. A new scene is one file in this folder and one line here."""

from __future__ import annotations

import difflib

from o2t_jax.errors import UsageError
from o2t_jax.render.scenes.ballistic import Ballistic
from o2t_jax.render.scenes.base import RigScene, Scene, rig_of
from o2t_jax.render.scenes.fall import Fall
from o2t_jax.render.scenes.room import Room

SCENES: dict[str, Scene] = {
    "ballistic": Ballistic(),
    "fall": Fall(),
    "room": Room(),
}


def get_scene(name: str) -> Scene:
    """The registered scene of that name. Raises UsageError, with a suggestion, for an unknown one."""
    if name not in SCENES:
        near = difflib.get_close_matches(str(name), SCENES, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"scene={name!r} is unknown: {hint}choose one of {', '.join(SCENES)}")
    return SCENES[name]


__all__ = ["SCENES", "RigScene", "Scene", "get_scene", "rig_of"]
