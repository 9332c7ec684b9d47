"""Which parser reads sentences; a training of `scene_parser`, opened to read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    from o2t_jax.systems.scene_parser import SceneParser


def parser_of(values: flags.FlagValues, own: Mapping[str, str]) -> str:
    """The parser that the flags name: by --parser, or by a flag that only one reads. `own`: parser -> such a flag.

    Raises: UsageError where they name two.
    """
    named = [parser for parser, flag in own.items() if values[flag].value is not None]
    if values["parser"].present:
        named.append(values.parser)
    if len(set(named)) > 1:
        flag = own[named[0]]
        raise UsageError(
            f"--{flag}={values[flag].value} is read by --parser={named[0]} alone, and {named[-1]} is asked for too: "
            "name one parser"
        )
    return named[0] if named else values.parser


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
