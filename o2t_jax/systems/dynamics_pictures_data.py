"""Pictures of a world for system `dynamics_pictures`: training and test sequences, drawn on the device."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.config import Config
from o2t_jax.data.simulated import SimulatedSequences, sequence_key
from o2t_jax.errors import UsageError
from o2t_jax.models.ops import GREY
from o2t_jax.physics.env_parameters import PARAMETERS
from o2t_jax.physics.environment import Environment, checked_dt, simulate
from o2t_jax.physics.envs import get_environment
from o2t_jax.render.planar import draw, to_bytes
from o2t_jax.systems.dynamics_config import ranges_of
from o2t_jax.types import Array, Batch, PyTree

# Largest starts without actions, from rest: m, or rad where a pendulum's period hardly depends on it.
SWINGS = {"oscillator": 1.5, "oscillator_easy": 1.5, "spring": 0.8, "pendulum": 0.4}
_TEST = 2  # the split


def make_world(config: Config) -> Environment:
    """The world of `env.*` and `vary`. Raises: UsageError."""
    given = config.env.to_dict()
    name = given.pop("name")
    if set(given) != set(PARAMETERS.get(name, ())):
        raise UsageError(f"env.name={name!r} does not fit this config's env.*: use dynamics/pictures:{name}-PREDICTOR")
    return get_environment(name, ranges=ranges_of(config), **given)


class PicturedWorld:
    """Sequences of a world as pictures uint8 [S, S, channels] (1: ITU-R BT.601 luma)."""

    def __init__(self, env: Environment, size: int, channels: int) -> None:
        self.env, self.size, self.channels = env, size, channels

    def check(self, steps: int, dts: Any) -> None:
        """Raises UsageError for a dt that the world cannot take."""
        SimulatedSequences(self.env, steps, tuple(dts), 0)

    def sequences(self, split: str, indices: Array, seed: Any, steps: int, dts: tuple[float, ...]) -> Batch:
        """`frames` uint8 [B, T + 1, S, S, c], `actions` [B, T, A], `dt` [B]: sequences `indices` uint32 [B]."""
        made = SimulatedSequences(self.env, steps, dts, 0).sequences(split, indices, seed)
        frames = jax.vmap(self._frames)(made["states"], made["params"])
        return {"frames": frames, "actions": made["actions"], "dt": made["dt"]}

    def unforced(self, count: int, steps: int, dt: float) -> Batch | None:
        """Sequences without actions that start at rest, from half of `SWINGS` to all of it; None: no oscillation."""
        swing = SWINGS.get(self.env.name)
        return None if swing is None else self._unforced(jnp.float32(swing), count, steps, dt)

    @functools.partial(jax.jit, static_argnums=(0, 2, 3, 4))
    def _unforced(self, swing: Array, count: int, steps: int, dt: float) -> Batch:
        sides = jnp.where(jnp.arange(count) % 2, 1.0, -1.0)
        starts = swing * sides * jnp.linspace(0.5, 1.0, count)
        actions = jnp.zeros((count, steps, self.env.actions.size))

        def one(start: Array, action: Array) -> Array:
            params = self.env.params
            vector = jnp.zeros(self.env.layout.size).at[self.env.layout.positions[0]].set(start)
            first = self.env.restore(vector, self.env.reset(jax.random.key(0), params), params)
            return self._frames(self._observed(simulate(self.env, first, action, dt, params), params), params)

        return {"frames": jax.vmap(one)(starts, actions), "actions": actions}

    @functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4, 5, 6))
    def told(self, count: int, frames: int, context_dt: float, dt: float, each: int, held: int) -> Batch:
        """`frames` frames of `context_dt`, then `held` actions, each held for `each` steps of `dt`."""
        checked_dt(self.env, dt)

        def one(index: Array) -> Batch:
            of_start, of_params, of_actions = jax.random.split(sequence_key(1, _TEST, index), 3)
            params = self.env.draw_params(of_params)
            actions = self.env.actions.sample(of_actions, (frames - 1 + held,))
            before, after = actions[: frames - 1], jnp.repeat(actions[frames - 1 :], each, axis=0)
            first = simulate(self.env, self.env.reset(of_start, params), before, context_dt, params)
            second = simulate(self.env, jax.tree.map(lambda x: x[-1], first), after, dt, params)
            states = [self._observed(track, params) for track in (first, second)]
            seen = self._frames(jnp.concatenate([states[0], states[1][1:]]), params)
            return {"frames": seen, "actions": jnp.concatenate([before, after])}

        return jax.vmap(one)(jnp.arange(count, dtype=jnp.uint32))

    def background(self) -> np.ndarray:
        """The picture [S, S, channels] in 0..1 without any object, for tests."""
        params = self.env.params
        view = self.env.draw(self.env.reset(jax.random.key(0), params), params).view
        colour = jnp.broadcast_to(view.background, (self.size, self.size, 3))
        return np.asarray(self._bytes(colour), np.float32) / 255.0

    def _bytes(self, picture: Array) -> jax.Array:
        return to_bytes(picture if self.channels == 3 else (picture @ jnp.asarray(GREY))[..., None])

    def _observed(self, track: PyTree, params: PyTree) -> jax.Array:
        return jnp.asarray(jax.vmap(self.env.observe, (0, None))(track, params))

    def _frames(self, states: Array, params: PyTree) -> jax.Array:
        """uint8 [T, S, S, c] of observed states [T, D]."""
        blank = self.env.reset(jax.random.key(0), params)

        def picture(vector: Array) -> jax.Array:
            seen = draw(self.env.draw(self.env.restore(vector, blank, params), params), self.size, self.size)
            return self._bytes(seen)

        return jax.vmap(picture)(jnp.asarray(states))


__all__ = ["SWINGS", "PicturedWorld", "make_world"]
