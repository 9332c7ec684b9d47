"""`waves`: one or two sources on a surface that obeys the wave equation u_tt = c^2 (u_xx + u_yy) + sources.

On the picture's own grid of 1 px, second order in space and time, with a border that absorbs (its u_t is damped). The
surface is at rest long before the clip, and the sources have filled it when it begins.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.physics.video.base import SIDE, Motion, uniform, varied
from o2t_jax.types import Array

MOST = 2
BEFORE = 160  # frames of the slowest waves (0.4 px/frame) across the picture
_STEPS, _BORDER, _GREY = 4, 10, 0.22


class WaveParams(NamedTuple):
    """`speed` c px/frame; of K sources `place` [K, 2] px, `frequency` [K] rad/frame, `phase` [K] rad, `strength`."""

    speed: Array
    place: Array
    frequency: Array
    phase: Array
    strength: Array


class Waves:
    """See the module's docstring."""

    name = "waves"
    clips = 2000
    constant = "speed"
    nominal = 0.8
    entries = tuple(f"u{k}" for k in range(MOST))

    def draw(self, key: jax.Array) -> WaveParams:
        """See `VideoSet`. Wavelengths of 9 to 15 px, whatever the speed, so that the grid resolves them."""
        of_speed, of_place, of_length, of_phase, of_count = jax.random.split(key, 5)
        speed = varied(of_speed, self.nominal)
        length = uniform(of_length, [9.0] * MOST, [15.0] * MOST)
        two = jax.random.bernoulli(of_count)
        return WaveParams(
            speed,
            uniform(of_place, [[12.0, 12.0]] * MOST, [[52.0, 52.0]] * MOST),
            2.0 * jnp.pi * speed / length,
            uniform(of_phase, [0.0] * MOST, [2.0 * jnp.pi] * MOST),
            jnp.array([1.0, 1.0]) * jnp.stack([jnp.ones(()), jnp.where(two, 1.0, 0.0)]),
        )

    def move(self, params: WaveParams, frames: int) -> Motion:
        """See `VideoSet`; the state is what the sources are at, `more` the surface [T, 64, 64], row 0 at the top."""
        rows = SIDE - 0.5 - jnp.arange(SIDE)
        spots = jnp.exp(
            -0.25
            * (
                (rows[:, None] - params.place[:, 1, None, None]) ** 2
                + (_columns() - params.place[:, 0, None, None]) ** 2
            )
        )
        loss, h = _absorbing(), 1.0 / _STEPS

        def source(time: Array) -> Array:
            return params.strength * jnp.sin(params.frequency * time + params.phase)

        def step(k: int, now: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            before, surface, time = now
            push = jnp.tensordot(params.frequency * params.speed * source(time), spots, 1)
            force = params.speed**2 * _laplacian(surface) + push
            # (u+ - 2 u + u-) / h^2 + loss (u+ - u-) / 2 h = force
            after = (2.0 * surface - (1.0 - 0.5 * h * loss) * before + h**2 * force) / (1.0 + 0.5 * h * loss)
            return surface, after, time + h

        def frame(now: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], tuple[Array, Array]]:
            return jax.lax.fori_loop(0, _STEPS, step, now), (source(now[2]), now[1])

        still = jnp.zeros((int(SIDE), int(SIDE)))
        start = jax.lax.fori_loop(0, BEFORE * _STEPS, step, (still, still, jnp.asarray(-float(BEFORE))))
        state, surface = jax.lax.scan(frame, start, None, length=frames)[1]
        place = jnp.broadcast_to(params.place, (frames, MOST, 2))
        return Motion(state, place, params.strength > 0.0, surface)

    def show(self, motion: Motion, params: WaveParams) -> Array:
        """Grey where the surface is level, white where it is high; the same scale in all clips."""
        return jnp.clip(0.5 + _GREY * motion.more, 0.0, 1.0)


def _columns() -> Array:
    return jnp.arange(SIDE) + 0.5


def _laplacian(u: Array) -> Array:
    padded = jnp.pad(u, 1, mode="edge")
    return padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4.0 * u


def _absorbing() -> Array:
    """Loss [64, 64] per frame, which grows towards the border."""
    edge = jnp.minimum(jnp.arange(SIDE), jnp.arange(SIDE)[::-1])
    depth = jnp.clip((_BORDER - jnp.minimum(edge[:, None], edge)) / _BORDER, 0.0, 1.0)
    return 1.0 * depth**2


__all__ = ["BEFORE", "MOST", "WaveParams", "Waves"]
