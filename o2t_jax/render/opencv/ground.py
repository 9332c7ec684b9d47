"""Sky and ground: the picture without any objects. It depends on the camera alone.

The 1 m grid is filtered analytically: a line is a band of constant width on the ground, and a pixel shows the band's
share of the pixel's footprint across it. Distant lines thus blend into their mean instead of flickering, and a 64 px
picture looks like the 512 px picture of a coarser camera.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

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
from o2t_jax.render.opencv.draw import SCRATCH, clip_unit, fill
from o2t_jax.render.pose import CameraPose, horizon_row

# Array elements in one pass over some rows, so that its arrays stay in the processor's second-level cache.
_PASS_SIZE = 1 << 15
# Squared footprint, m^2: below it a picture shows only the inside of a line.
_SMALLEST = np.float32(1e-10)


class _Span(NamedTuple):
    """The rows of a picture that show ground: `first`..`last` of `picture`, uint8 [H, W, 3], seen from `view`."""

    view: CameraPose
    picture: np.ndarray
    first: int
    last: int


def draw_backgrounds(views: Sequence[CameraPose], pictures: Sequence[np.ndarray]) -> None:
    """Draws sky, ground and grid over all of the pictures, uint8 [H, W, 3], all of one size."""
    spans = [_draw_sky(view, picture) for view, picture in zip(views, pictures, strict=True)]
    spans = [span for span in spans if span.first < span.last]
    if not spans:
        return
    ground = _ground_forms(spans)
    # Small pictures are computed whole and several together, large ones in parts. The choice depends on the size alone,
    # so that a picture's bytes are the same alone and among others.
    k = views[0].intrinsics
    whole = k.height * k.width <= _PASS_SIZE
    top = 0
    for parts in _passes([span.last - span.first for span in spans], max(1, _PASS_SIZE // k.width), whole):
        rows = sum(part.rows for part in parts)
        bare = _bare_share(ground, top, top + rows, whole)
        channels = [cv2.convertScaleAbs(bare, None, g * (1.0 - LINE_SHADE), g * LINE_SHADE) for g in GROUND]
        done = 0
        for i, skipped, count in parts:
            row = spans[i].first + skipped
            cv2.merge([channel[done : done + count] for channel in channels], spans[i].picture[row : row + count])
            done += count
        top += rows


class _Part(NamedTuple):
    """`rows` rows of span number `span`, from its row `skipped` on."""

    span: int
    skipped: int
    rows: int


def _passes(counts: Sequence[int], most: int, whole: bool) -> list[list[_Part]]:
    """Spans of `counts` rows in order, put into passes of about `most` rows: each of one span, or of whole ones."""
    passes: list[list[_Part]] = []
    free = 0
    for i, count in enumerate(counts):
        for skipped in range(0, count, count if whole else most):
            part = _Part(i, skipped, min(count - skipped, count if whole else most))
            if whole and passes and part.rows <= free:
                passes[-1].append(part)
            else:
                passes.append([part])
                free = most
            free -= part.rows
    return passes


def _draw_sky(view: CameraPose, picture: np.ndarray) -> _Span:
    """Draws all but the ground."""
    k = view.intrinsics
    edge = min(max(horizon_row(view), 0.0), float(k.height))
    below = view.up[1] <= 0.0  # the ground lies below the horizon, unless the camera is upside down
    first, last = (math.ceil(edge), k.height) if below else (0, math.floor(edge))
    fill(picture[:first] if below else picture[last:], SKY)
    if edge != math.floor(edge):
        # The one row that the horizon cuts: that far away the ground has its mean colour.
        row = math.floor(edge)
        share = row + 1 - edge if below else edge - row
        mean = LINE_SHADE + (1.0 - LINE_SHADE) * MEAN_BARE
        picture[row] = [round(s + share * (g * mean - s)) for s, g in zip(SKY, GROUND, strict=True)]
    return _Span(view, picture, first, last)


class _Ground(NamedTuple):
    """Ground coordinates of some rows' pixels as forms in the ray's x, one set for each axis of the grid.

    Attributes: `place` [2, h, 2], the coordinate (m) is place . (x, 1) for `x_and_one` [2, w]; `spread` [2, h, 3], the
    squared footprint (m^2 per px^2) across the axis' lines is spread . (x^2, x, 1), for `powers` [3, w].
    """

    place: np.ndarray
    spread: np.ndarray
    x_and_one: np.ndarray
    powers: np.ndarray


def _ground_forms(spans: Sequence[_Span]) -> _Ground:
    """The forms for the rows of all spans, concatenated."""
    k = spans[0].view.intrinsics
    x_and_one = np.ones((2, k.width), np.float32)
    x_and_one[0] = (np.arange(0.5, k.width) - k.cx) / k.focal
    powers = np.concatenate([x_and_one[:1] ** 2, x_and_one])
    y = np.concatenate([np.arange(span.first + 0.5, span.last) for span in spans])
    y -= k.cy
    y /= k.focal
    seen_from = [
        (max(v.eye[2], MIN_EYE_HEIGHT_M), *v.up[1:], *v.right[:2], *v.down[:2], *v.forward[:2], *_within_cell(v))
        for v in (span.view for span in spans)
    ]
    of_row = np.repeat(np.array(seen_from).T, [span.last - span.first for span in spans], axis=1)
    height, up_y, up_z = of_row[:3]
    right, down, forward, offset = of_row[3:].reshape(4, 2, -1)
    # The camera is level, so a row lies at one depth. A ray meets the ground where depth * sink = height.
    sink = np.maximum(-y * up_y - up_z, 1e-9)
    depth = height / sink
    depth_by_y = depth * up_y / sink
    ahead = y * down + forward
    by_u = depth * right / k.focal
    by_v = (depth_by_y * ahead + depth * down) / k.focal
    by_v_x = depth_by_y * right / k.focal
    place = np.stack([depth * right, depth * ahead + offset], axis=-1).astype(np.float32)
    spread = np.stack([by_v_x * by_v_x, 2.0 * by_v * by_v_x, by_u * by_u + by_v * by_v], axis=-1).astype(np.float32)
    return _Ground(place, spread, x_and_one, powers)


def _within_cell(view: CameraPose) -> list[float]:
    # The grid repeats every metre; without whole metres float32 is precise enough.
    return [math.fmod(coordinate, GRID_M) for coordinate in view.eye[:2]]


def _bare_share(ground: _Ground, top: int, bottom: int, whole: bool) -> np.ndarray:
    """Share of each pixel of the rows `top`..`bottom` that no grid line covers: float32 [h, w], in scratch memory.

    Without `whole`, steps that change no pixel of these rows are skipped. Arrays are flat, [2 h, w], and changed in
    place in few passes: the cost is memory traffic.
    """
    place, spread = ground.place[:, top:bottom], ground.spread[:, top:bottom]
    width, rows = ground.x_and_one.shape[1], place.shape[1]
    away, footprint, other = (SCRATCH.array(slot, (2 * rows, width)) for slot in range(3))
    np.matmul(place, ground.x_and_one, out=away.reshape(2, rows, width))
    np.matmul(spread, ground.powers, out=footprint.reshape(2, rows, width))
    np.maximum(footprint, _SMALLEST, out=footprint)
    np.sqrt(footprint, out=footprint)
    # Squared it is a parabola that opens upwards: widest at an end.
    widest = max(float(footprint[:, 0].max()), float(footprint[:, -1].max()))
    # Distance to the nearest line's middle, then the band's trapezoid: a box of the line's width, averaged over the
    # footprint; its middle is at 0 here.
    cv2.absdiff(away, np.rint(away, out=other), away)
    away -= np.float32(0.5 * LINE_WIDTH_M)
    away *= np.divide(np.float32(1.0), footprint, out=other)
    if whole or widest > LINE_WIDTH_M:
        # A line thinner than the footprint covers only its share of it.
        other *= np.float32(-LINE_WIDTH_M)
        other += np.float32(0.5)
        np.maximum(away, other, out=away)
    if whole or widest > FADE_FROM:
        # Neighbouring lines begin to share a pixel: change over to the mean of the ground.
        np.minimum(away, np.float32(0.5), out=away)
        away -= np.float32(MEAN_BARE - 0.5)
        footprint *= np.float32(-1.0 / (FADE_TO - FADE_FROM))
        footprint += np.float32(FADE_TO / (FADE_TO - FADE_FROM))
        away *= clip_unit(footprint)
        away += np.float32(MEAN_BARE - 0.5)
    bare = cv2.min(away[:rows], away[rows:], other[:rows])
    bare += np.float32(0.5)
    return clip_unit(bare)


__all__ = ["GROUND", "LINE_SHADE", "SKY", "draw_backgrounds"]
