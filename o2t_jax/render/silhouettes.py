"""Outlines of balls and their shadows in a picture: ellipses in closed form, for numpy and jax.numpy alike.

A sphere's outline is the cone of rays that touch it, cut by the picture plane (Hartley & Zisserman, 8.3); a shadow is a
disc on the ground. Both are written without differences of large numbers, so that float32 is enough. Every number here
is [] for one ball (as in the ray-caster, under `vmap`) or [N] for many (as in the rasteriser).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from o2t_jax.geometry.camera import namespace

# Where (depth^2 - radius^2) / depth^2 is less than this, an outline counts as open: the ellipse of a ball that almost
# reaches the camera's plane is too large for float32.
_CLOSED = 1e-2


class Outline(NamedTuple):
    """The region a du^2 + 2 b du dv + c dv^2 <= 1 about (`u`, `v`) px.

    Attributes: `seen`, false where there is certainly nothing to draw; `closed`, whether the region is that ellipse
    (else it reaches behind the camera, and the numbers are finite but meaningless); `tilt`, `size`, `fall` [2, ...]:
    chords along v at du have middle tilt du and half length sqrt(size - fall du^2), px; second entries are those of
    chords along u. So the half width and the half height of the region are sqrt(size / fall).
    """

    seen: Any
    closed: Any
    u: Any
    v: Any
    a: Any
    b: Any
    c: Any
    tilt: Any
    size: Any
    fall: Any


class Ball(NamedTuple):
    """A ball before a camera: `local` [3, ...] m in camera axes, `radius` m, `power` = distance^2 - radius^2 (m^2).

    Of two balls that do not touch, the one of smaller power hides the other.
    """

    local: Any
    radius: Any
    power: Any
    outline: Outline


class Shadow(NamedTuple):
    """A ball's shadow: `foot` [3, ...] m its centre in camera axes, `radius` m, `sink` = -(the eye's height) m."""

    foot: Any
    radius: Any
    sink: Any
    outline: Outline


def ball(local: Any, radius: Any, visible: Any, focal: float, cx: float, cy: float) -> Ball:
    """The ball with centre `local` [3, ...] m in camera axes; `visible` bool."""
    xp = namespace(local)
    r2 = radius * radius
    reach = local[0] ** 2 + local[1] ** 2 + local[2] ** 2 - r2
    seen = visible & (reach > 0.0) & (local[2] > -radius)  # not from inside, nor from in front of it
    x, y, z = (xp.where(seen, value, other) for value, other in zip(local, (0.0, 0.0, 1e3), strict=True))
    ahead = z * z - r2
    power = x * x + y * y + ahead
    closed = (z > 0.0) & (ahead > _CLOSED * z * z)
    safe = xp.where(closed, ahead, 1.0)
    scale = safe / (r2 * power * focal * focal)
    a, b, c = scale * (y * y + ahead), -scale * x * y, scale * (x * x + ahead)
    u, v = cx + focal * x * z / safe, cy + focal * y * z / safe
    outline = _outline(seen, closed, u, v, a, b, c, scale * scale * power * safe)
    return Ball(xp.stack([x, y, z]), radius, power, outline)


def shadow(foot: Any, radius: Any, visible: Any, up: Any, height: Any, focal: float, cx: float, cy: float) -> Shadow:
    """The disc of `radius` m on the ground about `foot` [3, ...] m (camera axes).

    Args: `up` [3, ...], the vertical in camera axes (its x is 0); `height` m of the eye.
    """
    xp = namespace(foot)
    seen = visible & (height > 0.0) & (foot[2] > -radius)
    x, y, z = (xp.where(seen, value, other) for value, other in zip(foot, (0.0, 0.0, 1.0), strict=True))
    # The disc is where (w xi + x t eta)^2 + (z eta)^2 <= r^2 (w / z - t eta)^2, for the ray's (xi, eta) from the foot's
    # image, w = -height and t the cosine of the camera's elevation: an ellipse while it is all before the camera.
    w, t, r2 = -xp.where(seen, height, 1.0), -up[1], radius * radius
    ahead = z * z - r2 * t * t
    closed = (z > 0.0) & (ahead > _CLOSED * z * z)
    safe, z_safe = xp.where(closed, ahead, 1.0), xp.where(closed, z, 1.0)
    eta = -r2 * t * w / (z_safe * safe)
    xi = -x * t * eta / w
    scale = safe / (r2 * focal * focal)
    a, b, c = scale, scale * x * t / w, scale * (x * x * t * t + safe) / (w * w)
    u, v = cx + focal * (x / z_safe + xi), cy + focal * (y / z_safe + eta)
    outline = _outline(seen, closed, u, v, a, b, c, scale * scale * safe / (w * w))
    return Shadow(xp.stack([x, y, z]), radius, w, outline)


def _outline(seen: Any, closed: Any, *numbers: Any) -> Outline:
    # Where the ellipse is not used, its numbers must still be finite so that gradients are.
    xp = namespace(closed)
    others = (0.0, 0.0, 1.0, 0.0, 1.0, 1.0)
    u, v, a, b, c, det = (xp.where(closed, n, other) for n, other in zip(numbers, others, strict=True))
    both = xp.stack([c, a])
    return Outline(seen, closed, u, v, a, b, c, -b / both, 1.0 / both, det / (both * both))


__all__ = ["Ball", "Outline", "Shadow", "ball", "shadow"]
