"""Registry of worlds. A new world is one file in this folder and one line below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from o2t_jax.physics.environment import Environment
from o2t_jax.registry import Registry

ENVIRONMENTS: Registry[Callable[..., Environment]] = Registry(
    "environment",
    {
        "ballistic": "o2t_jax.physics.envs.ballistic:Ballistic",
        "double_pendulum": "o2t_jax.physics.envs.double_pendulum:DoublePendulum",
        "gravity_three": "o2t_jax.physics.envs.gravity_three:GravityThree",
        "gravity_two": "o2t_jax.physics.envs.gravity_two:GravityTwo",
        "oscillator": "o2t_jax.physics.envs.oscillator:Oscillator",
        "oscillator_easy": "o2t_jax.physics.envs.oscillator_easy:OscillatorEasy",
        "pendulum": "o2t_jax.physics.envs.pendulum:Pendulum",
        "room": "o2t_jax.physics.envs.room:Room",
        "spaceship": "o2t_jax.physics.envs.spaceship:Spaceship",
        "spring": "o2t_jax.physics.envs.spring:Spring",
        "three_body": "o2t_jax.physics.envs.three_body:ThreeBody",
    },
)


def get_environment(name: str, **params: Any) -> Environment:
    """The registered world of that name with these parameters, e.g. `get_environment("pendulum", length=0.8)`.

    Raises: UsageError, with a suggestion, where there is no such world or parameter.
    """
    return ENVIRONMENTS.get(name)(**params)


__all__ = ["ENVIRONMENTS", "get_environment"]
