"""Registry of systems. Each is a model with its data and measurements; all are trained by the same loop.

A new system is one module with `build(config) -> System`, one with its `FIELDS`, and a line for each here. A config may
also name a module that is not listed: `system = "package.module"` or `"package.module:function"`; its fields are the
`FIELDS` of the config's file. Importing this package needs no JAX.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from o2t_jax.config import Group
from o2t_jax.registry import Registry

SYSTEMS: Registry[Callable[[Any], Any]] = Registry(
    "system",
    {
        "agent": "o2t_jax.systems.agent:build",
        "discs": "o2t_jax.systems.discs:build",
        "dynamics": "o2t_jax.systems.dynamics:build",
        "dynamics_pictures": "o2t_jax.systems.dynamics_pictures:build",
        "motion": "o2t_jax.systems.motion:build",
        "o2t": "o2t_jax.systems.o2t:build",
        "recording": "o2t_jax.systems.recording:build",
        "scene_parser": "o2t_jax.systems.scene_parser:build",
        "toy": "o2t_jax.systems.toy:build",
        "video": "o2t_jax.systems.video:build",
    },
    foreign=True,
)
# All fields of a system's config; no others are accepted. A function where they depend on the config.
SYSTEM_FIELDS: Registry[tuple[Group, ...] | Callable[[Any], tuple[Group, ...]]] = Registry(
    "system",
    {
        "agent": "o2t_jax.systems.agent_config:FIELDS",
        "discs": "o2t_jax.systems.discs_config:FIELDS",
        "dynamics": "o2t_jax.systems.dynamics_config:FIELDS",
        "dynamics_pictures": "o2t_jax.systems.dynamics_pictures_config:FIELDS",
        "motion": "o2t_jax.systems.motion_config:FIELDS",
        "o2t": "o2t_jax.systems.o2t_config:FIELDS",
        "recording": "o2t_jax.systems.recording_config:FIELDS",
        "scene_parser": "o2t_jax.systems.scene_parser_config:FIELDS",
        "toy": "o2t_jax.systems.toy_config:FIELDS",
        "video": "o2t_jax.systems.video_config:FIELDS",
    },
)


def get_builder(name: str) -> Callable[[Any], Any]:
    """The function `build(config) -> System` of a registered name or of "package.module[:function]".

    Raises:
        UsageError: no such name, module or function.
    """
    return SYSTEMS.get(f"{name}:build" if "." in name and ":" not in name else name)


def fields_of(name: str, config: Any = None) -> tuple[Group, ...]:
    """The groups of fields of a registered system's config.

    Args: `config`, whose values may decide which fields there are; None for the default ones.
    Raises:
        UsageError: no such system, or a value that decides and is not valid.
    """
    found = SYSTEM_FIELDS.get(name)
    return found(config) if callable(found) else found
