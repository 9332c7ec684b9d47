"""Noisy windows of simulated sequences for training, and clean held-out rollouts at any step for tests."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from o2t_jax.data.simulated import SPLITS, SimulatedSequences, sequence_key
from o2t_jax.physics.environment import Environment, observed, simulate
from o2t_jax.types import Array

# Folded into a sequence's key for its noise. A small number would give a key that the sequence itself has used: to
# split a key in four is to fold in 0 to 3.
_NOISE = 2**31 - 1
_FITTED = 500  # training sequences that rows such as the best linear model are fitted to


def with_noise(
    states: Float[jax.Array, "batch times size"], keys: Array, noise: float
) -> Float[jax.Array, "batch times size"]:
    """`states` with Gaussian noise of that standard deviation, from each sequence's key [batch]."""
    draw = lambda key: jax.random.normal(jax.random.fold_in(key, _NOISE), states.shape[1:])  # noqa: E731
    return states + noise * jax.vmap(draw)(keys)


def varied(params: Any, ranges: Mapping[str, tuple[float, float]]) -> Float[jax.Array, "batch varied"]:
    """The parameters that vary, each from -1 (low) to 1 (high)."""
    columns = [
        (getattr(params, name) - 0.5 * (low + high)) / max(0.5 * (high - low), 1e-12)
        for name, (low, high) in ranges.items()
    ]
    return jnp.stack(columns, axis=-1) if columns else jnp.zeros((0,))


