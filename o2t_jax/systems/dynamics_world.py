"""The world of a config of `dynamics` or `dynamics_pictures`."""

from __future__ import annotations

from o2t_jax.config import Config
from o2t_jax.errors import UsageError
from o2t_jax.physics.env_parameters import PARAMETERS
from o2t_jax.physics.environment import Environment
from o2t_jax.physics.envs import get_environment
from o2t_jax.systems.dynamics_config import ranges_of


def make_world(config: Config, other: str) -> Environment:
    """The world of `env.*` and `vary`.

    Args: `other`, the config to use for another world, with {name} in it. Raises: UsageError.
    """
    given = config.env.to_dict()
    name = given.pop("name")
    if set(given) != set(PARAMETERS.get(name, ())):
        raise UsageError(f"env.name={name!r} does not fit this config's fields env.*: use {other.format(name=name)}")
    return get_environment(name, ranges=ranges_of(config), **given)


__all__ = ["make_world"]
