"""Sky, ground and grid by rays, in jax.numpy: the same filtered picture as `render.opencv.ground`, pixel by pixel."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from o2t_jax.render.appearance import (
    FADE_FROM,
    FADE_TO,
    GRID_M,
    GROUND,
    LINE_SHADE,
    LINE_WIDTH_M,
    MEAN_BARE,
    MIN_EYE_HEIGHT_M,
    SKY,
)

# Rays closer to level than this (sine) would overflow float32; the ground has its mean colour long before that.
_MIN_SINK = 1e-6


class Rows(NamedTuple):
    """Values of each row of a picture for the ground's colour: arrays [H, 1], and [2, H, 1] for the grid's two axes.

    Attributes: `ground` share 0..1 of the row below the horizon, `whole` 1 where that is all of it, else 0; `slope` and
    `offset`: the ground coordinate (m) is slope x + offset for the ray (x, y, 1); `across` (m/px) and `bend`, `along`
    (m/px): the coordinate changes by `across` per column and by bend x + along per row.
    """

    ground: Any
    whole: Any
    slope: Any
    offset: Any
    across: Any
    bend: Any
    along: Any


def ground_rows(eye: Any, axes: Any, focal: float, height: int) -> Rows:
    """Rows of the picture of a level camera at `eye` [3] m with `axes` [3, 3] (right, down, forward in the world)."""
    v = jnp.arange(height, dtype=jnp.float32)[:, None]
    cy = 0.5 * height
    y = (v + (0.5 - cy)) / focal
    up_y, up_z = axes[1, 2], axes[2, 2]
    # A camera that looks straight up or down has its horizon at infinity: any huge number will do.
    steep = jnp.abs(up_y) < 1e-6
    level = jnp.where(steep, jnp.copysign(1e9, up_z), -up_z / jnp.where(steep, 1.0, up_y))
    edge = jnp.clip(cy + focal * level, 0.0, float(height))
    below = steep | (up_y <= 0.0)
    ground = jnp.clip(jnp.where(below, v + 1.0 - edge, edge - v), 0.0, 1.0)
    sink = jnp.maximum(-up_y * y - up_z, _MIN_SINK)
    depth = jnp.maximum(eye[2], MIN_EYE_HEIGHT_M) / sink
    depth_by_y = depth * up_y / sink
    right, down, forward = axes[0, :2, None, None], axes[1, :2, None, None], axes[2, :2, None, None]
    ahead = y * down + forward
    return Rows(
        ground=ground,
        whole=(ground >= 1.0).astype(jnp.float32),
        slope=depth * right,
        # The grid repeats every metre; without whole metres float32 is precise enough.
        offset=depth * ahead + jnp.fmod(eye[:2], GRID_M)[:, None, None],
        across=depth * right / focal,
        bend=depth_by_y * right / focal,
        along=(depth_by_y * ahead + depth * down) / focal,
    )


def background(rows: Rows, x: Any) -> tuple[Any, Any, Any]:
    """Red, green and blue [H, W] in bytes (not rounded) of sky, ground and grid; `x` [W] of the rays (x, y, 1)."""
    bare = jnp.minimum(*(_bare(rows, axis, x) for axis in (0, 1)))
    # The row that the horizon cuts is so far away that it has the mean colour.
    bare = MEAN_BARE + rows.whole * (jnp.clip(bare, 0.0, 1.0) - MEAN_BARE)
    shade = LINE_SHADE + (1.0 - LINE_SHADE) * bare
    red, green, blue = (s + rows.ground * (g * shade - s) for s, g in zip(SKY, GROUND, strict=True))
    return red, green, blue


def _bare(rows: Rows, axis: int, x: Any) -> Any:
    """Share [H, W] of each pixel not covered by grid lines of one axis; see `render.opencv.ground._bare_share`."""
    place = rows.slope[axis] * x + rows.offset[axis]
    by_row = rows.bend[axis] * x + rows.along[axis]
    per_metre = 1.0 / jnp.sqrt(jnp.maximum(rows.across[axis] ** 2 + by_row**2, 1e-10))
    footprint = 1.0 / per_metre
    away = (jnp.abs(place - jnp.rint(place)) - 0.5 * LINE_WIDTH_M) * per_metre
    away = jnp.clip(away, 0.5 - LINE_WIDTH_M * per_metre, 0.5)
    fade = jnp.clip((FADE_TO - footprint) * (1.0 / (FADE_TO - FADE_FROM)), 0.0, 1.0)
    return MEAN_BARE + fade * (away + (0.5 - MEAN_BARE))


__all__ = ["Rows", "background", "ground_rows"]
