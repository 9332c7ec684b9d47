"""Static solids on the ground: the ramp and the two scale bars, as layers over the background.

A layer is drawn once for a camera. Balls are drawn over the finished picture afterwards, and the coverage of a solid in
front of a ball is subtracted from the ball's. The order of two convex bodies needs no depth buffer: the plane through
their closest points separates them, and the one on the eye's side of it hides the other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from o2t_jax.physics.room.ramp import Ramp, RampFrame, ramp_corners, ramp_frame
from o2t_jax.render.appearance import (
    BACK_SHADE,
    BAR_COLOUR,
    BAR_HALF_WIDTH_M,
    BAR_HEIGHT_M,
    BAR_MIN_HALF_WIDTH_PX,
    CANVASES,
    EDGE_ROWS,
    EDGE_SHADE,
    RAMP_COLOUR,
    SIDE_SHADE,
    TOP_GAIN,
    TOUCH,
)
from o2t_jax.render.opencv.ball import Patch, Sphere
from o2t_jax.render.opencv.draw import SCRATCH, Box, box_around, fill, fill_polygon, fixed_point, stroke
from o2t_jax.render.pose import CameraPose, Pixel, Point, clip_near

# Corners (see `ramp_corners`) of the wedge's faces: top, back, right, left.
_FACES = ((0, 1, 2, 3), (2, 3, 5, 4), (1, 2, 4), (0, 3, 5))


class Solid(Protocol):
    """A convex body that does not move."""

    def patch(self, view: CameraPose) -> Patch | None:
        """Its visible part in a picture, None when there is none."""
        ...

    def hides(self, sphere: Sphere, box: Box) -> bool | np.ndarray:
        """Whether it is in front of a sphere: one answer, or its share 0..1 in each pixel of `box` [h, w]."""
        ...


class RampSolid:
    """The ramp.

    Attributes: `frame` of its surface; `faces`, each with its corners, outward unit normal, distance of its plane from
    the origin along the normal (m), and brightness; `middle` and `reach`, a sphere around it all (m).
    """

    def __init__(self, ramp: Ramp):
        self.frame, self.height = ramp_frame(ramp), float(ramp.height)
        f = self.frame
        corners = [tuple(corner) for corner in ramp_corners(ramp).tolist()]
        # Outward: up from the surface, uphill behind it, to the right and to the left when facing uphill.
        normals = (f.normal, (f.ux, f.uy, 0.0), (f.uy, -f.ux, 0.0), (-f.uy, f.ux, 0.0))
        shades = (SIDE_SHADE + TOP_GAIN * f.cos, BACK_SHADE, SIDE_SHADE, SIDE_SHADE)
        self.faces = [
            ([corners[i] for i in face], normal, _dot(normal, corners[face[0]]), shade)
            for face, normal, shade in zip(_FACES, normals, shades, strict=True)
        ]
        self.middle = (f.x + 0.5 * f.run * f.ux, f.y + 0.5 * f.run * f.uy, 0.5 * self.height)
        self.reach = math.dist(self.middle, corners[0])

    def closest(self, point: Point) -> Point:
        """The wedge's point nearest to `point` (m); the point itself when it lies inside."""
        f = self.frame
        dx, dy = point[0] - f.x, point[1] - f.y
        across = min(max(f.ux * dy - f.uy * dx, -f.half_width), f.half_width)
        up, z = _closest_in_profile(f.ux * dx + f.uy * dy, point[2], f, self.height)
        return f.x + up * f.ux - across * f.uy, f.y + up * f.uy + across * f.ux, z

    def patch(self, view: CameraPose) -> Patch | None:
        if not view.sees(view.local(*self.middle), self.reach):
            return None
        seen = [
            (pixels, tuple(round(c * shade) for c in RAMP_COLOUR))
            for corners, normal, offset, shade in self.faces
            if _dot(normal, view.eye) > offset and (pixels := view.polygon(corners))
        ]
        return _polygons(view, seen, edges=tuple(round(c * EDGE_SHADE) for c in RAMP_COLOUR)) if seen else None

    def hides(self, sphere: Sphere, box: Box) -> bool | np.ndarray:
        near = self.closest(sphere.centre)
        if math.dist(near, sphere.centre) < TOUCH * sphere.radius:
            # The ball is partly inside (the ramp's sides are no obstacle to it): compare depths.
            return self._nearer(sphere, box)
        return _beyond(sphere.centre, near, sphere.view.eye)

    def _nearer(self, sphere: Sphere, box: Box) -> np.ndarray:
        """1 in the pixels in which the wedge's surface is nearer than the sphere's, else 0; float32 [h, w]."""
        view, k = sphere.view, sphere.view.intrinsics
        x = (np.arange(box.left + 0.5, box.right) - k.cx) / k.focal
        y = (np.arange(box.top + 0.5, box.bottom)[:, None] - k.cy) / k.focal
        # The ray enters the wedge at the farthest of the planes that it meets from outside.
        entry = np.zeros(box.shape)
        for _, normal, offset, _ in self.faces:
            gap = _dot(normal, view.eye) - offset
            towards = -(x * _dot(normal, view.right) + y * _dot(normal, view.down) + _dot(normal, view.forward))
            if gap > 0.0:
                entry = np.maximum(entry, gap / np.maximum(towards, 1e-9))
        cx, cy, cz = sphere.local
        along, square = cx * x + cy * y + cz, 1.0 + x * x + y * y
        ball = (along - np.sqrt(np.maximum(along * along - square * sphere.power, 0.0))) / square
        return (entry < ball).astype(np.float32)


