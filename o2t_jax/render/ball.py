"""A shaded sphere and its shadow: true outlines, exact coverage, one light from straight above.

A sphere's outline is an ellipse: the cone of rays that touch it, cut by the picture plane (Hartley & Zisserman, 8.3).
With the sphere's centre C in camera axes and k = |C|^2 - r^2, a ray p = (x, y, 1) meets it where
p^T (C C^T - k I) p >= 0. Brightness is a smooth function of the surface normal's height alone, so a ball keeps its look
wherever it is seen from, and turning the whole world about the vertical changes nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from o2t_jax.render.draw import (
    Box,
    Ellipse,
    Grid,
    conic_coverage,
    ellipse_coverage,
    ellipse_from_conic,
    grid_for,
    quadratic,
)
from o2t_jax.render.view import View

# A ball's colour times brightness: `AMBIENT` below, 1 on top, (1 + height of the normal) / 2 to the third between them.
AMBIENT = 0.20
# White light added near the top: the glossy rim. It sets in above `GLOSS_FROM` of full brightness.
GLOSS, GLOSS_FROM = 0.25, 0.40
SHADOW_COLOUR = (64, 64, 64)
SHADOW_OPACITY = 0.55
# Smaller than this (half width, px) a ball changes no byte.
_INVISIBLE_PX = 0.02


class Patch(NamedTuple):
    """A shape's share of a picture: `coverage` float32 [h, w] and `paint` uint8 [h, w, 3] in the pixels of `box`."""

    box: Box
    coverage: np.ndarray
    paint: np.ndarray


def palette(colour: np.ndarray) -> np.ndarray:
    """A ball's colours uint8 [256, 1, 3] by brightness level; `colour` [3] in 0..1."""
    level = np.linspace(0.0, 1.0, 256)[:, None]
    gloss = GLOSS * np.clip((level - GLOSS_FROM) / (1.0 - GLOSS_FROM), 0.0, 1.0) ** 2
    lit = (AMBIENT + (1.0 - AMBIENT) * level) * np.asarray(colour, np.float64) + gloss
    return np.rint(255.0 * np.clip(lit, 0.0, 1.0)).astype(np.uint8)[:, None, :]


class Sphere:
    """A sphere before a camera.

    Attributes: `local` (x, y, z) of the centre in camera axes (m); `radius` m; `power` = distance^2 - radius^2 (m^2):
    of two spheres that do not touch, the one of smaller power hides the other.
    """

    __slots__ = ("local", "power", "radius", "view")

    def __init__(self, view: View, centre: np.ndarray, radius: float):
        self.view, self.radius = view, radius
        self.local: tuple[float, float, float] = tuple(view.local(centre).tolist())
        x, y, z = self.local
        self.power = x * x + y * y + z * z - radius * radius

    @property
    def in_sight(self) -> bool:
        """False when the whole sphere is behind the picture plane, or the eye is inside it, or a number is not finite."""
        return self.power > 0.0 and self.local[2] > -self.radius and math.isfinite(self.power)

    def outline(self) -> Ellipse | None:
        """The outline in pixels; None where the sphere reaches behind the camera, so that the outline is open."""
        x, y, z = self.local
        ahead = z * z - self.radius * self.radius
        if z <= 0.0 or ahead <= 1e-9 * z * z:
            return None
        k, power = self.view.intrinsics, self.power
        # The closed form of `ellipse_from_conic` for C C^T - k I: without its cancellation.
        scale = ahead / (self.radius * self.radius * power * k.focal * k.focal)
        return Ellipse(
            k.cx + k.focal * x * z / ahead,
            k.cy + k.focal * y * z / ahead,
            scale * (power - x * x),
            -scale * x * y,
            scale * (power - y * y),
        )


def sphere_patch(sphere: Sphere, colours: np.ndarray) -> Patch | None:
    """What a picture shows of a sphere; `colours` from `palette`. None when nothing of it is in the picture."""
    k = sphere.view.intrinsics
    if not sphere.in_sight:
        return None
    outline = sphere.outline()
    if outline is None:
        return _open_patch(sphere, colours)
    box = outline.box(k.height, k.width)
    if box is None or max(outline.half_extent) < _INVISIBLE_PX:
        return None
    grid = grid_for(outline, box)
    coverage, inside = ellipse_coverage(outline, grid)
    # The discriminant of the ray's meeting with the sphere is `inside` times its value at the outline's centre.
    peak = sphere.radius * sphere.radius * sphere.power / (sphere.local[2] ** 2 - sphere.radius * sphere.radius)
    ray_x, ray_y = (grid.du + (outline.u - k.cx)) / k.focal, (grid.dv + (outline.v - k.cy)) / k.focal
    inside *= np.float32(peak)
    level = _brightness(sphere, ray_x, ray_y, inside)
    if not grid.plain:
        # A pixel shows the mean over what it covers of the ball.
        level *= coverage
        coverage, level = grid.shrink(coverage), grid.shrink(level)
        level /= np.maximum(coverage, np.float32(1e-6))
    return Patch(box, coverage, cv2.applyColorMap(cv2.convertScaleAbs(level, None, 255.0), colours))


