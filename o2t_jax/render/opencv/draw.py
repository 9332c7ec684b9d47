"""Boxes of pixels, anti-aliased polygons and blending. Independent of camera and world. For ellipses see `coverage`.

Pixel coordinates are those of `o2t_jax.types`: the centre of pixel (row i, column j) lies at (j + 0.5, i + 0.5).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

# cv2's integers: 8 fractional bits, and a limit that keeps coordinates from overflowing.
_SHIFT = 8
_FAR_PX = 1.0e6

_MAX_SCRATCH = 1 << 23


class _Scratch(threading.local):
    """Memory that each thread reuses: fresh large arrays cost more in page faults than the drawing itself."""

    def __init__(self) -> None:
        self.held: dict[int, np.ndarray] = {}

    def array(self, slot: int, shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
        """An array, contents undefined; valid until the same slot is requested again."""
        count = math.prod(shape)
        held = self.held.get(slot)
        if held is None or held.dtype != dtype or held.size < count:
            held = np.empty(count, dtype)
            if count <= _MAX_SCRATCH:
                self.held[slot] = held
        return held[:count].reshape(shape)


SCRATCH = _Scratch()


class Box(NamedTuple):
    """A rectangle of pixels: rows `top`..`bottom`, columns `left`..`right`, ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the rectangle in a picture."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def meet(self, other: Box) -> Box | None:
        """The common part of two boxes, None when there is none."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return Box(top, left, bottom, right) if top < bottom and left < right else None


def box_around(u_min: float, v_min: float, u_max: float, v_max: float, height: int, width: int) -> Box | None:
    """Pixels of a `height` x `width` picture that a region touches; None when it lies outside or is not finite."""
    if not (u_max > 0.0 and v_max > 0.0 and u_min < width and v_min < height):  # False for NaN too
        return None
    left, top = int(max(u_min, 0.0)), int(max(v_min, 0.0))
    right, bottom = math.ceil(min(u_max, width)), math.ceil(min(v_max, height))
    return Box(top, left, bottom, right) if top < bottom and left < right else None


def clip_unit(field: np.ndarray) -> np.ndarray:
    """`field` float32 [h, w] limited to 0..1, in place; cv2 is twice as fast here as numpy with a scalar."""
    cv2.threshold(field, 1.0, 0.0, cv2.THRESH_TRUNC, field)
    cv2.threshold(field, 0.0, 0.0, cv2.THRESH_TOZERO, field)
    return field


def fill(picture: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    """Fills uint8 [H, W, 3] with one colour and returns it. Numpy's own broadcast of three bytes is 20 times slower."""
    picture[:] = np.array([colour], np.uint8).repeat(picture.shape[1], axis=0)
    return picture


def fixed_point(points: np.ndarray) -> np.ndarray:
    """`points` [N, 2] px, (u, v), as cv2's integers, for `fill_polygon` and `stroke`."""
    # cv2 puts pixel centres at integers, this project at half integers.
    limited = np.minimum(np.maximum(points - 0.5, -_FAR_PX), _FAR_PX)
    return np.rint(limited * (1 << _SHIFT)).astype(np.int32)


def fill_polygon(canvas: np.ndarray, points: np.ndarray, colour: tuple[float, ...]) -> None:
    """Fills a convex polygon, int [N, 2] from `fixed_point`, on uint8 [H, W] or [H, W, 3]; anti-aliased by cv2.

    cv2 puts its border up to 0.2 px too low: draw on a finer canvas where that matters.
    """
    cv2.fillConvexPoly(canvas, points, colour, cv2.LINE_AA, _SHIFT)


def stroke(canvas: np.ndarray, outlines: Sequence[np.ndarray], colour: tuple[float, ...], thickness: int = 1) -> None:
    """Draws closed outlines, each int [N, 2] from `fixed_point`, anti-aliased by cv2."""
    cv2.polylines(canvas, outlines, True, colour, thickness, cv2.LINE_AA, _SHIFT)


def blend(picture: np.ndarray, box: Box, paint: np.ndarray, coverage: np.ndarray) -> None:
    """Blends `paint` (uint8 [h, w, 3]) over the box of a picture (uint8 [H, W, 3]) with `coverage` float32 [h, w]."""
    region = picture[box.top : box.bottom, box.left : box.right]
    region[...] = cv2.blendLinear(region, paint, np.subtract(np.float32(1.0), coverage), coverage)


__all__ = [
    "SCRATCH",
    "Box",
    "blend",
    "box_around",
    "clip_unit",
    "fill",
    "fill_polygon",
    "fixed_point",
    "stroke",
]
