"""`falling_shapes`: a disc, a square or a triangle that falls with quadratic drag and bounces on the floor.

y'' = -g - k |y'| y', x' constant. A step of a quarter of a frame is divided where it meets the floor: the time of the
contact is that of the parabola which fits the step's ends (third order), and the rest of the step is made anew.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.physics.ode import rk4_step
from o2t_jax.physics.primitives import Drawing, discs, layers, segments
from o2t_jax.physics.video.base import WHITE, Motion, on_black, uniform, varied
from o2t_jax.types import Array

DRAG = (0.02, 0.03, 0.04)  # 1/px: disc, square, triangle
_STEPS, _ROWS = 4, 7


class ShapeParams(NamedTuple):
    """`gravity` px/frame^2, `drag` k 1/px, `restitution`, `kind` (0 disc, 1 square, 2 triangle), `size` px: radius or
    half width; `start` [4]: x, y px of the middle, vx, vy px/frame."""

    gravity: Array
    drag: Array
    restitution: Array
    kind: Array
    size: Array
    start: Array


class FallingShapes:
    """See the module's docstring."""

    name = "falling_shapes"
    clips = 3000
    constant = "gravity"
    nominal = 0.25
    entries = ("x", "y", "vx", "vy")
    restitution = 0.5

    def draw(self, key: jax.Array) -> ShapeParams:
        """See `VideoSet`."""
        of_gravity, of_kind, of_size, of_start = jax.random.split(key, 4)
        kind = jax.random.randint(of_kind, (), 0, len(DRAG))
        start = uniform(of_start, [22.0, 42.0, -0.25, -1.0], [42.0, 54.0, 0.25, 0.5])
        size = uniform(of_size, 4.0, 8.0)
        gravity = varied(of_gravity, self.nominal)
        return ShapeParams(gravity, jnp.asarray(DRAG)[kind], jnp.asarray(self.restitution), kind, size, start)

    def move(self, params: ShapeParams, frames: int) -> Motion:
        """See `VideoSet`."""

        def frame(state: Array, _: None) -> tuple[Array, Array]:
            after = jax.lax.fori_loop(0, _STEPS, lambda _, now: _bounce(now, 1.0 / _STEPS, params), state)
            return after, after

        rest = jax.lax.scan(frame, params.start, None, length=frames - 1)[1]
        state = jnp.concatenate([params.start[None], rest])
        return Motion(state, state[:, None, :2], jnp.ones(1, bool))

    def show(self, motion: Motion, params: ShapeParams) -> Drawing:
        """White; squares and triangles are rows of thick lines, so their corners are round by 1 px."""
        middle, half = motion.place[0], params.size
        up = jnp.linspace(-1.0, 1.0, _ROWS)
        thick = 0.22 * half
        reach = half - thick
        width = jnp.where(params.kind == 2, 0.5 * (1.0 - up), 1.0) * reach
        y = middle[1] + up * reach
        rows = segments(
            jnp.stack([middle[0] - width, y], axis=-1),
            jnp.stack([middle[0] + width, y], axis=-1),
            thick,
            WHITE,
            jnp.where(params.kind > 0, 1.0, 0.0),
        )
        return on_black(layers(discs(motion.place, half, WHITE, jnp.where(params.kind == 0, 1.0, 0.0)), rows))


def _fall(state: Array, h: Array | float, params: ShapeParams) -> Array:
    def field(now: Array) -> Array:
        _, _, vx, vy = now
        return jnp.stack([vx, vy, jnp.zeros_like(vx), -params.gravity - params.drag * jnp.abs(vy) * vy])

    return rk4_step(field, state, h)


def _bounce(state: Array, h: float, params: ShapeParams) -> Array:
    """A step of `h` frames with at most one contact; a shape that bounces lower than it falls in a step rests."""
    free = _fall(state, h, params)
    gap, below, speed = state[1] - params.size, free[1] - params.size, state[3]
    hits = below < 0.0
    # y = gap + speed t + bend t^2 through both ends
    bend = (below - gap - speed * h) / h**2
    root = jnp.sqrt(jnp.maximum(speed**2 - 4.0 * bend * gap, 0.0))
    time = jnp.clip(2.0 * gap / jnp.maximum(root - speed, 1e-6), 0.0, h)
    met = _fall(state, time, params)
    x, _, vx, vy = met
    turned = jnp.stack([x, params.size, vx, params.restitution * jnp.abs(vy)])
    after = _fall(turned, h - time, params)
    rests = jnp.abs(turned[3]) < 0.5 * h * params.gravity
    still = jnp.stack([x + (h - time) * vx, params.size, vx, jnp.zeros_like(vy)])
    return jnp.where(hits, jnp.where(rests | (after[1] < params.size), still, after), free)


__all__ = ["DRAG", "FallingShapes", "ShapeParams"]
