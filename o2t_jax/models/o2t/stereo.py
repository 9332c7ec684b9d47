"""From masks to metres: the geometry of the camera gauge, without parameters.

A mask's centroid over solid angle is the direction to the ball's centre. This is exact for a sphere, whose outline is a
circular cone of rays. The solid angle gives the angular radius, and triangulation by two eyes gives metres. Nothing
here uses PARA5, the target's time or the target.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.geometry.camera import Intrinsics, pixel_directions, pixel_grid, triangulate, world_to_camera
from o2t_jax.geometry.para import LEFT_1, RIGHT_1
from o2t_jax.models import ops

MIN_MASK_PIXELS = 4.0
SHIFT_ROUNDS = 4
_EXACT = jax.lax.Precision.HIGHEST


class Sighting(NamedTuple):
    """The position of one object in each picture, from its masks ([...] = batch and picture axes)."""

    direction: jax.Array
    """Unit direction [..., 3] in the world frame of camera 1, towards the object's centre."""
    sin_radius: jax.Array
    """Sine of the angular radius [...]."""
    pixels: jax.Array
    """Mask mass [...] in pixels inside the search disc; small when nothing is seen."""
    seen: jax.Array
    """True [...] where the mask has enough pixels and its disc lies inside the picture."""


def _solid_angle(intrinsics: Intrinsics, dtype: jnp.dtype) -> jax.Array:
    """Solid angle [..., H, W] of every pixel, sr: cos^3 / f^2."""
    lens, grid = intrinsics.over(2), pixel_grid(intrinsics)
    x = jnp.asarray((grid[..., 0] - lens.cx) / lens.focal, dtype)
    y = jnp.asarray((grid[..., 1] - lens.cy) / lens.focal, dtype)
    return (1 + x * x + y * y) ** -1.5 / lens.focal**2


def locate(mask: jax.Array, rotation: jax.Array, intrinsics: Intrinsics) -> Sighting:
    """Finds the densest region of each mask and measures it.

    Args: `mask` [..., H, W] in 0..1; `rotation` [..., 3, 3] of each picture's camera; `intrinsics` shared, or with a
    principal point [...] for each.
    The search disc is placed at the densest box of the mask, then by mean shift, without gradient. Its radius is 1.5
    times that of the region plus two pixels, with a soft rim, so that stray mask far away does not move the centroid.
    """
    h, w = mask.shape[-2:]
    grid = jnp.asarray(pixel_grid(intrinsics), mask.dtype)
    fixed = jax.lax.stop_gradient(mask)
    blurred = ops.separable(fixed, np.ones(max(3, h // 8) | 1))
    peak = jnp.argmax(blurred.reshape(*mask.shape[:-2], h * w), axis=-1)
    centre = jnp.stack([peak % w, peak // w], axis=-1) + 0.5
    radius = jnp.full(centre.shape[:-1], h / 8.0)

    def window(centre: jax.Array, radius: jax.Array) -> jax.Array:
        distance = jnp.sqrt(jnp.sum((grid - centre[..., None, None, :]) ** 2, axis=-1) + 1e-6)
        return jnp.clip(1.5 * radius[..., None, None] + 2.0 - distance + 0.5, 0.0, 1.0)

    moments = jnp.concatenate([grid, jnp.ones_like(grid[..., :1])], axis=-1)

    def shift(_: int, found: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        # One product for centre and mass, so that the window is computed once.
        u, v, mass = jnp.moveaxis(
            jnp.einsum("...hw,hwm->...m", fixed * window(*found), moments, precision=_EXACT), -1, 0
        )
        mass = jnp.maximum(mass, 1e-3)
        return jnp.stack([u, v], axis=-1) / mass[..., None], jnp.sqrt(mass / jnp.pi)

    centre, radius = jax.lax.fori_loop(0, SHIFT_ROUNDS, shift, (centre, radius))
    inside = mask * window(centre, radius)
    weight = inside * _solid_angle(intrinsics, mask.dtype)
    rays = pixel_directions(jnp.asarray(pixel_grid(intrinsics), mask.dtype), jnp.eye(3), intrinsics.over(2))
    local = jnp.einsum("...hw,...hwc->...c", weight, rays, precision=_EXACT)
    solid = jnp.sum(weight, axis=(-2, -1))
    local = local / jnp.maximum(jnp.linalg.norm(local + 1e-20, axis=-1, keepdims=True), 1e-12)
    direction = jnp.einsum("...ji,...j->...i", rotation, local, precision=_EXACT)
    cos_radius = 1.0 - jnp.clip(solid / (2.0 * jnp.pi), 0.0, 1.0)
    mass = jnp.sum(jax.lax.stop_gradient(inside), axis=(-2, -1))
    reach = radius + 0.5
    u, v = centre[..., 0], centre[..., 1]
    whole = (u > reach) & (u < w - reach) & (v > reach) & (v < h - reach)
    return Sighting(
        direction, jnp.sqrt(jnp.maximum(1.0 - cos_radius**2, 1e-12)), mass, whole & (mass > MIN_MASK_PIXELS)
    )


class Slots(NamedTuple):
    """The used slots in metres, positions as (x, y, z) in the frame of camera 1, m."""

    first: jax.Array
    """Position [B, K, 3] at t1."""
    second: jax.Array
    """Position [B, K, 3] at t2."""
    radius: jax.Array
    """Radius [B, K], m; no gradient."""
    present: jax.Array
    """1.0 [B, K] where the slot was seen in all four pictures and its rays met; 0.0 elsewhere; no gradient."""


def camera_poses(para: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Positions [..., 3] m and rotations [..., 3, 3] of the cameras of PARA [..., 6]."""
    return para[..., 1:4], world_to_camera(para[..., 4], para[..., 5])


def triangulate_slots(sighting: Sighting, para: jax.Array) -> Slots:
    """Triangulates both times. `sighting` over [B, 4] (one slot), `para` [B, 4, 6]."""
    position, _ = camera_poses(para)
    left, right = slice(LEFT_1, None, 2), slice(RIGHT_1, None, 2)
    points, crossed = triangulate(
        position[:, left], sighting.direction[:, left], position[:, right], sighting.direction[:, right]
    )
    distance = jnp.linalg.norm(points[:, :, None] - position.reshape(-1, 2, 2, 3), axis=-1)
    radius = jnp.mean(distance.reshape(sighting.sin_radius.shape) * sighting.sin_radius, axis=1)
    present = (jnp.all(crossed, axis=1) & jnp.all(sighting.seen, axis=1)).astype(radius.dtype)
    return Slots(points[:, :1], points[:, 1:], jax.lax.stop_gradient(radius)[:, None], present[:, None])


def height_first(points: jax.Array) -> jax.Array:
    """(x, y, z) -> (z, x, y): the latent's axis order."""
    return jnp.concatenate([points[..., 2:], points[..., :2]], axis=-1)


def height_last(points: jax.Array) -> jax.Array:
    """(z, x, y) -> (x, y, z)."""
    return jnp.concatenate([points[..., 1:], points[..., :1]], axis=-1)
