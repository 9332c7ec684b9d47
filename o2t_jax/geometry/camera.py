"""The pin-hole camera as pure functions, for numpy and jax.numpy arrays alike.

Frames and units are those of `o2t_jax.types`: metres, degrees at the border, pixel centres at (j + 0.5, i + 0.5).
The camera is always level (no roll). Camera axes: x right, y down, z forward (the usual computer-vision frame).
Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., ch. 6 (pin-hole) and 12 (triangulation).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

VERTICAL_FOV_DEG = 60.0
MIN_DEPTH_M = 0.1

_HIGHEST = jax.lax.Precision.HIGHEST


class Intrinsics(NamedTuple):
    """Pin-hole intrinsics in pixels: square pixels, focal length `focal`, principal point (`cx`, `cy`).

    For windows cut from larger pictures the principal point differs between windows: `cx` and `cy` are arrays [...].
    """

    focal: float
    cx: Any
    cy: Any
    width: int
    height: int

    def over(self, axes: int) -> Intrinsics:
        """The same, with `axes` axes of size one appended to those of the principal point, for broadcasting."""
        if np.ndim(self.cx) == 0:
            return self
        return self._replace(cx=self.cx[(...,) + (None,) * axes], cy=self.cy[(...,) + (None,) * axes])

    def pick(self, index: Any) -> Intrinsics:
        """Intrinsics of the windows `[:, index]`; unchanged if all pictures share one principal point."""
        if np.ndim(self.cx) == 0:
            return self
        return self._replace(cx=self.cx[:, index], cy=self.cy[:, index])


def intrinsics_for(height: int, width: int, fov_deg: float = VERTICAL_FOV_DEG) -> Intrinsics:
    """Intrinsics of a picture of `height` x `width` px whose vertical field of view is `fov_deg`."""
    focal = 0.5 * height / np.tan(np.radians(0.5 * fov_deg))
    return Intrinsics(float(focal), 0.5 * width, 0.5 * height, int(width), int(height))


def window_intrinsics(camera_size: int, size: int, window: Any) -> Intrinsics:
    """Intrinsics of windows of `size` px a side in pictures of `camera_size` px a side.

    Args: `window` [..., 2], the pixel (u0, v0) of the picture at the window's top left corner.
    """
    whole = intrinsics_for(camera_size, camera_size)
    return whole._replace(cx=whole.cx - window[..., 0], cy=whole.cy - window[..., 1], width=size, height=size)


def namespace(*arrays: Any) -> ModuleType:
    """`jax.numpy` when any argument is a JAX array or tracer, `numpy` otherwise."""
    return jnp if any(isinstance(a, jax.Array) for a in arrays) else np


def _matmul(xp: ModuleType, subscripts: str, a: Any, b: Any) -> Any:
    # GPUs (TF32) and TPUs (bf16) round float32 products by default, which loses sub-pixel coordinates.
    if xp is jnp:
        return jnp.einsum(subscripts, a, b, precision=_HIGHEST)
    return np.einsum(subscripts, a, b)


def world_to_camera(azimuth: Any, elevation: Any) -> Any:
    """Rotation [..., 3, 3] whose rows are the camera's right, down and forward axes in the world frame.

    Args: `azimuth`, `elevation` [...] in degrees, broadcastable.
    """
    xp = namespace(azimuth, elevation)
    azimuth, elevation = xp.broadcast_arrays(xp.asarray(azimuth), xp.asarray(elevation))
    a, e = xp.deg2rad(azimuth), xp.deg2rad(elevation)
    ca, sa, ce, se = xp.cos(a), xp.sin(a), xp.cos(e), xp.sin(e)
    zero = xp.zeros_like(ca)
    right = xp.stack([sa, -ca, zero], axis=-1)
    down = xp.stack([ca * se, sa * se, -ce], axis=-1)
    forward = xp.stack([ca * ce, sa * ce, se], axis=-1)
    return xp.stack([right, down, forward], axis=-2)


def project(points: Any, position: Any, rotation: Any, intrinsics: Intrinsics) -> tuple[Any, Any]:
    """Projects world points.

    Args: `points` [..., 3] m, `position` [..., 3] m (the camera's), `rotation` [..., 3, 3] from `world_to_camera`.
    Returns: pixels [..., 2] as (u, v), and depth [...] in m along the optical axis. Where depth is at most
    `MIN_DEPTH_M` the pixel is that of a point at `MIN_DEPTH_M` (finite value and gradient): mask by depth.
    """
    xp = namespace(points, position, rotation, intrinsics.cx)
    local = _matmul(xp, "...ij,...j->...i", rotation, points - position)
    depth = local[..., 2]
    # Double `where`: the untaken branch must not divide by zero either, or its gradient is NaN.
    safe = xp.where(depth > MIN_DEPTH_M, depth, MIN_DEPTH_M)
    u = intrinsics.focal * local[..., 0] / safe + intrinsics.cx
    v = intrinsics.focal * local[..., 1] / safe + intrinsics.cy
    return xp.stack([u, v], axis=-1), depth


def pixel_directions(pixels: Any, rotation: Any, intrinsics: Intrinsics) -> Any:
    """Unit world directions [..., 3] of the rays through `pixels` [..., 2]; the inverse of `project` up to depth."""
    xp = namespace(pixels, rotation, intrinsics.cx)
    x = (pixels[..., 0] - intrinsics.cx) / intrinsics.focal
    y = (pixels[..., 1] - intrinsics.cy) / intrinsics.focal
    local = xp.stack([x, y, xp.ones_like(x)], axis=-1)
    local = local / xp.sqrt(xp.sum(local * local, axis=-1, keepdims=True))
    return _matmul(xp, "...ji,...j->...i", rotation, local)


def pixel_grid(intrinsics: Intrinsics) -> np.ndarray:
    """Pixel centres [H, W, 2] as (u, v)."""
    u, v = np.meshgrid(np.arange(intrinsics.width) + 0.5, np.arange(intrinsics.height) + 0.5)
    return np.stack([u, v], axis=-1)


def triangulate(origin_a: Any, direction_a: Any, origin_b: Any, direction_b: Any) -> tuple[Any, Any]:
    """Midpoint of the shortest segment between two rays.

    Args: origins [..., 3] m, unit directions [..., 3].
    Returns: points [..., 3] m, and `valid` [...]: False where the rays are nearly parallel (sin^2 < 1e-8) or
    meet at most `MIN_DEPTH_M` in front of either eye. The point is meaningless there, but it and its gradient are
    finite.
    """
    xp = namespace(origin_a, direction_a, origin_b, direction_b)
    base = origin_b - origin_a
    cos = xp.sum(direction_a * direction_b, axis=-1)
    sin2 = 1.0 - cos * cos
    crossed = sin2 > 1e-8
    safe = xp.where(crossed, sin2, 1.0)
    along_a = xp.sum(base * direction_a, axis=-1)
    along_b = xp.sum(base * direction_b, axis=-1)
    s = (along_a - cos * along_b) / safe
    t = (cos * along_a - along_b) / safe
    point = 0.5 * (origin_a + s[..., None] * direction_a + origin_b + t[..., None] * direction_b)
    valid = crossed & (s > MIN_DEPTH_M) & (t > MIN_DEPTH_M)
    return point, valid


def look_at(position: Any, target: Any) -> tuple[Any, Any]:
    """Azimuth and elevation [...] in degrees of the direction from `position` [..., 3] to `target` [..., 3]."""
    xp = namespace(position, target)
    d = target - position
    azimuth = xp.rad2deg(xp.arctan2(d[..., 1], d[..., 0]))
    elevation = xp.rad2deg(xp.arctan2(d[..., 2], xp.hypot(d[..., 0], d[..., 1])))
    return azimuth, elevation


def right_eye(position: Any, azimuth: Any, elevation: Any, gap: float, convergence: float | None = None) -> Any:
    """Pose of the right eye of a stereo pair whose left eye is the given camera.

    Args: `position` [..., 3] m, `azimuth`, `elevation` [...] deg; `gap` in m across the viewing direction;
    `convergence` in m: None for parallel axes, else both eyes meet the left eye's axis at that distance.
    Returns: (position [..., 3], azimuth [...], elevation [...]).
    """
    xp = namespace(position, azimuth, elevation)
    axes = world_to_camera(azimuth, elevation)
    eye = position + gap * axes[..., 0, :]
    if convergence is None:
        return eye, xp.asarray(azimuth), xp.asarray(elevation)
    focus = position + convergence * axes[..., 2, :]
    turned, raised = look_at(eye, focus)
    return eye, turned, raised


def wrap_degrees(angle: Any) -> Any:
    """The same angle in [-180, 180)."""
    xp = namespace(angle)
    return xp.mod(angle + 180.0, 360.0) - 180.0


def relative_para(para: Any) -> Any:
    """PARA [..., P, 6] in the frame of its own first camera.

    Times count from picture 1; the origin lies below camera 1 on the ground (heights stay absolute: gravity depends
    on them); axes are turned so that camera 1 looks along +x; azimuths are relative to camera 1, in [-180, 180).
    Turning or moving the whole scene about the vertical leaves the result unchanged.
    """
    xp = namespace(para)
    first = para[..., :1, :]
    turn = xp.deg2rad(first[..., 4])
    c, s = xp.cos(turn), xp.sin(turn)
    dx, dy = para[..., 1] - first[..., 1], para[..., 2] - first[..., 2]
    return xp.stack(
        [
            para[..., 0] - first[..., 0],
            c * dx + s * dy,
            -s * dx + c * dy,
            para[..., 3],
            wrap_degrees(para[..., 4] - first[..., 4]),
            para[..., 5],
        ],
        axis=-1,
    )
