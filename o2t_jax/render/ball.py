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

from o2t_jax.geometry.camera import Intrinsics
from o2t_jax.render.draw import Box, Ellipse, conic_coverage, ellipse_coverage, ellipse_from_conic, grid_for, outer_sum
from o2t_jax.render.look import AMBIENT, GLOSS, GLOSS_FROM, SHADOW_COLOUR, SHADOW_OPACITY
from o2t_jax.render.view import Point, View


class Patch(NamedTuple):
    """A shape's share of a picture: `coverage` float32 [h, w] and `paint` uint8 [h, w, 3] in the pixels of `box`."""

    box: Box
    coverage: np.ndarray
    paint: np.ndarray


_LEVEL = np.linspace(0.0, 1.0, 256)[:, None]
_DIFFUSE = 255.0 * (AMBIENT + (1.0 - AMBIENT) * _LEVEL)
_SHINE = 255.0 * GLOSS * np.clip((_LEVEL - GLOSS_FROM) / (1.0 - GLOSS_FROM), 0.0, 1.0) ** 2


def palette(colour: np.ndarray) -> np.ndarray:
    """A ball's colours uint8 [256, 1, 3] by brightness level; `colour` [3] in 0..1."""
    lit = _DIFFUSE * np.asarray(colour, np.float64) + (_SHINE + 0.5)
    return np.clip(lit, 0.0, 255.0).astype(np.uint8)[:, None, :]


class Sphere:
    """A sphere before a camera.

    Attributes: `centre` in the world and `local` in camera axes (m); `radius` m; `power` = distance^2 - radius^2 (m^2):
    of two spheres that do not touch, the one of smaller power hides the other.
    """

    __slots__ = ("centre", "local", "power", "radius", "view")

    def __init__(self, view: View, centre: Point, radius: float):
        self.view, self.centre, self.radius = view, centre, radius
        self.local = view.local(*centre)
        x, y, z = self.local
        self.power = x * x + y * y + z * z - radius * radius

    @property
    def in_sight(self) -> bool:
        """False when the sphere is out of the picture, or the eye is inside it, or a number is not finite."""
        return self.power > 0.0 and self.view.sees(self.local, self.radius)

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
    if not sphere.in_sight:
        return None
    k = sphere.view.intrinsics
    outline = sphere.outline()
    if outline is None:
        return _open_sphere(sphere, colours)
    grid = grid_for(outline, k.height, k.width)
    if grid is None:
        return None
    coverage, inside = ellipse_coverage(outline, grid)
    # The discriminant of the ray's meeting with the sphere is `inside` times its value at the outline's centre.
    r2 = sphere.radius * sphere.radius
    inside *= np.float32(r2 * sphere.power / (sphere.local[2] * sphere.local[2] - r2))
    ray_x, ray_y = (grid.du + (outline.u - k.cx)) * (1.0 / k.focal), (grid.dv + (outline.v - k.cy)) * (1.0 / k.focal)
    level = _brightness(sphere, ray_x, ray_y, inside)
    if not grid.plain:
        # A pixel shows the mean over what it covers of the ball.
        level *= coverage
        coverage, level = grid.shrink(coverage), grid.shrink(level)
        level /= np.maximum(coverage, np.float32(1e-6))
    return Patch(grid.box, coverage, _painted(level, colours))


def _brightness(sphere: Sphere, x: np.ndarray, y: np.ndarray, discriminant: np.ndarray) -> np.ndarray:
    """Brightness level 0..1, float32 [h, w], of the sphere where the rays (x, y, 1) meet it; works in `discriminant`.

    A ray that just misses takes the normal of the point where it passes closest.
    """
    cx, cy, cz = sphere.local
    _, up_y, up_z = sphere.view.up
    # Meeting at distance t of p: |p|^2 t = p.C - sqrt(discriminant); then height of the normal = (t p - C).up / r.
    cv2.threshold(discriminant, 0.0, 0.0, cv2.THRESH_TOZERO, discriminant)
    root = np.sqrt(discriminant, out=discriminant)
    level = outer_sum(cy * y + cz, cx * x)
    level -= root
    level /= outer_sum(y * y + 1.0, x * x)
    level *= (y * (0.5 * up_y / sphere.radius) + (0.5 * up_z / sphere.radius))[:, None]
    level += np.float32(0.5 - (cy * up_y + cz * up_z) * (0.5 / sphere.radius))
    cube = np.multiply(level, level, out=root)
    level *= cube
    return level


