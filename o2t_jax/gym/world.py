"""A world as a Gymnasium environment. Import `o2t_jax.gym`, which registers all of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from o2t_jax.errors import UsageError
from o2t_jax.gym.rewards import REWARDS, Reward, nothing
from o2t_jax.physics.environment import Environment, checked_dt
from o2t_jax.physics.envs import get_environment
from o2t_jax.render.planar import draw, to_bytes

LARGEST_SIZE = 4096  # px
_LARGEST_SEED = 2**32


class World(gymnasium.Env[np.ndarray, Any]):
    """One world, stepped one by one on the host; for thousands at a time use `physics.environment.simulate` instead.

    Observation: float32 [D], `layout` of the world. Action: a number of the table's row where the world has a table,
    else a vector within the limit (SI units). Reward: of `rewards.REWARDS`, or the keyword's. An episode never
    terminates; it is truncated after `duration` s. `info`: `params`, name -> number; `energy`, [K] as the world's;
    `time` s.

    Args:
        name: a registered world.
        dt: s, the length of a step, within the world's limit.
        duration: s, the length of an episode; the world's own by default. At another dt it has more or fewer steps.
        reward: in place of the world's own.
        render_mode: "rgb_array" for pictures by `render`, or None.
        size: px, height and width of a picture.
        params: the world's own keywords, such as length=0.8, ranges={"damping": (0.1, 0.3)}, or law="constant".
    Raises: UsageError for an unknown world or parameter, a dt, size or duration that cannot be.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 (Gymnasium declares it so)

    def __init__(
        self,
        name: str,
        *,
        dt: float = 0.1,
        duration: float | None = None,
        reward: Reward | None = None,
        render_mode: str | None = None,
        size: int = 64,
        **params: Any,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise UsageError(f"render_mode={render_mode!r} is unknown: choose 'rgb_array' or None")
        if not 1 <= size <= LARGEST_SIZE:
            raise UsageError(f"size={size} px is outside the range: 1 to {LARGEST_SIZE}")
        self.world = get_environment(name, **params)
        self.dt = checked_dt(self.world, dt)
        self.duration = self.world.duration if duration is None else duration
        if not self.duration > 0.0:
            raise UsageError(f"duration={self.duration:g} s: an episode must last longer than 0 s")
        self.reward = reward or REWARDS.get(name, nothing)
        self.render_mode, self.size = render_mode, size
        self.metadata = {**type(self).metadata, "render_fps": max(1, round(1.0 / dt))}
        self.observation_space = spaces.Box(-np.inf, np.inf, (self.world.layout.size,), np.float32)
        self.action_space = _action_space(self.world)
        self._name, self._given = name, params
        self._static = tuple(sorted((key, value) for key, value in params.items() if isinstance(value, str)))
        self._state: Any = None
        self._params: Any = None
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Parameters and a start of the world's distribution.

        `options`: `params`, name -> number, in place of those drawn; `state`, an observation [D] to start from.
        Raises: UsageError for other options, unknown parameters, a state of another length or not finite.
        """
        super().reset(seed=seed)
        options = options or {}
        if unknown := sorted(set(options) - {"params", "state"}):
            raise UsageError(f"reset: option {unknown[0]!r} is unknown: choose params or state")
        given = dict(options.get("params") or {})
        if given:
            get_environment(self._name, **{**self._given, **given})  # refuses what cannot be
        of_params, of_start = jax.random.split(jax.random.key(np.uint32(self.np_random.integers(_LARGEST_SEED))))
        drawn = _by_name(self.world.draw_params(of_params)) | {name: jnp.asarray(x, float) for name, x in given.items()}
        self._params = drawn if isinstance(self.world.params, Mapping) else self.world.params._replace(**drawn)
        made = _functions(self._name, self._static)
        self._state = made["reset"](of_start, self._params)
        if "state" in options:
            vector = np.asarray(options["state"], np.float32)
            if vector.shape != (self.world.layout.size,) or not np.isfinite(vector).all():
                raise UsageError(f"reset: state={options['state']} must be {self.world.layout.size} finite numbers")
            self._state = self.world.restore(jnp.asarray(vector), self._state, self._params)
        self._steps = 0
        return self._seen(*made["measure"](self._state, self._params))

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """`dt` s under one action.

        Raises: UsageError for an action outside the table or the limit, or before `reset`.
        """
        if self._state is None:
            raise UsageError("step before reset: call reset first")
        vector = np.asarray(self.world.actions.checked(action), np.float32).reshape(self.world.actions.size)
        made = _functions(self._name, self._static)
        self._state, *measured = made["step"](self._state, vector, self.dt, self._params)
        self._steps += 1
        seen, info = self._seen(*measured)
        # Half a step of tolerance: the episode of 0.3 s has three steps of 0.1 s, whatever their sum rounds to.
        over = (self._steps + 0.5) * self.dt > self.duration
        return seen, float(self.reward(seen, vector, info["params"])), False, bool(over), info

    def render(self) -> Any:
        """uint8 [size, size, 3] with render_mode="rgb_array", else None. Raises: UsageError before `reset`."""
        if self.render_mode is None:
            return None
        if self._state is None:
            raise UsageError("render before reset: call reset first")
        return np.asarray(_painter(self._name, self._static, self.size)(self._state, self._params))

    def _seen(self, observation: jax.Array, energy: jax.Array) -> tuple[np.ndarray, dict[str, Any]]:
        numbers = {name: float(value) for name, value in _by_name(self._params).items()}
        time = self._steps * self.dt
        return np.array(observation, np.float32), {"params": numbers, "energy": np.array(energy), "time": time}


def _action_space(world: Environment) -> spaces.Space[Any]:
    actions = world.actions
    if actions.table is not None:
        return spaces.Discrete(len(actions.table))
    if actions.size == 0:
        raise UsageError(f"{world.name} has no actions: it cannot be a Gymnasium environment")
    return spaces.Box(-actions.limit, actions.limit, (actions.size,), np.float32)


def _by_name(params: Any) -> dict[str, Any]:
    return dict(params) if isinstance(params, Mapping) else params._asdict()


# Parameters are arguments of the compiled functions, so that all environments of a world and a law share them.
@functools.lru_cache(maxsize=32)
def _functions(name: str, static: tuple[tuple[str, str], ...]) -> dict[str, Callable[..., Any]]:
    world = _like(name, static)

    def measure(state: Any, params: Any) -> tuple[Any, Any]:
        return world.observe(state, params), world.energy(state, params)

    def step(state: Any, action: Any, dt: Any, params: Any) -> tuple[Any, Any, Any]:
        after = world.step(state, action, dt, params)
        return after, *measure(after, params)

    return {"reset": jax.jit(world.reset), "step": jax.jit(step), "measure": jax.jit(measure)}


@functools.lru_cache(maxsize=32)
def _painter(name: str, static: tuple[tuple[str, str], ...], size: int) -> Callable[..., Any]:
    world = _like(name, static)
    return jax.jit(lambda state, params: to_bytes(draw(world.draw(state, params), size, size)))


def _like(name: str, static: tuple[tuple[str, str], ...]) -> Environment:
    """A world of the same law, whatever its numbers."""
    chosen = dict(static)
    if chosen.get("law", "constant") != "constant":
        from o2t_jax.physics.gravity import LAWS

        chosen |= {param.name: param.default for param in LAWS.get(chosen["law"]).params}
    elif "law" in chosen:
        chosen = {}
    return get_environment(name, **chosen)


__all__ = ["World"]