@dataclasses.dataclass(frozen=True)
class Windows:
    """Windows of `length` steps of noisy training sequences: a pure function of (seed, step).

    Attributes: `data`, the sequences; `length` at most their steps; `count`, their number (0: every window is of a new
    one); `noise`, standard deviation on each entry.
    """

    data: SimulatedSequences
    length: int
    count: int
    noise: float

    def batch(self, seed: Any, step: Any, size: int) -> dict[str, Any]:
        """`size` windows: "states" [B, length + 1, D], "actions" [B, length, A], "dt" [B] s, "known" [B, P]."""
        of_index, of_offset = jax.random.split(jax.random.fold_in(jax.random.key(seed), step))
        if self.count:
            indices = jax.random.randint(of_index, (size,), 0, self.count).astype(jnp.uint32)
        else:
            indices = jnp.asarray(step * size, jnp.uint32) + jnp.arange(size, dtype=jnp.uint32)
        made = self.data.sequences("train", indices, seed)
        keys = jax.vmap(sequence_key, (None, None, 0))(seed, SPLITS["train"], indices)
        return self._cut(made, keys, of_offset)

    @functools.cached_property
    def of_stored(self) -> Callable[[dict[str, np.ndarray], np.ndarray, int], dict[str, Any]]:
        """(whole sequences of a stored set, their indices, the step) -> windows, as `batch`.

        The noise is that of the sequences on the fly: each has the same in every epoch.
        """

        @jax.jit
        def cut(made: dict[str, Any], indices: Any, step: Any) -> dict[str, Any]:
            keys = jax.vmap(sequence_key, (None, None, 0))(self.data.seed, SPLITS["train"], indices)
            return self._cut(made, keys, jax.random.fold_in(jax.random.key(self.data.seed), step))

        names = tuple(self.data.env.params._fields)

        def make(samples: dict[str, np.ndarray], indices: np.ndarray, step: int) -> dict[str, Any]:
            params = type(self.data.env.params)(**{name: samples[f"params/{name}"] for name in names})
            made = {name: samples[name] for name in ("states", "actions", "dt")} | {"params": params}
            return jax.tree.map(np.asarray, cut(made, indices.astype(np.uint32), np.int32(step)))

        return make

    def _cut(self, made: Mapping[str, Any], keys: Array, of_offset: Any) -> dict[str, Any]:
        states = with_noise(jnp.asarray(made["states"]), keys, self.noise)
        offsets = jax.random.randint(of_offset, (len(states),), 0, self.data.steps - self.length + 1)

        def cut(x: Any, length: int) -> jax.Array:
            return jax.vmap(lambda row, first: jax.lax.dynamic_slice_in_dim(row, first, length))(x, offsets)

        batch = {
            "states": cut(states, self.length + 1),
            "actions": cut(jnp.asarray(made["actions"]), self.length),
            "dt": jnp.asarray(made["dt"]),
        }
        if self.data.env.ranges:
            batch["known"] = varied(made["params"], self.data.env.ranges)
        return batch


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Sequences of the test split on a fine grid, from which rollouts at several steps are cut.

    Actions are held for `hold` s at every step dt. The grid divides `hold`, every dt and the window's step.

    Attributes: `count` sequences; `horizon` s of rollout; `dts` s; before the start a window of `window` steps of
    `window_dt` s with `noise`.
    """

    env: Environment
    count: int
    horizon: float
    dts: tuple[float, ...]
    hold: float
    window: int
    window_dt: float
    noise: float
    seed: int = 0

    @functools.cached_property
    def grid(self) -> float:
        """The grid's step, s."""
        parts = [Fraction(x).limit_denominator(10_000) for x in (*self.dts, self.hold, self.window_dt)]
        common = math.lcm(*(part.denominator for part in parts))
        return math.gcd(*(int(part * common) for part in parts)) / common

    def pieces(self, dt: float) -> int:
        """Grid steps in one of `dt` s."""
        return round(dt / self.grid)

    @functools.cached_property
    def sequences(self) -> dict[str, np.ndarray]:
        """ "states" [N, T + 1, D] (clean), "actions" [N, T, A] on the grid, "known", and "params" (a pytree)."""
        return self._made("test", self.count, self.window)

    @functools.cached_property
    def _fitted(self) -> dict[str, np.ndarray]:
        return self._made("train", _FITTED, 0)

    def training(self, dt: float) -> dict[str, np.ndarray]:
        """Clean training sequences for rows that are fitted: "states" [N, T + 1, D] every dt, "actions" [N, T, r A]."""
        made = self._fitted
        return {"states": made["states"][:, :: self.pieces(dt)], "actions": self._at(made["actions"], dt)}

    def rollouts(self, dt: float) -> dict[str, np.ndarray]:
        """Starts and truth at `dt`: "states" [N, T + 1, D], "actions" [N, T, r A] (r grid steps in one)."""
        start = self.pieces(self.window_dt) * self.window
        steps = int(self.horizon / dt + 1e-6)
        every, made = self.pieces(dt), self.sequences
        return {
            "states": made["states"][:, start::every][:, : steps + 1],
            "actions": self._at(made["actions"][:, start:], dt)[:, :steps],
        }

    def windows(self) -> dict[str, np.ndarray]:
        """The noisy window before each start: "states" [N, W + 1, D], "actions" [N, W, A] (means over its steps)."""
        every, made = self.pieces(self.window_dt), self.sequences
        end = every * self.window
        states = made["states"][:, : end + 1 : every]
        noise = np.random.default_rng(self.seed).normal(scale=self.noise, size=states.shape)
        actions = made["actions"][:, :end].reshape(self.count, self.window, every, self.env.actions.size)
        return {"states": (states + noise).astype(np.float32), "actions": actions.mean(axis=2)}

    def _at(self, actions: np.ndarray, dt: float) -> np.ndarray:
        every = self.pieces(dt)
        steps = actions.shape[1] // every
        return actions[:, : steps * every].reshape(len(actions), steps, every * actions.shape[2])

    def _made(self, split: str, count: int, window: int) -> dict[str, Any]:
        held = self.pieces(self.hold)
        steps = self.pieces(self.window_dt) * window + round(self.horizon / self.grid)
        choices = -(-steps // held)

        def one(key: jax.Array) -> dict[str, Any]:
            of_params, of_start, of_actions = jax.random.split(key, 3)
            params = self.env.draw_params(of_params)
            actions = jnp.repeat(self.env.actions.sample(of_actions, (choices,)), held, axis=0)[:steps]
            track = simulate(self.env, self.env.reset(of_start, params), actions, self.grid, params)
            return {"states": observed(self.env, track, params), "actions": actions, "params": params}

        keys = jax.vmap(sequence_key, (None, None, 0))(self.seed, SPLITS[split], jnp.arange(count, dtype=jnp.uint32))
        made: dict[str, Any] = jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(keys))
        if self.env.ranges:
            made["known"] = np.asarray(varied(made["params"], self.env.ranges))
        return made


__all__ = ["HeldOut", "Windows", "varied", "with_noise"]
