"""What stands on the ground and never moves: the ramp and the two scale bars, as layers over the background.

A layer is drawn once for a camera. Balls are laid over the finished picture afterwards, and what stands in front of a
ball takes its own coverage away from the ball's. Which of two convex bodies is in front needs no depth buffer: the plane
through their closest points parts them, and the one on the eye's side of it hides the other.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from o2t_jax.physics.ramp import Ramp, ramp_corners, ramp_frame
from o2t_jax.render.ball import Patch, Sphere
from o2t_jax.render.draw import Box, box_around, fill_polygon, stroke
from o2t_jax.render.view import View, clip_near

BAR_COLOUR = (220, 30, 30)
BAR_X_M, BAR_HEIGHT_M = 3.0, 0.1
BAR_HALF_WIDTH_M, BAR_MIN_HALF_WIDTH_PX = 0.03, 0.25
RAMP_COLOUR = (206, 178, 138)
EDGE_SHADE = 0.55
# Corners (see `ramp_corners`) of the wedge's faces: top, back, right, left.
_FACES = ((0, 1, 2, 3), (2, 3, 5, 4), (1, 2, 4), (0, 3, 5))
# Pixels of a layer up to which it is drawn 4 and 2 times as fine.
_FINE_4, _FINE_2 = 24_000, 100_000
_TOUCH = 0.999


class Solid(Protocol):
    """A convex body that does not move."""

    def patch(self, view: View) -> Patch | None:
        """What a picture shows of it, None when nothing."""
        ...

    def hides(self, sphere: Sphere, centre: np.ndarray, box: Box) -> bool | np.ndarray:
        """Whether it is in front of a sphere: one answer, or its share 0..1 in each pixel of `box` [h, w]."""
        ...


class Wedge:
    """The ramp."""

    def __init__(self, ramp: Ramp):
        self.frame, self.height = ramp_frame(ramp), float(ramp.height)
        corners = ramp_corners(ramp)
        middle = corners.mean(axis=0)
        self.faces = [corners[list(face)] for face in _FACES]
        normals = np.array([np.cross(f[1] - f[0], f[2] - f[0]) for f in self.faces])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        outward = np.sign(np.einsum("fi,fi->f", normals, np.array([f[0] for f in self.faces]) - middle))
        self.normals = normals * outward[:, None]
        self.offsets = np.array([float(n @ f[0]) for n, f in zip(self.normals, self.faces, strict=True)])

    def closest(self, point: np.ndarray) -> tuple[float, float, float]:
        """The wedge's point [3] nearest to `point` [3] m; the point itself when it lies inside."""
        f = self.frame
        dx, dy, z = float(point[0]) - f.x, float(point[1]) - f.y, float(point[2])
        up, across = f.ux * dx + f.uy * dy, f.ux * dy - f.uy * dx
        across = min(max(across, -f.half_width), f.half_width)
        up, z = _closest_in_profile(up, z, f.run, self.height, f.cos, f.sin)
        return f.x + up * f.ux - across * f.uy, f.y + up * f.uy + across * f.ux, z

    def patch(self, view: View) -> Patch | None:
        seen = [
            (view.pixels(clipped), normal)
            for face, normal, offset in zip(self.faces, self.normals, self.offsets, strict=True)
            if normal @ view.position > offset and len(clipped := clip_near(view.local(face))) >= 3
        ]
        # Light from above, as on the balls; the back is a little darker than the sides.
        along = np.array([self.frame.ux, self.frame.uy, 0.0])
        shades = [0.62 + 0.38 * n[2] - 0.10 * max(float(n @ along), 0.0) for _, n in seen]
        return _polygons(view, [(pixels, shade) for (pixels, _), shade in zip(seen, shades, strict=True)])

    def hides(self, sphere: Sphere, centre: np.ndarray, box: Box) -> bool | np.ndarray:
        near = self.closest(centre)
        apart = (centre[0] - near[0], centre[1] - near[1], centre[2] - near[2])
        if math.hypot(*apart) < _TOUCH * sphere.radius:
            # The ball is partly inside (the ramp's sides are no obstacle to it): compare depths.
            return self._nearer(sphere, box)
        eye = sphere.view.position
        return bool(sum(a * (e - n) for a, e, n in zip(apart, eye.tolist(), near, strict=True)) < 0.0)

    def _nearer(self, sphere: Sphere, box: Box) -> np.ndarray:
        """Share of each pixel in which the wedge's surface is nearer than the sphere's; float32 [h, w]."""
        view = sphere.view
        v, u = np.mgrid[box.top : box.bottom, box.left : box.right] + 0.5
        rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ view.pixel_to_ray.T
        # The ray enters the wedge at the farthest of the planes that it meets from outside.
        towards = rays @ view.rotation @ self.normals.T
        gap = self.normals @ view.position - self.offsets
        entry = np.where(towards < -1e-9, gap / np.minimum(-towards, -1e-9) * -1.0, -np.inf).max(axis=-1)
        along, square = rays @ np.array(sphere.local), np.sum(rays * rays, axis=-1)
        ball = (along - np.sqrt(np.maximum(along * along - square * sphere.power, 0.0))) / square
        return (np.where(np.isfinite(entry), entry, 0.0) < ball).astype(np.float32)


