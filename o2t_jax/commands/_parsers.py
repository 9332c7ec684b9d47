"""A training of `scene_parser`, opened to read sentences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    from o2t_jax.systems.scene_parser import SceneParser


def open_parser(workdir: str | Path | None, of_captions: bool = False) -> tuple[SceneParser, Any]:
    """A training's system and its best parameters. Raises: UsageError where it is none of this kind."""
    if not workdir:
        raise UsageError("the learned parser needs a training's folder: set --parser_workdir")
    from o2t_jax.loading import load

    run = load(workdir, "best")
    if run.config.system != "scene_parser":
        raise UsageError(f"{workdir} is a training of system {run.config.system!r}; give one of scene_parser")
    if bool(run.config.captions) != of_captions:
        needed = "captions (scene/parser:captions)" if of_captions else "made sentences (scene/parser)"
        raise UsageError(f"{workdir} was trained on other sentences; give one that was trained on {needed}")
    system: Any = run.system
    return system, run.state.params
