"""Registry of simulated worlds: name -> what builds one for a gravity law."""

from __future__ import annotations

from collections.abc import Callable

from o2t_jax.physics.environment import Environment
from o2t_jax.physics.envs.ballistic import Ballistic
from o2t_jax.physics.envs.room import Room
from o2t_jax.physics.laws import Gravity
from o2t_jax.registry import Registry

ENVIRONMENTS: Registry[Callable[[Gravity], Environment]] = Registry(
    "environment",
    {
        "ballistic": Ballistic,
        "room": Room,
    },
)


def get_environment(name: str, gravity: Gravity) -> Environment:
    """The registered world of that name under `gravity`. Raises UsageError, with a suggestion, when there is none."""
    return ENVIRONMENTS.get(name)(gravity)


__all__ = ["ENVIRONMENTS", "get_environment"]
