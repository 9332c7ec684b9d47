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

from o2t_jax.render.draw import flat_picture
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
    picture = flat_picture(k.height, k.width, SKY)
    edge = min(max(horizon_row(view), 0.0), float(k.height))
    below = view.up[1] <= 0.0  # the ground lies below the horizon, unless the camera stands on its head
    first, last = (math.ceil(edge), k.height) if below else (0, math.floor(edge))
    if edge != math.floor(edge):
        # The one row that the horizon cuts: so far away the ground has its mean colour.
        row = math.floor(edge)
        share = row + 1 - edge if below else edge - row
        mean = LINE_SHADE + (1.0 - LINE_SHADE) * (1.0 - LINE_WIDTH_M / GRID_M) ** 2
        picture[row] = [round(s + share * (g * mean - s)) for s, g in zip(SKY, GROUND, strict=True)]
    if first < last:
        ground = _ground_forms(view, first, last)
        step = max(1, _PASS_SIZE // k.width)
        for top in range(0, last - first, step):
            bare = _bare_share(ground, top, top + step)
            channels = [cv2.convertScaleAbs(bare, None, g * (1.0 - LINE_SHADE), g * LINE_SHADE) for g in GROUND]
            cv2.merge(channels, picture[first + top : first + top + len(bare)])
    return picture


class _Ground(NamedTuple):
    """Ground coordinates of some rows' pixels as forms in the ray's x, one set for each axis of the grid.

    Attributes: `place` [2, h, 2], the coordinate (m) is place . (x, 1); `spread` [2, h, 3], the squared footprint
    (m^2 per px^2) across the axis' lines is spread . (x^2, x, 1); `powers` [3, w], x^2, x and 1.
    """

    place: np.ndarray
    spread: np.ndarray
    powers: np.ndarray


def _ground_forms(view: View, top: int, bottom: int) -> _Ground:
    k = view.intrinsics
    y = (np.arange(top + 0.5, bottom) - k.cy) / k.focal
    powers = np.ones((3, k.width), np.float32)
    powers[1] = (np.arange(0.5, k.width) - k.cx) / k.focal
    np.multiply(powers[1], powers[1], out=powers[0])
    height = max(view.eye[2], MIN_EYE_HEIGHT_M)
    # The camera is level, so a row lies at one depth. A ray meets the ground where depth * sink = height.
    sink = np.maximum(y * -view.up[1] - view.up[2], 1e-9)
    depth = height / sink
    depth_by_y = (depth * view.up[1]) / sink
    place = np.empty((2, len(y), 2), np.float32)
    spread = np.empty((2, len(y), 3), np.float32)
    for axis in (0, 1):
        right, down, forward = view.right[axis], view.down[axis], view.forward[axis]
        ahead = y * down + forward
        place[axis, :, 0] = depth * right
        # Whole metres do not matter; without them float32 is fine enough.
        place[axis, :, 1] = depth * ahead + math.fmod(view.eye[axis], GRID_M)
        by_u = depth * (right / k.focal)
        by_v = (depth_by_y * ahead + depth * down) / k.focal
        by_v_x = depth_by_y * (right / k.focal)
        spread[axis, :, 0] = by_v_x * by_v_x
        spread[axis, :, 1] = (2.0 * by_v) * by_v_x
        spread[axis, :, 2] = by_u * by_u + by_v * by_v
    return _Ground(place, spread, powers)


def _bare_share(ground: _Ground, top: int, bottom: int) -> np.ndarray:
    """Share of each pixel of the rows `top`..`bottom` that no grid line covers: float32 [h, w]."""
    # Flat [2 h, w] for cv2; in place, since memory traffic is what this costs.
    width = ground.powers.shape[1]
    away = np.matmul(ground.place[:, top:bottom], ground.powers[1:]).reshape(-1, width)
    footprint = np.matmul(ground.spread[:, top:bottom], ground.powers).reshape(-1, width)
    # Distance to the nearest line's middle ...
    nearest = np.rint(away)
    away -= nearest
    np.absolute(away, out=away)
    np.maximum(footprint, np.float32(1e-10), out=footprint)
    np.sqrt(footprint, out=footprint)
    # ... and the band's trapezoid: a box of the line's width, averaged over the footprint.
    per_footprint = np.divide(np.float32(1.0), footprint, out=nearest)
    away -= np.float32(0.5 * LINE_WIDTH_M)
    away *= per_footprint
    away += np.float32(0.5)
    cv2.threshold(away, 1.0, 0.0, cv2.THRESH_TRUNC, away)
    cv2.threshold(away, 0.0, 0.0, cv2.THRESH_TOZERO, away)
    widest = float(footprint.max())
    if widest > LINE_WIDTH_M:
        per_footprint *= np.float32(-LINE_WIDTH_M)
        per_footprint += np.float32(1.0)
        np.maximum(away, per_footprint, out=away)
    if widest > _FADE_FROM:
        # Neighbouring lines begin to share a pixel: go over to their mean.
        footprint *= np.float32(-1.0 / (_FADE_TO - _FADE_FROM))
        footprint += np.float32(_FADE_TO / (_FADE_TO - _FADE_FROM))
        cv2.threshold(footprint, 1.0, 0.0, cv2.THRESH_TRUNC, footprint)
        cv2.threshold(footprint, 0.0, 0.0, cv2.THRESH_TOZERO, footprint)
        away -= np.float32(1.0 - LINE_WIDTH_M)
        away *= footprint
        away += np.float32(1.0 - LINE_WIDTH_M)
    half = len(away) // 2
    return np.multiply(away[:half], away[half:], out=away[:half])


__all__ = ["GROUND", "LINE_SHADE", "SKY", "draw_background"]
