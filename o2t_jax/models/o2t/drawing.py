"""The decoder's picture input in the camera gauge: slots drawn through the target camera, over a warped background.

Two named priors: `ground and sky` (the background is the plane z = 0 and a far sky, so the inputs can be warped to the
target view) and `spheres` (a slot is drawn as a solid sphere that keeps the inputs' colours). With `compose=False` the
decoder gets only the spheres' outlines.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.geometry.camera import MIN_DEPTH_M, Intrinsics, pixel_directions, pixel_grid, project
from o2t_jax.models.o2t.stereo import Slots, camera_poses
from o2t_jax.models.ops import bilinear

SKY_DISTANCE_M = 1e4
LOGIT_MARGIN = 0.005


class Lenses(NamedTuple):
    """Intrinsics of the inputs (shared, or a principal point [B, 4] each) and of the target (shared, or [B])."""

    inputs: Intrinsics
    target: Intrinsics


def view_rays(para: jax.Array, intrinsics: Intrinsics) -> jax.Array:
    """Unit world rays [B, H, W, 3] of the cameras of `para` [B, 6]."""
    _, rotation = camera_poses(para)
    grid = jnp.asarray(pixel_grid(intrinsics), para.dtype)
    return pixel_directions(grid, rotation[:, None, None], intrinsics.over(2))


def spread(mask: jax.Array, reach: int = 2) -> jax.Array:
    """Largest value of `mask` [B, S, H, W] within `reach` pixels along both axes: it also covers the blurred rim."""
    for axis in (-2, -1):
        size = mask.shape[axis]
        pad = [(0, 0)] * mask.ndim
        pad[axis] = (reach, reach)
        padded = jnp.pad(mask, pad)
        shifted = [jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(2 * reach + 1)]
        mask = functools.reduce(jnp.maximum, shifted)
    return mask


def warp_background(
    pictures: jax.Array, mask: jax.Array, para: jax.Array, target: jax.Array, lens: Lenses
) -> jax.Array:
    """The target view's background from the four inputs, by the ground plane and a far sky.

    Args: `pictures` [B, 4, H, W, 3], `mask` [B, 4, H, W] (moving objects, left out), `para` [B, 4, 6], `target` [B, 6].
    Returns: [B, H, W, 3]; mean of the unmasked sources that see the point (the first one, clamped, if none does).
    """
    b, s, h, w, _ = pictures.shape
    rays = view_rays(target, lens.target)
    origin = target[:, None, None, 1:4]
    slope = -rays[..., 2]
    reach = jnp.where(slope > 1e-4, origin[..., 2] / jnp.where(slope > 1e-4, slope, 1.0), SKY_DISTANCE_M)
    points = origin + rays * jnp.clip(reach, 0.0, SKY_DISTANCE_M)[..., None]
    position, rotation = camera_poses(para)
    cameras = position[:, :, None, None], rotation[:, :, None, None]
    pixels, depth = project(points[:, None], *cameras, lens.inputs.over(2))
    layers = jnp.concatenate([pictures, spread(mask)[..., None]], axis=-1).reshape(b * s, h, w, 4)
    values, inside = bilinear(layers, pixels.reshape(b * s, h, w, 2))
    values = values.reshape(b, s, h, w, 4)
    seen = inside.reshape(b, s, h, w) & (depth > MIN_DEPTH_M)
    weight = seen * jnp.square(1.0 - jnp.clip(values[..., 3], 0.0, 1.0)) + 1e-6
    weight = weight.at[:, 0].add(1e-4)
    weight = weight / jnp.sum(weight, axis=1, keepdims=True)
    return jnp.einsum("bshw,bshwc->bhwc", weight, values[..., :3])


class Drawn(NamedTuple):
    """Slots as pictures in the target view."""

    coverage: jax.Array
    """[B, K, H, W] in 0..1: the sphere's outline with a one-pixel rim."""
    colour: jax.Array
    """[B, K, H, W, 3]."""
    distance: jax.Array
    """[B, K] from the target camera, m."""


