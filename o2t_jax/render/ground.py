"""Sky and ground: what a picture shows before anything stands on the ground. It depends on the camera alone.

The 1 m grid is filtered analytically: a line is a band of constant width on the ground, and a pixel shows the band's
share of the pixel's footprint across it. So far lines melt into their mean instead of flickering, and a 64 px picture
is what the 512 px picture looks like through a coarser camera.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from o2t_jax.render.draw import Box
from o2t_jax.render.view import View, horizon_row

SKY = (235, 240, 247)
GROUND = (224, 221, 212)
LINE_SHADE = 0.88
LINE_WIDTH_M = 0.045
GRID_M = 1.0
# A camera lower than this sees the ground as if from here: the plane must not pass through the eye.
MIN_EYE_HEIGHT_M = 0.05
# Footprint of a pixel across a line (m): below the first the lines stand apart, above the second they are one grey.
_FADE_FROM, _FADE_TO = 0.5, 1.0
# Numbers held in one pass over some rows: its arrays stay in the processor's second-level cache.
_PASS_SIZE = 1 << 15


def draw_background(view: View) -> np.ndarray:
    """Sky, ground and grid: uint8 [H, W, 3]."""
    k = view.intrinsics
    picture = np.empty((k.height, k.width, 3), np.uint8)
    edge = min(max(horizon_row(view), 0.0), float(k.height))
    below = view.up[1] <= 0.0  # the ground lies below the horizon, unless the camera stands on its head
    first, last = (math.ceil(edge), k.height) if below else (0, math.floor(edge))
    sky = picture[: math.ceil(edge)] if below else picture[math.floor(edge) :]
    sky[...] = SKY
    if edge != math.floor(edge):
        # The one row that the horizon cuts: so far away the ground has its mean colour.
        row = math.floor(edge)
        share = row + 1 - edge if below else edge - row
        mean = LINE_SHADE + (1.0 - LINE_SHADE) * (1.0 - LINE_WIDTH_M / GRID_M) ** 2
        picture[row] = [round(s + share * (g * mean - s)) for s, g in zip(SKY, GROUND, strict=True)]
    step = max(1, _PASS_SIZE // k.width)
    for top in range(first, last, step):
        rows = slice(top, min(top + step, last))
        bare = _bare_share(view, rows.start, rows.stop)
        channels = [cv2.convertScaleAbs(bare, None, g * (1.0 - LINE_SHADE), g * LINE_SHADE) for g in GROUND]
        cv2.merge(channels, picture[rows])
    return picture


def ground_box(view: View) -> Box | None:
    """The rows in which a ray can meet the ground, None when there are none."""
    k = view.intrinsics
    edge = min(max(horizon_row(view), 0.0), float(k.height))
    top, bottom = (math.floor(edge), k.height) if view.up[1] <= 0.0 else (0, math.ceil(edge))
    return Box(top, 0, bottom, k.width) if top < bottom else None


class _Ground(NamedTuple):
    """Ground coordinates of a few rows' pixels as forms in the ray's x, one set for each axis of the grid.

    Attributes: `place` [2, h, 2], the coordinate (m) is place . (x, 1); `spread` [2, h, 3], the squared footprint
    (m^2 per px^2) across the axis' lines is spread . (x^2, x, 1); `x` [w].
    """

    place: np.ndarray
    spread: np.ndarray
    x: np.ndarray


def _ground_rows(view: View, top: int, bottom: int) -> _Ground:
    k = view.intrinsics
    right, down, forward = view.rotation
    y = (np.arange(top + 0.5, bottom) - k.cy) / k.focal
    x = (np.arange(0.5, k.width) - k.cx) / k.focal
    height = max(float(view.position[2]), MIN_EYE_HEIGHT_M)
    # The camera is level, so a row lies at one depth. A ray meets the ground where depth * sink = height.
    sink = np.maximum(-(y * view.up[1] + view.up[2]), 1e-9)
    depth = height / sink
    depth_by_y = depth * view.up[1] / sink
    place = np.empty((2, len(y), 2), np.float32)
    spread = np.empty((2, len(y), 3), np.float32)
    for axis in (0, 1):
        # Whole metres do not matter; without them float32 is fine enough.
        ahead = y * down[axis] + forward[axis]
        place[axis, :, 0] = depth * right[axis]
        place[axis, :, 1] = math.fmod(view.position[axis], GRID_M) + depth * ahead
        by_u = depth * (right[axis] / k.focal)
        by_v = (depth_by_y * ahead + depth * down[axis]) / k.focal
        by_v_x = depth_by_y * (right[axis] / k.focal)
        spread[axis, :, 0] = by_v_x * by_v_x
        spread[axis, :, 1] = 2.0 * by_v * by_v_x
        spread[axis, :, 2] = by_u * by_u + by_v * by_v
    return _Ground(place, spread, x)


def _bare_share(view: View, top: int, bottom: int) -> np.ndarray:
    """Share of each pixel of the rows `top`..`bottom` that no grid line covers: float32 [h, w]."""
    ground = _ground_rows(view, top, bottom)
    powers = np.stack([ground.x * ground.x, ground.x, np.ones_like(ground.x)]).astype(np.float32)
    # Distance to the nearest line's middle, then the band's trapezoid: a box of the line's width, averaged over the
    # footprint. In place, each array once over the cache.
    away = np.matmul(ground.place, powers[1:])
    away -= np.rint(away)
    np.absolute(away, out=away)
    footprint = np.matmul(ground.spread, powers)
    np.maximum(footprint, np.float32(1e-10), out=footprint)
    np.sqrt(footprint, out=footprint)
    per_footprint = np.divide(np.float32(1.0), footprint)
    away -= np.float32(0.5 * LINE_WIDTH_M)
    away *= per_footprint
    away += np.float32(0.5)
    np.minimum(away, np.float32(1.0), out=away)
    np.maximum(away, np.float32(0.0), out=away)
    per_footprint *= np.float32(-LINE_WIDTH_M)
    per_footprint += np.float32(1.0)
    np.maximum(away, per_footprint, out=away)
    if footprint.max() > _FADE_FROM:
        # Neighbouring lines begin to share a pixel: go over to their mean.
        footprint *= np.float32(-1.0 / (_FADE_TO - _FADE_FROM))
        footprint += np.float32(_FADE_TO / (_FADE_TO - _FADE_FROM))
        np.clip(footprint, 0.0, 1.0, out=footprint)
        away -= np.float32(1.0 - LINE_WIDTH_M)
        away *= footprint
        away += np.float32(1.0 - LINE_WIDTH_M)
    return np.multiply(away[0], away[1], out=away[0])


__all__ = ["GROUND", "LINE_SHADE", "SKY", "draw_background", "ground_box"]
