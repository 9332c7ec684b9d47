"""The worlds as Gymnasium environments: after `import o2t_jax.gym`, `gymnasium.make("o2t_jax/Pendulum-v0")` makes one.

Every registered world has the id `o2t_jax/NAME-v0`, its name in CamelCase: `o2t_jax/DoublePendulum-v0`. Needs the extra
`gym`. `gym/world.py` says what keywords, observations, actions, rewards and `info` are; docs/worlds.md has examples.
"""

from __future__ import annotations

import importlib.util

from o2t_jax.errors import UsageError
from o2t_jax.physics.envs import ENVIRONMENTS

if importlib.util.find_spec("gymnasium") is None:
    raise UsageError('o2t_jax.gym needs Gymnasium, which is not installed: pip install "o2t_jax[gym]"')


def gym_id(name: str) -> str:
    """The id of the world of that name: "three_body" -> "o2t_jax/ThreeBody-v0"."""
    return f"o2t_jax/{name.title().replace('_', '')}-v0"


def register() -> None:
    """Registers the worlds that are not registered yet. Runs at import; call it after adding one to the registry."""
    import gymnasium

    for name in ENVIRONMENTS:
        if gym_id(name) not in gymnasium.registry:
            gymnasium.register(gym_id(name), entry_point="o2t_jax.gym.world:World", kwargs={"name": name})


register()

__all__ = ["gym_id", "register"]
