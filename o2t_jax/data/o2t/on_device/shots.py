"""Modes, steps, times and cameras of samples in JAX: `curriculum.ModeMix` and `shots.sample_shot` as pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.data.o2t.curriculum import ModeMix
from o2t_jax.data.o2t.on_device.scenes import View
from o2t_jax.data.o2t.shots import MAX_ELEVATION_DEG, ShotConfig
from o2t_jax.geometry.camera import look_at, right_eye, world_to_camera
from o2t_jax.geometry.para import DIS, FUTURE, VIEW


class Mix(NamedTuple):
    """`ModeMix` as arrays: `probabilities` [3], the range of n, and `spread` of its normal (negative: uniform)."""

    probabilities: Any
    n_low: Any
    n_high: Any
    mean: Any
    spread: Any


class DeviceShot(NamedTuple):
    """`shots.Shot` as arrays: `times` [5] s, `angles` [5, 2] deg, `positions` [5, 3] m; `k`, `n`, `mode` [] int32."""

    times: Any
    angles: Any
    positions: Any
    k: Any
    n: Any
    mode: Any

    def para(self) -> jax.Array:
        """PARA [5, 6] of the pictures, in the world frame (s, m, m, m, deg, deg)."""
        return jnp.concatenate([self.times[:, None], self.positions, self.angles], axis=1)


def mixes(of: Sequence[ModeMix]) -> Mix:
    """The mixes of N samples as one, small numpy arrays with a leading axis N."""
    gaussians = [mix.gaussian or (0.0, -1.0) for mix in of]
    return Mix(
        np.array([mix.probabilities for mix in of], np.float32),
        np.array([mix.n_low for mix in of], np.int32),
        np.array([mix.n_high for mix in of], np.int32),
        np.array([mean for mean, _ in gaussians], np.float32),
        np.array([spread for _, spread in gaussians], np.float32),
    )


def draw_mode(key: jax.Array, mix: Mix) -> jax.Array:
    """One of DIS, VIEW, FUTURE, int32 []."""
    cumulative = jnp.cumsum(mix.probabilities)
    chosen = (jax.random.uniform(key) * cumulative[-1] >= cumulative).sum()
    return jnp.minimum(chosen, FUTURE).astype(jnp.int32)


def draw_steps(key: jax.Array, mix: Mix, mode: jax.Array, config: ShotConfig) -> tuple[jax.Array, jax.Array]:
    """(k, n) of one sample, int32 []; see `ModeMix.draw_steps`."""
    of_k, of_n = jax.random.split(key)
    ahead = mode == FUTURE
    short = mix.n_high <= config.k_min  # the range counts from the second pair
    k_last = jnp.where(ahead & ~short, jnp.minimum(config.k_max, mix.n_high - 1), config.k_max)
    k = jax.random.randint(of_k, (), config.k_min, k_last + 1)
    low = jnp.where(short, k + 1, jnp.maximum(mix.n_low, k + 1))
    high = jnp.where(short, k + 1 + mix.n_high - mix.n_low, mix.n_high)
    uniform = jax.random.randint(of_n, (), low, high + 1)
    normal = jnp.rint(mix.mean + mix.spread * jax.random.normal(of_n)).astype(jnp.int32)
    n = jnp.where(short | (mix.spread < 0.0), uniform, jnp.clip(normal, low, high))
    return k, jnp.where(ahead, jnp.minimum(n, config.n_max), 0)


def draw_shot(
    key: jax.Array, first: View, config: ShotConfig, mode: jax.Array, k: jax.Array, n: jax.Array
) -> DeviceShot:
    """Draws t1 and the target's camera beside camera 1, `first`; see `shots.sample_shot`."""
    of_time, of_target = jax.random.split(key)
    t1 = config.t1_max * jax.random.uniform(of_time)
    t2, last = t1 + config.dt * k, t1 + config.dt * n
    eye, azimuth, elevation = right_eye(*first, config.stereo_gap, config.convergence)
    target = _target(of_target, first, config, mode)
    left, right = jnp.stack([first.azimuth, first.elevation]), jnp.stack([azimuth, elevation])
    return DeviceShot(
        times=jnp.stack([t1, t1, t2, t2, last]),
        angles=jnp.stack([left, right, left, right, jnp.stack([target.azimuth, target.elevation])]),
        positions=jnp.stack([first.position, eye, first.position, eye, target.position]),
        k=k,
        n=n,
        mode=mode,
    )


def _target(key: jax.Array, first: View, config: ShotConfig, mode: jax.Array) -> View:
    view = jnp.array([config.view_azimuth, config.view_elevation, config.view_shift, config.view_shift])
    future = jnp.array([config.future_azimuth, config.future_elevation, config.future_shift, config.future_shift])
    reach = jnp.where(mode == VIEW, view, future)
    turn, raised, ahead, aside = reach * jax.random.uniform(key, (4,), minval=-1.0, maxval=1.0)
    heading = jnp.deg2rad(first.azimuth)
    c, s = jnp.cos(heading), jnp.sin(heading)
    moved = first.position + jnp.stack([ahead * c - aside * s, ahead * s + aside * c, jnp.zeros_like(c)])
    azimuth, elevation = first.azimuth, first.elevation
    if config.focus is not None:
        axis = world_to_camera(azimuth, elevation)[2]
        azimuth, elevation = look_at(moved, first.position + config.focus * axis)
    there = View(moved, azimuth + turn, jnp.clip(elevation + raised, -MAX_ELEVATION_DEG, MAX_ELEVATION_DEG))
    return jax.tree.map(lambda same, shifted: jnp.where(mode == DIS, same, shifted), first, there)


__all__ = ["DeviceShot", "Mix", "draw_mode", "draw_shot", "draw_steps", "mixes"]
