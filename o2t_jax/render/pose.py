"""One camera pose, with the derived values of every drawing step, as plain floats: fastest for single points."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from o2t_jax.geometry.camera import Intrinsics
from o2t_jax.render.appearance import NEAR_M

Point = tuple[float, float, float]
Pixel = tuple[float, float]


class CameraPose(NamedTuple):
    """A level pin-hole camera: camera axes are x right, y down, z forward, as in `geometry.camera`.

    Attributes: `eye`, its position (m); `right`, `down`, `forward`, its axes in the world; `up` the world's vertical in
    camera axes (its x is 0: the camera is level); `intrinsics`; `cone`, cosine and
    sine of the angle from the axis to the picture's corners.
    """

    eye: Point
    right: Point
    down: Point
    forward: Point
    up: Point
    intrinsics: Intrinsics
    cone: tuple[float, float]

    def local(self, x: float, y: float, z: float) -> Point:
        """A world point (m) in camera axes."""
        x, y, z = x - self.eye[0], y - self.eye[1], z - self.eye[2]
        r, d, f = self.right, self.down, self.forward
        return r[0] * x + r[1] * y, d[0] * x + d[1] * y + d[2] * z, f[0] * x + f[1] * y + f[2] * z

    def sees(self, local: Point, radius: float) -> bool:
        """False when a sphere (centre in camera axes, m) is surely outside the picture, or has a non-finite number."""
        x, y, z = local
        aside = math.sqrt(x * x + y * y)
        # Distance from the cone through the picture's corners, positive outside it; also false for NaN.
        return aside * self.cone[0] - z * self.cone[1] < radius and z > -radius

    def polygon(self, corners: list[Point]) -> list[Pixel]:
        """Pixels of a convex polygon of world points, cut off near the camera; empty when it is all behind."""
        k = self.intrinsics
        local = clip_near([self.local(*corner) for corner in corners])
        return [(k.cx + k.focal * x / z, k.cy + k.focal * y / z) for x, y, z in local]


def view_for(position: np.ndarray, azimuth: float, elevation: float, intrinsics: Intrinsics) -> CameraPose:
    """The camera at `position` [3] m that looks along (`azimuth`, `elevation`) deg.

    The axes are those of `geometry.camera.world_to_camera`, which is slow for a single camera.
    """
    a, e = math.radians(azimuth), math.radians(elevation)
    ca, sa, ce, se = math.cos(a), math.sin(a), math.cos(e), math.sin(e)
    eye = (float(position[0]), float(position[1]), float(position[2]))
    k = intrinsics
    corner = math.atan2(0.5 * math.hypot(k.width, k.height), k.focal)
    right, down, forward = (sa, -ca, 0.0), (ca * se, sa * se, -ce), (ca * ce, sa * ce, se)
    return CameraPose(eye, right, down, forward, (0.0, -ce, se), k, (math.cos(corner), math.sin(corner)))


def clip_near(local: list[Point], near: float = NEAR_M) -> list[Point]:
    """The part of a convex polygon (camera axes) at a depth of at least `near` m; empty when all of it is nearer."""
    if all(point[2] >= near for point in local):
        return local
    kept: list[Point] = []
    for i, (x, y, z) in enumerate(local):
        px, py, pz = local[i - 1]
        if (z >= near) != (pz >= near):
            share = (near - pz) / (z - pz)
            kept.append((px + (x - px) * share, py + (y - py) * share, near))
        if z >= near:
            kept.append((x, y, z))
    return kept


def horizon_row(view: CameraPose) -> float:
    """Picture coordinate v (px) of the horizon; +-inf when the camera looks straight up or down."""
    _, down, forward = view.up
    # A ray (x, y, 1) is level where y * down + forward = 0.
    if abs(down) < 1e-12:
        return math.inf if forward > 0.0 else -math.inf
    return view.intrinsics.cy - view.intrinsics.focal * forward / down


__all__ = ["CameraPose", "Pixel", "Point", "clip_near", "horizon_row", "view_for"]
