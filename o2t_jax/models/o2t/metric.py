"""The metric block of the camera gauge: from the four pictures and their cameras to metres and metres per second.

A small convolutional tower, shared by the pictures and seeing one picture at a time, marks the pixels of what moves
(a coverage mask). Everything after it is geometry, without parameters: the mask's centroid over solid angle is the
direction to the ball's centre (exact for a sphere: its outline is a circular cone of rays), its solid angle gives the
angular radius, two eyes triangulate to metres, and shooting through the physics layer gives the velocity.

Nothing here sees PARA5, the target's time or the target.

Named prior (`moving, one colour`): the tower is trained to explain each picture of the left eye as its other one with
one coloured thing laid over it (`swap_loss`). No true state enters.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.geometry.camera import Intrinsics, pixel_directions, pixel_grid, triangulate, world_to_camera
from o2t_jax.models import ops
from o2t_jax.models.layers import Conv, Dense
from o2t_jax.types import LEFT_1, RIGHT_1

MIN_MASK_PIXELS = 4.0
SHIFT_ROUNDS = 4
_EXACT = jax.lax.Precision.HIGHEST


class MaskTower(nn.Module):
    """One picture -> coverage logits of what moves; works at half and quarter resolution (space-to-depth)."""

    features: int = 16

    @nn.compact
    def __call__(self, pictures: jax.Array) -> jax.Array:
        """`pictures` float32 [N, H, W, 3] in 0..1 -> logits [N, H, W]."""
        fine = nn.silu(Conv(self.features, name="fine_1")(space_to_depth(pictures - 0.5)))
        coarse = nn.silu(Dense(2 * self.features, name="down")(space_to_depth(fine)))
        for i in (1, 2):
            coarse = coarse + nn.silu(Conv(2 * self.features, name=f"coarse_{i}")(coarse))
        fine = fine + depth_to_space(Dense(4 * self.features, name="up")(coarse))
        fine = nn.silu(Conv(self.features, name="fine_2")(fine))
        logits = Dense(4, bias_init=nn.initializers.constant(-2.0), name="out")(fine)
        return depth_to_space(logits)[..., 0]


def space_to_depth(x: jax.Array) -> jax.Array:
    """[N, H, W, C] -> [N, H/2, W/2, 4 C]: each 2 x 2 block becomes one pixel."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)


def depth_to_space(x: jax.Array) -> jax.Array:
    """The inverse of `space_to_depth`: [N, H, W, 4 C] -> [N, 2 H, 2 W, C]."""
    n, h, w, c = x.shape
    return x.reshape(n, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, c // 4)


class Sighting(NamedTuple):
    """What the masks say about one thing in each picture ([...] = batch and picture axes)."""

    direction: jax.Array
    """Unit direction [..., 3] in the world frame of camera 1, towards the thing's centre."""
    sin_radius: jax.Array
    """Sine of the angular radius [...]."""
    pixels: jax.Array
    """Mask mass [...] in pixels inside the window; small when nothing is seen."""
    seen: jax.Array
    """True [...] where the mask has enough pixels and its disc lies inside the picture."""


def _solid_angle(intrinsics: Intrinsics, dtype: jnp.dtype) -> jax.Array:
    """Solid angle [..., H, W] of every pixel, sr: cos^3 / f^2."""
    lens, grid = intrinsics.over(2), pixel_grid(intrinsics)
    x = jnp.asarray((grid[..., 0] - lens.cx) / lens.focal, dtype)
    y = jnp.asarray((grid[..., 1] - lens.cy) / lens.focal, dtype)
    return (1 + x * x + y * y) ** -1.5 / lens.focal**2


def locate(mask: jax.Array, rotation: jax.Array, intrinsics: Intrinsics) -> Sighting:
    """Finds the heaviest blob of each mask and measures it.

    Args: `mask` [..., H, W] in 0..1; `rotation` [..., 3, 3] of each picture's camera; `intrinsics` of all, or with a
    principal point [...] for each.
    The window is placed by the densest box of the mask, then by mean shift, without gradient; it is a disc of 1.5 times
    the blob's radius plus two pixels with a soft rim, so that stray mask far away does not pull the centroid.
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


def swap_loss(mask: jax.Array, pictures: jax.Array, others: jax.Array) -> jax.Array:
    """How badly each picture is explained as another of the same camera with one coloured thing laid over it.

    Args: `mask` [B, P, H, W]; `pictures` float32 [B, P, H, W, 3] in 0..1; `others`, of the same shape, what the same
    cameras saw at other times.
    Returns: [B], mean squared error over pictures, pixels and channels. The colour is the mask's own mean, weighted by
    how much a pixel changed: it needs no start value and no true colour.
    """
    change = jnp.sum(jnp.square(pictures - others), axis=-1)
    weight = jax.lax.stop_gradient(mask * change) + 1e-8
    colour = jnp.einsum("bphw,bphwc->bpc", weight, pictures) / jnp.sum(weight, axis=(-2, -1))[..., None]
    colour = colour[:, :, None, None, :]
    error = others + mask[..., None] * (colour - others) - pictures
    return jnp.mean(jnp.square(error), axis=(1, 2, 3, 4))


class Metric(NamedTuple):
    """Metric slots, positions as (x, y, z) in the frame of camera 1, m."""

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


def measure(sighting: Sighting, para: jax.Array) -> Metric:
    """Triangulates both times. `sighting` over [B, 4] (one slot), `para` [B, 4, 6]."""
    position, _ = camera_poses(para)
    left, right = slice(LEFT_1, None, 2), slice(RIGHT_1, None, 2)
    points, crossed = triangulate(
        position[:, left], sighting.direction[:, left], position[:, right], sighting.direction[:, right]
    )
    distance = jnp.linalg.norm(points[:, :, None] - position.reshape(-1, 2, 2, 3), axis=-1)
    radius = jnp.mean(distance.reshape(sighting.sin_radius.shape) * sighting.sin_radius, axis=1)
    present = (jnp.all(crossed, axis=1) & jnp.all(sighting.seen, axis=1)).astype(radius.dtype)
    return Metric(points[:, :1], points[:, 1:], jax.lax.stop_gradient(radius)[:, None], present[:, None])


def height_first(points: jax.Array) -> jax.Array:
    """(x, y, z) -> (z, x, y): the latent's axis order."""
    return jnp.concatenate([points[..., 2:], points[..., :2]], axis=-1)


def height_last(points: jax.Array) -> jax.Array:
    """(z, x, y) -> (x, y, z)."""
    return jnp.concatenate([points[..., 1:], points[..., :1]], axis=-1)


__all__: list[Any] = [
    "MaskTower",
    "Metric",
    "Sighting",
    "camera_poses",
    "height_first",
    "height_last",
    "locate",
    "measure",
    "swap_loss",
]