def draw_spheres(
    centre: jax.Array, slots: Slots, pictures: jax.Array, para: jax.Array, target: jax.Array, lens: Lenses
) -> Drawn:
    """Draws spheres of radius `slots.radius` at `centre` [B, K, 3] m (x, y, z) through the camera of `target` [B, 6].

    A target ray meets the sphere at a point with some normal. The colour is that of the inputs `pictures`
    [B, 4, H, W, 3] at the same normal of the measured sphere (`para` [B, 4, 6]), with more weight for cameras that see
    the point head-on. Coverage is differentiable by `centre`; colours carry no gradient.
    """
    rays = view_rays(target, lens.target)[:, None]
    origin = target[:, None, None, None, 1:4]
    offset = centre[:, :, None, None, :] - origin
    along = jnp.sum(rays * offset, axis=-1)
    squared = jnp.sum(offset * offset, axis=-1) - along**2
    impact = jnp.sqrt(jnp.maximum(squared, 1e-9))
    radius = slots.radius[:, :, None, None]
    distance = jnp.linalg.norm(offset[:, :, 0, 0], axis=-1)
    pixels_per_m = lens.target.focal / jnp.maximum(along, MIN_DEPTH_M)
    coverage = jnp.clip((radius - impact) * pixels_per_m + 0.5, 0.0, 1.0) * (along > MIN_DEPTH_M)
    coverage = coverage * slots.present[:, :, None, None]

    depth = along - jnp.sqrt(jnp.maximum(radius**2 - squared, 1e-9))
    normal = jax.lax.stop_gradient((depth[..., None] * rays - offset) / jnp.maximum(radius, 1e-3)[..., None])
    normal = normal / jnp.maximum(jnp.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    return Drawn(coverage, _sphere_colours(normal, slots, pictures, para, lens.inputs), distance)


def _sphere_colours(
    normal: jax.Array, slots: Slots, pictures: jax.Array, para: jax.Array, intrinsics: Intrinsics
) -> jax.Array:
    """Colours [B, K, H, W, 3] of the measured spheres at world normals [B, K, H, W, 3], from the inputs."""
    b, s, h, w, _ = pictures.shape
    position, rotation = camera_poses(para)
    # [B, 4, K, ...]: both eyes see the first position, then the second.
    centre = jax.lax.stop_gradient(jnp.stack([slots.first, slots.first, slots.second, slots.second], axis=1))
    to_eye = position[:, :, None] - centre
    to_eye = to_eye / jnp.maximum(jnp.linalg.norm(to_eye, axis=-1, keepdims=True), 1e-6)
    # Slightly inside the surface: at the limb a source pixel is half background.
    points = centre[:, :, :, None, None] + 0.9 * slots.radius[:, None, :, None, None, None] * normal[:, None]
    camera = position[:, :, None, None, None], rotation[:, :, None, None, None]
    pixels, _ = project(points, *camera, intrinsics.over(3))
    values, inside = bilinear(pictures.reshape(b * s, h, w, 3), pixels.reshape(b * s, *pixels.shape[2:]))
    facing = jnp.einsum("bkhwc,bskc->bskhw", normal, to_eye)
    weight = inside.reshape(facing.shape) * (jnp.maximum(facing - 0.15, 0.0) ** 2 + 1e-4)
    total = jnp.einsum("bskhw,bskhwc->bkhwc", weight, values.reshape(b, s, *normal.shape[1:]))
    return jax.lax.stop_gradient(total / (jnp.sum(weight, axis=1) + 1e-6)[..., None])


def compose(background: jax.Array, drawn: Drawn) -> jax.Array:
    """Draws the slots over `background` [B, H, W, 3], the farthest first."""
    order = jnp.argsort(-drawn.distance, axis=1)[:, :, None, None]
    coverage = jnp.take_along_axis(drawn.coverage, order, axis=1)
    colour = jnp.take_along_axis(drawn.colour, order[..., None], axis=1)
    picture = background
    for k in range(coverage.shape[1]):
        alpha = coverage[:, k, ..., None]
        picture = picture * (1.0 - alpha) + colour[:, k] * alpha
    return picture


def to_logit(picture: jax.Array) -> jax.Array:
    """The logit of a picture in 0..1, kept finite."""
    clipped = jnp.clip(picture, LOGIT_MARGIN, 1.0 - LOGIT_MARGIN)
    return jnp.log(clipped) - jnp.log1p(-clipped)
