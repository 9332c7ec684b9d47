"""One camera pose with what every drawing step needs of it, as plain floats and small arrays."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from o2t_jax.geometry.camera import Intrinsics, world_to_camera


class View(NamedTuple):
    """A level pin-hole camera.

    Attributes: `position` [3] m; `rotation` [3, 3] world to camera (right, down, forward); `up` [3], the world's
    vertical in camera axes (its first entry is 0: the camera is level); `intrinsics`; `pixel_to_ray` [3, 3] maps
    (u, v, 1) to the ray (x, y, 1) in camera axes.
    """

    position: np.ndarray
    rotation: np.ndarray
    up: tuple[float, float, float]
    intrinsics: Intrinsics
    pixel_to_ray: np.ndarray

    def local(self, points: np.ndarray) -> np.ndarray:
        """World points [..., 3] m in camera axes."""
        return (points - self.position) @ self.rotation.T

    def pixels(self, local: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of points [..., 3] in camera axes, all in front of the camera."""
        k = self.intrinsics
        return local[..., :2] * (k.focal / local[..., 2:]) + (k.cx, k.cy)


def view_for(position: np.ndarray, azimuth: float, elevation: float, intrinsics: Intrinsics) -> View:
    """The camera at `position` [3] m that looks along (`azimuth`, `elevation`) deg."""
    rotation = world_to_camera(float(azimuth), float(elevation))
    k = intrinsics
    pixel_to_ray = np.array([[1.0 / k.focal, 0.0, -k.cx / k.focal], [0.0, 1.0 / k.focal, -k.cy / k.focal], [0.0, 0.0, 1.0]])
    up = (0.0, float(rotation[1, 2]), float(rotation[2, 2]))
    return View(np.asarray(position, np.float64), rotation, up, intrinsics, pixel_to_ray)


def clip_near(local: np.ndarray, near: float = 0.05) -> np.ndarray:
    """The part of a convex polygon [N, 3] (camera axes) at depth >= `near` m: [M, 3], M = 0 when nothing is left."""
    depth = local[:, 2] - near
    if (depth >= 0.0).all():
        return local
    kept = []
    for i, (point, d) in enumerate(zip(local, depth, strict=True)):
        before, d_before = local[i - 1], depth[i - 1]
        if (d >= 0.0) != (d_before >= 0.0):
            kept.append(before + (point - before) * (d_before / (d_before - d)))
        if d >= 0.0:
            kept.append(point)
    return np.array(kept).reshape(-1, 3)


def horizon_row(view: View) -> float:
    """Picture coordinate v (px) of the horizon; +-inf when the camera looks straight up or down."""
    _, down, forward = view.up
    # A ray (x, y, 1) is level where y * down + forward = 0.
    if abs(down) < 1e-12:
        return math.inf if forward > 0.0 else -math.inf
    return view.intrinsics.cy - view.intrinsics.focal * forward / down


__all__ = ["View", "clip_near", "horizon_row", "view_for"]