def _brightness(sphere: Sphere, x: np.ndarray, y: np.ndarray, discriminant: np.ndarray) -> np.ndarray:
    """Brightness level 0..1, float32 [h, w], of the sphere where the rays (x, y, 1) meet it; works in `discriminant`.

    A ray that just misses takes the normal of the point where it passes closest.
    """
    cx, cy, cz = sphere.local
    _, up_y, up_z = sphere.view.up
    # Meeting at distance t of p: |p|^2 t = p.C - sqrt(discriminant); then height of the normal = (t p - C).up / r.
    root = np.sqrt(np.maximum(discriminant, np.float32(0.0), out=discriminant), out=discriminant)
    level = quadratic(x, y, 0.0, 0.0, 0.0, cx, cy, cz)
    level -= root
    level /= quadratic(x, y, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0)
    level *= ((y * up_y + up_z) * (0.5 / sphere.radius)).astype(np.float32)[:, None]
    level += np.float32(0.5 - (cy * up_y + cz * up_z) * (0.5 / sphere.radius))
    np.maximum(level, np.float32(0.0), out=level)
    level *= level * level
    return level


def _open_patch(sphere: Sphere, colours: np.ndarray) -> Patch:
    """The rare sphere that reaches behind the camera: the whole picture is asked."""
    k = sphere.view.intrinsics
    centre, ray = np.array(sphere.local), sphere.view.pixel_to_ray
    conic = ray.T @ (np.outer(centre, centre) - sphere.power * np.eye(3)) @ ray
    coverage = conic_coverage(conic, centre @ ray, k.height, k.width)
    u, v = np.arange(0.5, k.width), np.arange(0.5, k.height)
    value = (
        quadratic(u, v, conic[0, 0], 2 * conic[0, 1], conic[1, 1], 2 * conic[0, 2], 2 * conic[1, 2], conic[2, 2])
    )
    level = _brightness(sphere, (u - k.cx) / k.focal, (v - k.cy) / k.focal, value)
    paint = cv2.applyColorMap(cv2.convertScaleAbs(level, None, 255.0), colours)
    return Patch(Box(0, 0, k.height, k.width), coverage, paint)


def shadow_patch(view: View, centre: np.ndarray, radius: float) -> Patch | None:
    """The shadow of a ball at `centre` [3] m: the disc straight below it on the ground, its opacity in the coverage."""
    k = view.intrinsics
    eye_x, eye_y, height = view.position.tolist()
    if not (height > 0.0 and math.isfinite(centre[0] + centre[1])):
        return None
    # A pixel's ray (dx, dy, dz) meets the ground at eye - height / dz (dx, dy): in the disc where a^2 + b^2 <= r^2 dz^2.
    dx, dy, dz = view.rotation.T @ view.pixel_to_ray
    a, b = (eye_x - centre[0]) * dz - height * dx, (eye_y - centre[1]) * dz - height * dy
    conic = radius * radius * dz[:, None] * dz - a[:, None] * a - b[:, None] * b
    ahead = float(np.dot(view.rotation[2], (centre[0] - eye_x, centre[1] - eye_y, -height)))
    rim = radius * math.hypot(view.rotation[2, 0], view.rotation[2, 1])
    if ahead <= -rim:
        return None
    found = ellipse_from_conic(conic) if ahead > rim else None
    if found is None:
        box = Box(0, 0, k.height, k.width)
        coverage = conic_coverage(conic, -dz, k.height, k.width)
    else:
        outline = found[0]
        touched = outline.box(k.height, k.width)
        if touched is None or max(outline.half_extent) < _INVISIBLE_PX:
            return None
        box = touched
        grid: Grid = grid_for(outline, box)
        coverage = grid.shrink(ellipse_coverage(outline, grid)[0])
    coverage *= np.float32(SHADOW_OPACITY)
    return Patch(box, coverage, np.full((*box.shape, 3), SHADOW_COLOUR[0], np.uint8))


__all__ = ["SHADOW_COLOUR", "SHADOW_OPACITY", "Patch", "Sphere", "palette", "shadow_patch", "sphere_patch"]
