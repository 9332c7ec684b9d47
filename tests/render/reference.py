"""A second, slow renderer for comparison: rays through a fine grid of points in each pixel, without outlines."""

from __future__ import annotations

import numpy as np

from o2t_jax.geometry.camera import Intrinsics, pixel_directions, world_to_camera
from o2t_jax.physics.room.ramp import ramp_corners, ramp_normal
from o2t_jax.render.opencv.ball import SHADOW_COLOUR, SHADOW_OPACITY, palettes_of
from o2t_jax.render.opencv.ground import GROUND, LINE_SHADE, LINE_WIDTH_M, SKY
from o2t_jax.render.opencv.solids import RAMP_COLOUR

SKY_ID, GROUND_ID, RAMP_ID, BALL_ID = 0, 1, 2, 3  # ball k has BALL_ID + k


def rays(pose, camera: Intrinsics, fine: int):
    """Unit directions [H fine, W fine, 3] through `fine` x `fine` points in each pixel."""
    steps = (np.arange(fine) + 0.5) / fine
    u = (np.arange(camera.width)[:, None] + steps).ravel()
    v = (np.arange(camera.height)[:, None] + steps).ravel()
    rotation = world_to_camera(float(pose[1]), float(pose[2]))
    return pixel_directions(np.stack(np.meshgrid(u, v), axis=-1), rotation, camera)


def trace(setup, position, visible, pose, camera: Intrinsics, fine: int = 4):
    """(picture float [H, W, 3], id of the first hit of each fine ray, int [H fine, W fine])."""
    eye, d = np.asarray(pose[0], float), rays(pose, camera, fine)
    shape = d.shape[:2]
    colour, nearest, what = np.tile(np.array(SKY, float), (*shape, 1)), np.full(shape, np.inf), np.zeros(shape, int)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        distance = np.where(d[..., 2] < 0.0, -eye[2] / d[..., 2], np.inf)
        spot = eye + distance[..., None] * d
        line = (np.abs(spot[..., :2] - np.rint(spot[..., :2])) < 0.5 * LINE_WIDTH_M).any(axis=-1)
    down = np.isfinite(distance)
    ground = np.array(GROUND) * np.where(line, LINE_SHADE, 1.0)[..., None]
    for k in np.flatnonzero(visible):
        with np.errstate(invalid="ignore"):
            dark = np.hypot(*(spot[..., :2] - position[k, :2]).transpose(2, 0, 1)) < setup.radius[k]
        ground[dark] += SHADOW_OPACITY * (np.array(SHADOW_COLOUR) - ground[dark])
    colour[down], nearest[down], what[down] = ground[down], distance[down], GROUND_ID
    if setup.ramp is not None:
        _ramp(setup.ramp, eye, d, colour, nearest, what)
    for k in np.flatnonzero(visible):
        offset = eye - position[k]
        half, rest = d @ offset, offset @ offset - setup.radius[k] ** 2
        square = half * half - rest
        hit = -half - np.sqrt(np.maximum(square, 0.0))
        hit = np.where((square > 0.0) & (hit > 0.0), hit, np.inf)
        first = hit < nearest
        normal = ((eye + hit[first, None] * d[first]) - position[k]) / setup.radius[k]
        level = (0.5 + 0.5 * normal[:, 2]) ** 3
        colour[first] = palettes_of(setup.colour)[k, np.rint(255 * level).astype(int)]
        nearest[first], what[first] = hit[first], BALL_ID + k
    picture = colour.reshape(camera.height, fine, camera.width, fine, 3).mean(axis=(1, 3))
    return picture, what


def _ramp(ramp, eye, d, colour, nearest, what) -> None:
    """The wedge by its triangles (Moeller-Trumbore); brightness by the height of the normal is not compared exactly."""
    c = ramp_corners(ramp)
    up = ramp_normal(ramp)
    quads = [(0, 1, 2), (0, 2, 3), (2, 3, 5), (2, 5, 4), (1, 2, 4), (0, 3, 5)]
    shades = [0.62 + 0.38 * up[2]] * 2 + [0.52] * 2 + [0.62] * 2
    for (i, j, k), shade in zip(quads, shades, strict=True):
        a, e1, e2 = c[i], c[j] - c[i], c[k] - c[i]
        p = np.cross(d, e2)
        det = p @ e1
        with np.errstate(divide="ignore", invalid="ignore"):
            s = eye - a
            x = (p @ s) / det
            q = np.cross(s, e1)
            y = (d @ q) / det
            t = (e2 @ q) / det
            hit = (x >= 0) & (y >= 0) & (x + y <= 1) & (t > 1e-6) & (t < nearest)
        colour[hit], nearest[hit], what[hit] = np.array(RAMP_COLOUR) * shade, t[hit], RAMP_ID