def _dot(a: Point, b: Point) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _beyond(centre: Point, near: Point, eye: Point) -> bool:
    """Whether `centre` is on the other side of the plane through `near`, across the line to `centre`, than `eye`."""
    return sum((c - n) * (e - n) for c, n, e in zip(centre, near, eye, strict=True)) < 0.0


def _closest_in_profile(up: float, z: float, f: RampFrame, height: float) -> tuple[float, float]:
    """The point nearest to (`up`, `z`) of the ramp's profile, the triangle (0, 0), (run, 0), (run, height)."""
    if up * f.sin >= z * f.cos:  # below the line of the surface
        return min(max(up, 0.0), f.run), min(max(z, 0.0), height)
    along = min(max(up * f.cos + z * f.sin, 0.0), f.length)
    return along * f.cos, along * f.sin


class ScaleBar:
    """A thin red bar along y, centred at (`x`, 0)."""

    def __init__(self, x: float, half_length: float):
        self.x, self.half_length = x, half_length
        self.middle = (x, 0.0, BAR_HEIGHT_M)

    def patch(self, view: CameraPose) -> Patch | None:
        if not view.sees(view.local(*self.middle), self.half_length + BAR_HALF_WIDTH_M):
            return None
        ends = [view.local(self.x, y, BAR_HEIGHT_M) for y in (-self.half_length, self.half_length)]
        local = clip_near(ends)
        if len(local) < 2:
            return None
        k = view.intrinsics
        (ua, va), (ub, vb) = ((k.cx + k.focal * x / z, k.cy + k.focal * y / z) for x, y, z in local[:2])
        length = math.hypot(ub - ua, vb - va)
        nu, nv = ((va - vb) / length, (ub - ua) / length) if length > 1e-6 else (0.0, 1.0)
        a, b = (max(BAR_HALF_WIDTH_M * k.focal / z, BAR_MIN_HALF_WIDTH_PX) for _, _, z in local[:2])
        outline = [
            (ua - a * nu, va - a * nv),
            (ub - b * nu, vb - b * nv),
            (ub + b * nu, vb + b * nv),
            (ua + a * nu, va + a * nv),
        ]
        return _polygons(view, [(outline, BAR_COLOUR)])

    def hides(self, sphere: Sphere, box: Box) -> bool | np.ndarray:
        y = min(max(sphere.centre[1], -self.half_length), self.half_length)
        return _beyond(sphere.centre, (self.x, y, BAR_HEIGHT_M), sphere.view.eye)


def _polygons(
    view: CameraPose, faces: list[tuple[list[Pixel], tuple[int, ...]]], edges: tuple[int, ...] | None = None
) -> Patch | None:
    """Draws convex polygons (px, colour) that do not overlap on a finer canvas.

    With `edges`, their borders are drawn in that colour; without, all polygons have the first one's colour.
    """
    k = view.intrinsics
    corners = [pixel for pixels, _ in faces for pixel in pixels]
    us, vs = zip(*corners, strict=True)
    box = box_around(min(us) - 1.0, min(vs) - 1.0, max(us) + 1.0, max(vs) + 1.0, k.height, k.width)
    if box is None:
        return None
    height, width = box.shape
    fine = next(fine for fine, most in CANVASES if most is None or height * width <= most)
    on_canvas = fixed_point((np.array(corners) - (box.left, box.top)) * fine)
    ends = itertools.accumulate((len(pixels) for pixels, _ in faces), initial=0)
    points = [on_canvas[start:end] for start, end in itertools.pairwise(ends)]
    alpha = SCRATCH.array(4, (height * fine, width * fine), np.uint8)
    alpha.fill(0)
    for polygon in points:
        fill_polygon(alpha, polygon, (255,))
    share = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA) if fine > 1 else alpha
    coverage = share * np.float32(1.0 / 255.0)
    if edges is None:
        return Patch(box, coverage, fill(np.empty((height, width, 3), np.uint8), faces[0][1]))
    # Painted everywhere first, so that the averaging below does not mix in black at the outline.
    paint = fill(SCRATCH.array(3, (height * fine, width * fine, 3), np.uint8), faces[0][1])
    for polygon, (_, colour) in zip(points, faces, strict=True):
        fill_polygon(paint, polygon, colour)
    stroke(paint, points, edges, max(1, round(fine * k.height / EDGE_ROWS)))
    # In either case copied out of the scratch memory.
    small = cv2.resize(paint, (width, height), interpolation=cv2.INTER_AREA) if fine > 1 else paint.copy()
    return Patch(box, coverage, small)


class Layer(NamedTuple):
    """A solid with its patch in the picture of one camera."""

    solid: Solid
    patch: Patch


def stand_order(view: CameraPose, wedge: RampSolid | None, bars: Sequence[ScaleBar]) -> list[Layer]:
    """The solids that the camera sees, farther ones first."""
    behind, front = [], []
    for bar in bars:
        # A bar is thin and low: its middle represents it.
        hidden = wedge is not None and wedge.hides(Sphere(view, bar.middle, 0.0), Box(0, 0, 1, 1))
        (behind if hidden else front).append(bar)
    solids: list[Solid] = [*behind, *([wedge] if wedge is not None else []), *front]
    layers = [(solid, solid.patch(view)) for solid in solids]
    return [Layer(solid, patch) for solid, patch in layers if patch is not None]


__all__ = ["BAR_COLOUR", "RAMP_COLOUR", "Layer", "RampSolid", "ScaleBar", "Solid", "stand_order"]
