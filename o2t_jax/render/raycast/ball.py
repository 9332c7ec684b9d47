"""Balls and their shadows by rays, in jax.numpy: exact coverage of every pixel, at any size of the ball.

A sphere's outline and a disc on the ground are conics in the picture. A pixel's share of an ellipse is the mean length
of the ellipse's chords through it, which are known in closed form: chords run along the outline's normal, so that a few
of them are enough, and a ball smaller than a pixel needs no finer grid. Closed forms throughout: float32 is enough.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from o2t_jax.render.appearance import AMBIENT, GLOSS, GLOSS_FROM, SHADOW_OPACITY
from o2t_jax.render.silhouettes import Ball, Outline, Shadow

# Chords in a pixel, evenly spread; more change a centroid by less than 0.002 px (tests/render/test_raycaster.py).
CHORDS = 4
_TINY = 1e-12


def ellipse_coverage(outline: Outline, u: Any, v: Any) -> tuple[Any, Any, Any]:
    """Coverage 0..1 [H, W] of pixels with centres `u` [W], `v` [H, 1], and the middle (u, v) px of the covered part."""
    o = outline
    du, dv = u - o.u, v - o.v
    # Chords run along the picture's axis that is nearer to the outline's normal.
    sideways = jnp.abs(o.a * du + o.b * dv) > jnp.abs(o.b * du + o.c * dv)
    p, q = jnp.where(sideways, dv, du), jnp.where(sideways, du, dv)
    tilt, size, fall = (jnp.where(sideways, pair[1], pair[0]) for pair in (o.tilt, o.size, o.fall))
    low, high = q - 0.5, q + 0.5
    total = across = along = jnp.zeros_like(p)
    for chord in range(CHORDS):
        step = (chord + 0.5) / CHORDS - 0.5
        at = p + step
        middle, square = tilt * at, size - fall * at * at
        half = jnp.sqrt(jnp.maximum(square, _TINY))
        first, last = jnp.clip(middle - half, low, high), jnp.clip(middle + half, low, high)
        length = jnp.where(square > _TINY, last - first, 0.0)
        total += length
        across += 0.5 * length * (first + last)
        along += step * length
    weight = 1.0 / jnp.maximum(total, 1e-6)
    inside = total > 1e-6
    across, along = jnp.where(inside, across * weight, q), p + along * weight
    mean_u, mean_v = jnp.where(sideways, across, along), jnp.where(sideways, along, across)
    return total * (1.0 / CHORDS), o.u + mean_u, o.v + mean_v


def _open(value: Any, by_x: Any, by_y: Any, ahead: Any, focal: float) -> Any:
    """Coverage of a region value >= 0 that reaches behind the camera, from value and gradient; first order."""
    steep = jnp.sqrt(by_x * by_x + by_y * by_y + 1e-20)
    return jnp.where(ahead > 0.0, jnp.clip(0.5 + value * focal / steep, 0.0, 1.0), 0.0)


def shadow_coverage(spot: Shadow, up: Any, u: Any, v: Any, x: Any, y: Any, focal: float) -> Any:
    """Opacity [H, W] of a shadow; `u`, `x` [W] and `v`, `y` [H, 1]: the pixels' centres and the rays (x, y, 1)."""
    cover, _, _ = ellipse_coverage(spot.outline, u, v)
    (fx, fy, fz), w, r2, t = spot.foot, spot.sink, spot.radius**2, -up[1]
    fall = up[2] - t * y  # how fast the ray sinks, negative below the horizon
    one, two = w * x - fx * fall, fz * y - fy
    beyond = _open(
        r2 * fall * fall - one * one - two * two,
        -2.0 * one * w,
        -2.0 * (r2 * fall * t + one * fx * t + two * fz),
        fall * w,
        focal,
    )
    return SHADOW_OPACITY * spot.outline.seen * jnp.where(spot.outline.closed, cover, beyond)


def ball_coverage(sphere: Ball, u: Any, v: Any, x: Any, y: Any, focal: float) -> tuple[Any, Any, Any]:
    """Coverage [H, W] of a ball, and the ray's x and y [H, W] at the middle of the part of each pixel it covers."""
    o = sphere.outline
    cover, mean_u, mean_v = ellipse_coverage(o, u, v)
    cx, cy, cz = sphere.local
    along, square = cx * x + cy * y + cz, x * x + y * y + 1.0
    beyond = _open(
        along * along - square * sphere.power,
        2.0 * (along * cx - x * sphere.power),
        2.0 * (along * cy - y * sphere.power),
        along,
        focal,
    )
    ray_x = jnp.where(o.closed, x + (mean_u - u) * (1.0 / focal), x)
    ray_y = jnp.where(o.closed, y + (mean_v - v) * (1.0 / focal), y)
    return o.seen * jnp.where(o.closed, cover, beyond), ray_x, ray_y


def ball_depth_and_level(sphere: Ball, up: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Depth (m along the optical axis) at which the rays (x, y, 1) meet a ball, and its brightness level 0..1 there.

    A ray that just misses takes the point where it passes closest. See `render.opencv.ball._level`.
    """
    (cx, cy, cz), r = sphere.local, sphere.radius
    square = x * x + y * y + 1.0
    # |p x C|^2 instead of (p.C)^2 - |p|^2 |C|^2, which cancels for a small ball far away.
    ex, ey, ez = y * cz - cy, cx - x * cz, x * cy - y * cx
    root = jnp.sqrt(jnp.maximum(r * r * square - (ex * ex + ey * ey + ez * ez), _TINY))
    depth = (cx * x + cy * y + cz - root) / square
    rise = depth * (up[1] * y + up[2]) - (cy * up[1] + cz * up[2])
    level = jnp.clip(0.5 + rise * (0.5 / r), 0.0, 1.0)
    return depth, level * level * level


def ball_colour(level: Any, colour: Any) -> tuple[Any, Any, Any]:
    """Red, green and blue [H, W] in bytes of a ball of `colour` [3], 0..1, at a brightness; see `palettes_of`."""
    shine = jnp.clip((level - GLOSS_FROM) * (1.0 / (1.0 - GLOSS_FROM)), 0.0, 1.0)
    shine = 255.0 * GLOSS * shine * shine
    diffuse = 255.0 * (AMBIENT + (1.0 - AMBIENT) * level)
    red, green, blue = (jnp.clip(diffuse * colour[i] + shine, 0.0, 255.0) for i in range(3))
    return red, green, blue


__all__ = [
    "CHORDS",
    "ball_colour",
    "ball_coverage",
    "ball_depth_and_level",
    "ellipse_coverage",
    "shadow_coverage",
]