def _closest_in_profile(up: float, z: float, run: float, height: float, cos: float, sin: float) -> tuple[float, float]:
    """The point nearest to (`up`, `z`) of the triangle (0, 0), (run, 0), (run, height)."""
    if z <= min(up, run) * (sin / cos):  # below the surface's line, or behind its upper edge and lower than it
        inside_up = min(max(up, 0.0), run)
        return inside_up, min(max(z, 0.0), height)
    s = min(max(up * cos + z * sin, 0.0), height / sin)
    if up > run and z <= height:
        return run, max(z, 0.0)
    return s * cos, s * sin


class Bar:
    """A thin red bar along y."""

    def __init__(self, x: float, half_length: float):
        self.x, self.half_length = x, half_length

    def patch(self, view: View) -> Patch | None:
        ends = np.array([[self.x, -self.half_length, BAR_HEIGHT_M], [self.x, self.half_length, BAR_HEIGHT_M]])
        local = clip_near(view.local(ends))
        if len(local) < 2:
            return None
        a, b = view.pixels(local[:2])
        along = b - a
        length = math.hypot(*along)
        across = np.array([-along[1], along[0]]) / length if length > 1e-6 else np.array([0.0, 1.0])
        wa, wb = np.maximum(BAR_HALF_WIDTH_M * view.intrinsics.focal / local[:2, 2], BAR_MIN_HALF_WIDTH_PX)
        outline = np.array([a - wa * across, b - wb * across, b + wb * across, a + wa * across])
        return _polygons(view, [(outline, 1.0)], BAR_COLOUR, edges=False)

    def hides(self, sphere: Sphere, centre: np.ndarray, box: Box) -> bool | np.ndarray:
        y = min(max(float(centre[1]), -self.half_length), self.half_length)
        apart = (float(centre[0]) - self.x, float(centre[1]) - y, float(centre[2]) - BAR_HEIGHT_M)
        eye = sphere.view.position.tolist()
        return apart[0] * (eye[0] - self.x) + apart[1] * (eye[1] - y) + apart[2] * (eye[2] - BAR_HEIGHT_M) < 0.0


def _polygons(
    view: View,
    faces: list[tuple[np.ndarray, float]],
    colour: tuple[int, int, int] = RAMP_COLOUR,
    edges: bool = True,
) -> Patch | None:
    """Draws convex polygons ([N, 2] px, brightness) that do not overlap, on a finer canvas."""
    if not faces:
        return None
    k = view.intrinsics
    corners = np.concatenate([pixels for pixels, _ in faces])
    low, high = corners.min(axis=0) - 1.0, corners.max(axis=0) + 1.0
    box = box_around(low[0], low[1], high[0], high[1], k.height, k.width)
    if box is None:
        return None
    height, width = box.shape
    fine = 4 if height * width <= _FINE_4 else 2 if height * width <= _FINE_2 else 1
    first = tuple(round(c * faces[0][1]) for c in colour)
    paint = np.full((height * fine, width * fine, 3), first, np.uint8)
    alpha = np.zeros((height * fine, width * fine), np.uint8)
    moved = [((pixels - (box.left, box.top)) * fine, shade) for pixels, shade in faces]
    for pixels, shade in moved:
        fill_polygon(paint, pixels, tuple(round(c * shade) for c in colour))
        fill_polygon(alpha, pixels, (255,))
    if edges:
        thickness = max(1, round(fine * k.height / 512))
        for pixels, _ in moved:
            stroke(paint, pixels, tuple(round(c * EDGE_SHADE) for c in colour), thickness)
    if fine > 1:
        paint = cv2.resize(paint, (width, height), interpolation=cv2.INTER_AREA)
    share = alpha.astype(np.float32)
    share *= np.float32(1.0 / 255.0)
    if fine > 1:
        share = cv2.resize(share, (width, height), interpolation=cv2.INTER_AREA)
    return Patch(box, share, paint)


class Layer(NamedTuple):
    """A solid with what one camera sees of it."""

    solid: Solid
    patch: Patch


def stand_order(view: View, wedge: Wedge | None, bars: list[Bar]) -> list[Layer]:
    """The solids that the camera sees, farther ones first."""
    behind, front = [], []
    for bar in bars:
        # A bar is thin and low: its middle stands for it.
        middle = np.array([bar.x, 0.0, BAR_HEIGHT_M])
        hidden = wedge is not None and wedge.hides(Sphere(view, middle, 1e-6), middle, Box(0, 0, 1, 1))
        (behind if np.all(hidden) else front).append(bar)
    solids: list[Solid] = [*behind, *([wedge] if wedge is not None else []), *front]
    layers = [(solid, solid.patch(view)) for solid in solids]
    return [Layer(solid, patch) for solid, patch in layers if patch is not None]


__all__ = ["BAR_COLOUR", "RAMP_COLOUR", "Bar", "Layer", "Solid", "Wedge", "stand_order"]
