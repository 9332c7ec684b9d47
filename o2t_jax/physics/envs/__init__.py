"""Registry of simulated worlds. A new one is one file in this folder and one line here."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from o2t_jax.errors import UsageError
from o2t_jax.physics.environment import Environment
from o2t_jax.physics.envs.ballistic import BallisticEnv
from o2t_jax.physics.envs.room import RoomEnv
from o2t_jax.physics.laws import Gravity

ENVIRONMENTS: dict[str, Callable[[Gravity | None], Environment]] = {
    "ballistic": BallisticEnv,
    "room": RoomEnv,
}


def make(name: str, gravity: Gravity | None = None) -> Environment:
    """The registered world of that name in `gravity` (None: 9.81 m/s^2). Raises UsageError for an unknown name."""
    if name not in ENVIRONMENTS:
        close = get_close_matches(str(name), ENVIRONMENTS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"unknown environment {name!r}: {hint}choose one of {', '.join(sorted(ENVIRONMENTS))}")
    return ENVIRONMENTS[name](gravity)


__all__ = ["ENVIRONMENTS", "BallisticEnv", "RoomEnv", "make"]
