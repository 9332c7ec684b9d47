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

from o2t_jax.render.draw import SCRATCH, clip_unit, fill
from o2t_jax.render.look import (
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
from o2t_jax.render.view import View, horizon_row

# Columns for each one at which the footprint is worked out.
_COARSE = 8
# Numbers held in one pass over some rows: its arrays stay in the processor's second-level cache.
_PASS_SIZE = 1 << 15


def draw_background(view: View, picture: np.ndarray) -> None:
    """Draws sky, ground and grid over all of `picture`, uint8 [H, W, 3]."""
    k = view.intrinsics
    edge = min(max(horizon_row(view), 0.0), float(k.height))
    below = view.up[1] <= 0.0  # the ground lies below the horizon, unless the camera stands on its head
    first, last = (math.ceil(edge), k.height) if below else (0, math.floor(edge))
    fill(picture[:first] if below else picture[last:], SKY)
    if edge != math.floor(edge):
        # The one row that the horizon cuts: so far away the ground has its mean colour.
        row = math.floor(edge)
        share = row + 1 - edge if below else edge - row
        mean = LINE_SHADE + (1.0 - LINE_SHADE) * MEAN_BARE
        picture[row] = [round(s + share * (g * mean - s)) for s, g in zip(SKY, GROUND, strict=True)]
    if first < last:
        ground = _ground_forms(view, first, last)
        step = max(1, _PASS_SIZE // k.width)
        for top in range(0, last - first, step):
            bare = _bare_share(ground, top, top + step)
            channels = [cv2.convertScaleAbs(bare, None, g * (1.0 - LINE_SHADE), g * LINE_SHADE) for g in GROUND]
            cv2.merge(channels, picture[first + top : first + top + len(bare)])


class _Ground(NamedTuple):
    """Ground coordinates of some rows' pixels as forms in the ray's x, one set for each axis of the grid.

    Attributes: `place` [2, h, 2], the coordinate (m) is place . (x, 1) for `x_and_one` [2, w]; `spread` [2, h, 3], the
    squared footprint (m^2 per px^2) across the axis' lines is spread . (x^2, x, 1), for `powers` [3, w / _COARSE].
    """

    place: np.ndarray
    spread: np.ndarray
    x_and_one: np.ndarray
    powers: np.ndarray


def _ground_forms(view: View, top: int, bottom: int) -> _Ground:
    k = view.intrinsics
    y = (np.arange(top + 0.5, bottom) - k.cy) / k.focal
    x_and_one = np.ones((2, k.width), np.float32)
    x_and_one[0] = (np.arange(0.5, k.width) - k.cx) / k.focal
    # The footprint changes slowly along a row: every so many columns is enough (cv2.resize puts them in the middle).
    coarse = -(-k.width // _COARSE)
    powers = np.ones((3, coarse), np.float32)
    powers[1] = (np.arange(0.5, coarse) * (k.width / coarse) - k.cx) / k.focal
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
    return _Ground(place, spread, x_and_one, powers)


def _bare_share(ground: _Ground, top: int, bottom: int) -> np.ndarray:
    """Share of each pixel of the rows `top`..`bottom` that no grid line covers: float32 [h, w], in scratch memory.

    Flat arrays [2 h, w], in place, in few passes: memory traffic is what this costs.
    """
    place, spread = ground.place[:, top:bottom], ground.spread[:, top:bottom]
    width, rows = ground.x_and_one.shape[1], place.shape[1]
    away, other = SCRATCH.array(0, (2 * rows, width)), SCRATCH.array(1, (2 * rows, width))
    np.matmul(place, ground.x_and_one, out=away.reshape(2, rows, width))
    footprint = np.matmul(spread, ground.powers).reshape(2 * rows, -1)
    np.maximum(footprint, np.float32(1e-10), out=footprint)
    np.sqrt(footprint, out=footprint)

    def at_pixels(coarse: np.ndarray) -> np.ndarray:
        return cv2.resize(coarse, (width, 2 * rows), other, interpolation=cv2.INTER_LINEAR)

    # Distance to the nearest line's middle, then the band's trapezoid: a box of the line's width, averaged over the
    # footprint; its middle is at 0 here.
    cv2.absdiff(away, np.rint(away, out=other), away)
    away -= np.float32(0.5 * LINE_WIDTH_M)
    away *= at_pixels(np.float32(1.0) / footprint)
    widest = float(footprint.max())
    if widest > LINE_WIDTH_M:
        # A line thinner than the footprint covers its share of it, no more.
        np.maximum(away, at_pixels(np.float32(0.5) - np.float32(LINE_WIDTH_M) / footprint), out=away)
    if widest > FADE_FROM:
        # Neighbouring lines begin to share a pixel: go over to the mean of the ground.
        np.minimum(away, np.float32(0.5), out=away)
        away -= np.float32(MEAN_BARE - 0.5)
        away *= at_pixels(np.clip((FADE_TO - footprint) / (FADE_TO - FADE_FROM), 0.0, 1.0).astype(np.float32))
        away += np.float32(MEAN_BARE - 0.5)
    bare = cv2.min(away[:rows], away[rows:], other[:rows])
    bare += np.float32(0.5)
    return clip_unit(bare)


__all__ = ["GROUND", "LINE_SHADE", "SKY", "draw_background"]