def _painted(level: np.ndarray, colours: np.ndarray) -> np.ndarray:
    # Rounding leaves a lowest level of about -1e-7, whose absolute value is as good.
    return cv2.applyColorMap(cv2.convertScaleAbs(level, None, 255.0), colours)


def _open_sphere(sphere: Sphere, colours: np.ndarray) -> Patch:
    """The rare sphere that reaches behind the camera: every pixel is asked."""
    k, (cx, cy, cz), power = sphere.view.intrinsics, sphere.local, sphere.power
    x, y = _rays(k)
    conic = (cx * cx - power, cx * cy, cy * cy - power, cx * cz, cy * cz, cz * cz - power)
    coverage = conic_coverage(conic, sphere.local, x, y, 1.0 / k.focal)
    along = outer_sum(cy * y + cz, cx * x)
    discriminant = along * along - outer_sum(y * y + 1.0, x * x) * power
    level = _brightness(sphere, x.astype(np.float32), y.astype(np.float32), discriminant.astype(np.float32))
    return Patch(Box(0, 0, k.height, k.width), coverage, _painted(level, colours))


def _rays(k: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    """x [W] and y [H] of the rays (x, y, 1) through the pixels' centres."""
    return (np.arange(0.5, k.width) - k.cx) / k.focal, (np.arange(0.5, k.height) - k.cy) / k.focal


def shadow_patch(view: View, centre: Point, radius: float) -> Patch | None:
    """The shadow of a ball at `centre` (m): the disc straight below it on the ground, its opacity in the coverage."""
    k, height = view.intrinsics, view.eye[2]
    foot = view.local(centre[0], centre[1], 0.0)
    if height <= 0.0 or not view.sees(foot, radius):
        return None
    # With F the foot and n the vertical in camera axes, a ray p meets the ground at -height p / (p.n): inside the disc
    # where |height p + (p.n) F|^2 <= r^2 (p.n)^2.
    fx, fy, fz = foot
    _, ny, nz = view.up
    h2, rest = height * height, radius * radius - (fx * fx + fy * fy + fz * fz)
    conic = (
        -h2,
        -height * ny * fx,
        rest * ny * ny - h2 - 2.0 * height * ny * fy,
        -height * nz * fx,
        rest * ny * nz - height * (ny * fz + nz * fy),
        rest * nz * nz - h2 - 2.0 * height * nz * fz,
    )
    rim = radius * math.hypot(view.forward[0], view.forward[1])
    found = ellipse_from_conic(*conic) if fz > rim else None
    if found is None:
        box = Box(0, 0, k.height, k.width)
        x, y = _rays(k)
        coverage = conic_coverage(conic, (0.0, -ny, -nz), x, y, 1.0 / k.focal)
    else:
        x0, y0, *form = found
        f2 = k.focal * k.focal
        outline = Ellipse(k.cx + k.focal * x0, k.cy + k.focal * y0, form[0] / f2, form[1] / f2, form[2] / f2)
        grid = grid_for(outline, k.height, k.width)
        if grid is None:
            return None
        box, coverage = grid.box, grid.shrink(ellipse_coverage(outline, grid)[0])
    coverage *= np.float32(SHADOW_OPACITY)
    return Patch(box, coverage, np.full((*box.shape, 3), SHADOW_COLOUR[0], np.uint8))


__all__ = ["SHADOW_COLOUR", "SHADOW_OPACITY", "Patch", "Sphere", "palette", "shadow_patch", "sphere_patch"]
