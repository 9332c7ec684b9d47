"""Anti-aliased shapes on a pixel grid: ellipses, conics, polygons. Knows no camera and no world.

Pixel coordinates are those of `o2t_jax.types`: the centre of pixel (row i, column j) lies at (j + 0.5, i + 0.5).
Coverage is the area of the shape inside the pixel's square, 0..1.

A large ellipse's coverage is exact for the straight edge that is tangent to it in each border pixel; a small one is
first drawn on a finer grid and averaged, so that both stay within about 1% (tests/render/test_draw.py).
"""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

import cv2
import numpy as np

# Below this half width (px) an ellipse is drawn on a finer grid: a straight edge is no longer a good picture of an arc.
_SMOOTH_RADIUS_PX = 4.0
_MIN_SUPERSAMPLING, _MAX_SUPERSAMPLING = 3, 32
# cv2's integers: 8 fractional bits, and no coordinate so far out that it overflows.
_SHIFT = 8
_FAR_PX = 1.0e6
# Smaller than this (half width, px) an ellipse changes no byte.
_INVISIBLE_PX = 0.02


_MAX_SCRATCH = 1 << 23


class _Scratch(threading.local):
    """Memory that each thread uses again: fresh large arrays cost more in page faults than the drawing itself."""

    def __init__(self) -> None:
        self.held: dict[int, np.ndarray] = {}

    def array(self, slot: int, shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
        """An array, contents undefined; valid until the same slot is asked for again."""
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


class Ellipse(NamedTuple):
    """The region a du^2 + 2 b du dv + c dv^2 <= 1 around the centre (`u`, `v`) px; `a`, `b`, `c` in 1/px^2."""

    u: float
    v: float
    a: float
    b: float
    c: float

    @property
    def half_extent(self) -> tuple[float, float]:
        """Half width and half height (px) of the upright rectangle around the ellipse."""
        det = self.a * self.c - self.b * self.b
        return math.sqrt(self.c / det), math.sqrt(self.a / det)


def ellipse_from_conic(
    xx: float, xy: float, yy: float, x1: float, y1: float, one: float
) -> tuple[float, float, float, float, float] | None:
    """The ellipse in which xx x^2 + 2 xy x y + yy y^2 + 2 x1 x + 2 y1 y + one >= 0.

    Returns: the fields of an `Ellipse` in the conic's own coordinates, None when the region is no ellipse.
    """
    det = xx * yy - xy * xy
    if not (det > 0.0 and xx < 0.0):
        return None
    x, y = (xy * y1 - yy * x1) / det, (xy * x1 - xx * y1) / det
    peak = x1 * x + y1 * y + one
    if not (peak > 0.0 and math.isfinite(peak)):
        return None
    return x, y, -xx / peak, -xy / peak, -yy / peak


class Grid(NamedTuple):
    """Sample points over a box, `per_u` x `per_v` in each pixel.

    Attributes: `du` [w * per_u], `dv` [h * per_v]: the points' px from the ellipse's centre, float32.
    """

    box: Box
    per_u: int
    per_v: int
    du: np.ndarray
    dv: np.ndarray

    @property
    def plain(self) -> bool:
        """Whether there is one point in each pixel, its centre."""
        return self.per_u == 1 and self.per_v == 1

    def shrink(self, field: np.ndarray) -> np.ndarray:
        """Means [h, w] over the pixels of a field [h * per_v, w * per_u] of float32."""
        if self.per_u == 1 and self.per_v == 1:
            return field
        box = self.box
        return cv2.resize(field, (box.right - box.left, box.bottom - box.top), interpolation=cv2.INTER_AREA)


def grid_for(ellipse: Ellipse, height: int, width: int) -> Grid | None:
    """Sample points over the pixels of a `height` x `width` picture that an ellipse touches, as fine as it asks for.

    None where the ellipse is out of the picture or too small to change a byte.
    """
    u, v = ellipse.u, ellipse.v
    hu, hv = ellipse.half_extent
    box = box_around(u - hu, v - hv, u + hu, v + hv, height, width)
    if box is None or max(hu, hv) < _INVISIBLE_PX:
        return None
    per_u, per_v = _fineness(hu), _fineness(hv)
    return Grid(box, per_u, per_v, _points(box.left, box.right, per_u, u), _points(box.top, box.bottom, per_v, v))


def _fineness(half: float) -> int:
    if half >= _SMOOTH_RADIUS_PX:
        return 1
    return min(max(math.ceil(_SMOOTH_RADIUS_PX / max(half, 1e-3)), _MIN_SUPERSAMPLING), _MAX_SUPERSAMPLING)


def _points(first: int, last: int, per: int, origin: float) -> np.ndarray:
    points = np.arange((last - first) * per, dtype=np.float64)
    points *= 1.0 / per
    points += first + 0.5 / per - origin
    return points.astype(np.float32)


def outer_sum(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """rows[i] + columns[j]: [h, w]."""
    return rows[:, None] + columns


def _square_form(x: np.ndarray, y: np.ndarray, a: float, b: float, c: float) -> tuple[np.ndarray, np.ndarray]:
    """a x^2 + 2 b x y + c y^2 = S^2 + rest on the grid of `x` [w], `y` [h]: S [h, w] and rest [h]; a > 0."""
    root = math.sqrt(a)
    return outer_sum((b / root) * y, root * x), (c - b * b / a) * (y * y)


def ellipse_coverage(ellipse: Ellipse, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Coverage of the grid's cells by an ellipse, float32, and 1 - q (q the ellipse's form, 1 on its outline).

    Both have the grid's own fineness: average the coverage with `grid.shrink`.
    """
    du, dv, per_u, per_v = grid.du, grid.dv, grid.per_u, grid.per_v
    a, b, c = ellipse.a, ellipse.b, ellipse.c
    inside, rest = _square_form(du, dv, a, b, c)
    inside *= inside
    np.subtract((1.0 - rest)[:, None], inside, out=inside)
    if not grid.plain:
        # From here in units of the grid's cells.
        du, dv = du * per_u, dv * per_v
        a, b, c = a / (per_u * per_u), b / (per_u * per_v), c / (per_v * per_v)
    # The arc bends away from its tangent by curvature / 24 on the average over a cell's width.
    bend = math.sqrt(math.sqrt(a * c - b * b)) / 24.0
    if grid.plain:
        return _plain_coverage(inside, du, dv, a, b, c, bend), inside
    # Distance to the outline, exact for circles: (1 - s) / |grad s| with s = sqrt(q).
    tiny = 1e-6
    form = np.subtract(np.float32(1.0), inside)
    np.maximum(form, np.float32(tiny), out=form)
    slope, rest = _square_form(du, dv, a * a + b * b, b * (a + c), b * b + c * c)
    slope *= slope
    slope += (rest + tiny * math.sqrt(a * c - b * b))[:, None]
    np.divide(form, slope, out=slope)
    np.sqrt(slope, out=slope)
    np.sqrt(form, out=form)
    np.subtract(np.float32(1.0), form, out=form)
    slope *= form
    slope += np.float32(0.5 - bend)
    return clip_unit(slope), inside


def _plain_coverage(
    inside: np.ndarray, du: np.ndarray, dv: np.ndarray, a: float, b: float, c: float, bend: float
) -> np.ndarray:
    """Coverage of whole pixels: 0 or 1, except near the outline, where each pixel is cut by its own tangent."""
    coverage = (inside > 0.0).astype(np.float32)
    # Only pixels whose centre is within 0.8 px of the outline can be cut; q changes by at most 2 / r_min per px there.
    half_trace = 0.5 * (a + c)
    steepest = math.sqrt(half_trace + math.sqrt(max(half_trace * half_trace - (a * c - b * b), 0.0)))
    reach = 0.8 * steepest
    border = np.flatnonzero(np.abs(inside + reach * reach) <= 2.0 * reach + 1e-5)
    if not border.size:
        return coverage
    row, column = np.divmod(border, len(du))
    x, y = du[column].astype(np.float64), dv[row].astype(np.float64)
    gx, gy = a * x + b * y, b * x + c * y
    q = gx * x + gy * y
    slope = np.sqrt(gx * gx + gy * gy)
    s = np.sqrt(q)
    distance = (1.0 - s) * s / slope - bend
    coverage.reshape(-1)[border] = half_plane_coverage(gx / slope, gy / slope, distance)
    return coverage


def clip_unit(field: np.ndarray) -> np.ndarray:
    """`field` float32 [h, w] limited to 0..1, in place; cv2 is twice as fast here as numpy with a scalar."""
    cv2.threshold(field, 1.0, 0.0, cv2.THRESH_TRUNC, field)
    cv2.threshold(field, 0.0, 0.0, cv2.THRESH_TOZERO, field)
    return field


def half_plane_coverage(nx: np.ndarray, ny: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Area of the unit square that lies on the inner side of a straight edge; exact.

    Args: (`nx`, `ny`) the edge's unit normal, `distance` from the square's centre to the edge, positive when the
    centre is inside; arrays of one shape.
    """
    nx, ny = np.abs(nx), np.abs(ny)
    wide, narrow = np.maximum(nx, ny), np.maximum(np.minimum(nx, ny), 1e-9)
    # The area cut off: a triangle while the edge passes one corner, then a strip for what goes beyond it.
    depth = np.maximum(0.5 * (wide + narrow) - np.abs(distance), 0.0)
    corner = np.minimum(depth, narrow)
    cut = (0.5 * corner * corner / narrow + depth - corner) / wide
    return np.where(distance >= 0.0, 1.0 - cut, cut)


def conic_coverage(
    conic: tuple[float, float, float, float, float, float],
    line: tuple[float, float, float],
    x: np.ndarray,
    y: np.ndarray,
    step: float,
) -> np.ndarray:
    """Coverage [h, w] of pixels by the points of a conic, open or not, that lie on one side of a line.

    Args: `conic` as in `ellipse_from_conic`; `line` (lx, ly, l1): the side where lx x + ly y + l1 > 0; the pixels'
    centres `x` [w], `y` [h] in the conic's coordinates, `step` apart. First order in the distance to the outline (a few
    per cent): for the rare shape that reaches behind the camera.
    """
    xx, xy, yy, x1, y1, one = conic
    y = y[:, None]
    gx, gy = xx * x + xy * y + x1, xy * x + yy * y + y1
    value = gx * x + gy * y + x1 * x + y1 * y + one
    coverage = np.clip(0.5 + value / (2.0 * step * np.hypot(gx, gy) + 1e-30), 0.0, 1.0)
    coverage[line[0] * x + line[1] * y + line[2] <= 0.0] = 0.0
    return coverage.astype(np.float32)


def fill(picture: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    """Fills uint8 [H, W, 3] with one colour and returns it. Numpy's own broadcast of three bytes is 20 times slower."""
    picture[:] = np.array([colour], np.uint8).repeat(picture.shape[1], axis=0)
    return picture


def fill_polygon(canvas: np.ndarray, points: np.ndarray, colour: tuple[float, ...]) -> None:
    """Fills a convex polygon, `points` [N, 2] px as (u, v), on uint8 [H, W] or [H, W, 3]; anti-aliased by cv2.

    cv2 puts its border up to 0.2 px too low: draw on a finer canvas where that matters.
    """
    cv2.fillConvexPoly(canvas, _fixed_point(points), colour, cv2.LINE_AA, _SHIFT)


def stroke(canvas: np.ndarray, points: np.ndarray, colour: tuple[float, ...], thickness: int = 1) -> None:
    """Draws the closed outline through `points` [N, 2] px as (u, v), anti-aliased by cv2."""
    cv2.polylines(canvas, [_fixed_point(points)], True, colour, thickness, cv2.LINE_AA, _SHIFT)


def _fixed_point(points: np.ndarray) -> np.ndarray:
    # cv2 puts pixel centres on integers, this project on halves.
    limited = np.clip(points - 0.5, -_FAR_PX, _FAR_PX)
    return np.rint(limited * (1 << _SHIFT)).astype(np.int32)


def blend(picture: np.ndarray, box: Box, paint: np.ndarray, coverage: np.ndarray) -> None:
    """Lays `paint` (uint8 [h, w, 3]) over the box of a picture (uint8 [H, W, 3]) with `coverage` float32 [h, w]."""
    region = picture[box.top : box.bottom, box.left : box.right]
    region[...] = cv2.blendLinear(region, paint, np.subtract(np.float32(1.0), coverage), coverage)


__all__ = [
    "SCRATCH",
    "Box",
    "Ellipse",
    "Grid",
    "blend",
    "box_around",
    "clip_unit",
    "conic_coverage",
    "ellipse_coverage",
    "ellipse_from_conic",
    "fill",
    "fill_polygon",
    "grid_for",
    "half_plane_coverage",
    "outer_sum",
    "stroke",
]
