"""Registry of simulated worlds: name -> what builds one for a gravity law."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from o2t_jax.errors import UsageError
from o2t_jax.physics.environment import Environment
from o2t_jax.physics.envs.ballistic import Ballistic
from o2t_jax.physics.envs.room import Room
from o2t_jax.physics.laws import Gravity

ENVIRONMENTS: dict[str, Callable[[Gravity], Environment]] = {
    "ballistic": Ballistic,
    "room": Room,
}


def get_environment(name: str, gravity: Gravity) -> Environment:
    """The registered world of that name under `gravity`. Raises UsageError, with a suggestion, when there is none."""
    if name not in ENVIRONMENTS:
        close = get_close_matches(name, ENVIRONMENTS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "choose one of " + ", ".join(sorted(ENVIRONMENTS))
        raise UsageError(f"unknown environment {name!r}: {hint}")
    return ENVIRONMENTS[name](gravity)


__all__ = ["ENVIRONMENTS", "get_environment"]
