"""Pictures of discs and segments in JAX: sub-pixel, differentiable, batched by `jax.vmap`.

The share of a pixel that a shape covers follows from the distance d (px) of the pixel's centre from the shape's edge:
a smooth ramp, the integral of a Hann window from -1 to 1 px, 0.97 px wide from 10 to 90 %. That window's spectrum is
zero at the sampling frequency, so that sums over pixels (areas, centroids) hardly depend on the grid: a disc of 1 px
radius lies within 0.02 px of its position, one of 3 px within 0.003 px.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from o2t_jax.physics.primitives import Drawing, Primitives

_WINDOW_VARIANCE = 1.0 / 3.0 - 2.0 / math.pi**2  # px^2, of the Hann window
_TINY = 1e-12  # px^2, below any relevant distance; keeps gradients of square roots finite


def draw(drawing: Drawing, height: int, width: int) -> jax.Array:
    """A picture [height, width, C], 0 to 1, of one drawing; row 0 is the top.

    Primitives are painted over the background in their order, the last in front. The picture's height is twice the
    view's `half_height`; pixels are square. Shapes of a radius of at least 1 px cover the right area; thinner ones
    fade. Memory: a few pictures, for a gradient about 2 sqrt(P) of them for P primitives.
    """
    shapes, view = drawing
    pixel = 2.0 * view.half_height / height
    corner = jnp.array([0.5 * width, 0.5 * height])
    flip = jnp.array([1.0, -1.0])
    shapes = shapes._replace(
        start=(shapes.start - view.centre) / pixel * flip + corner,
        end=(shapes.end - view.centre) / pixel * flip + corner,
        radius=shapes.radius / pixel,
    )
    rows, columns = jnp.arange(height) + 0.5, jnp.arange(width) + 0.5

    # A backward pass repaints shape by shape and group by group, so that only one picture of each group and of each
    # shape of one group is kept.
    @jax.checkpoint
    def paint(picture: jax.Array, shape: Primitives) -> tuple[jax.Array, None]:
        share = (shape.opacity * coverage(shape, columns[None, :], rows[:, None]))[..., None]
        return picture + share * (shape.colour - picture), None

    @jax.checkpoint
    def paint_group(picture: jax.Array, group: Primitives) -> tuple[jax.Array, None]:
        return jax.lax.scan(paint, picture, group)

    count = shapes.radius.shape[0]
    size = max(1, math.isqrt(count))
    groups = -(-count // size)
    padded = jax.tree.map(lambda x: _padded(x, groups * size).reshape(groups, size, *x.shape[1:]), shapes)
    background = jnp.broadcast_to(view.background, (height, width, shapes.colour.shape[-1]))
    return jax.lax.scan(paint_group, background.astype(shapes.radius.dtype), padded)[0]


def coverage(shape: Primitives, x: Any, y: Any) -> jax.Array:
    """Share [...] of the pixels about `x`, `y` [...] px that one capsule covers, its numbers in px."""
    along = shape.end - shape.start
    length2 = jnp.sum(along * along)
    dx, dy = x - shape.start[0], y - shape.start[1]
    # The segment's nearest point, or a disc's centre.
    place = jnp.clip((dx * along[0] + dy * along[1]) / jnp.maximum(length2, _TINY), 0.0, 1.0)
    dx, dy = dx - place * along[0], dy - place * along[1]
    distance = jnp.sqrt(dx * dx + dy * dy + _TINY)
    radius = _sharp_radius(shape.radius, jnp.sqrt(length2 + _TINY))
    # The second term is nonzero only for shapes thinner than the window.
    return _edge(distance - radius) - _edge(distance + radius)


def to_bytes(picture: Any) -> jax.Array:
    """`picture` 0 to 1 as uint8."""
    return jnp.round(255.0 * jnp.clip(picture, 0.0, 1.0)).astype(jnp.uint8)


def _edge(distance: jax.Array) -> jax.Array:
    """Share covered at `distance` px outside of a straight edge."""
    d = jnp.clip(distance, -1.0, 1.0)
    return 0.5 * (1.0 - d) - jnp.sin(math.pi * d) / (2.0 * math.pi)


def _sharp_radius(radius: jax.Array, length: jax.Array) -> jax.Array:
    """The radius (px) with which a capsule drawn with a smooth edge has the area of a sharp one.

    Smoothing an outward-curved edge by its distance adds pi times the window's variance, whatever the radius: the
    radius r' solves pi r'^2 + 2 r' length + pi variance = pi r^2 + 2 r length.
    """
    reach = length + math.pi * radius
    square = reach * reach - math.pi**2 * _WINDOW_VARIANCE
    # Below half a pixel there is no such radius: the shape is thinner than its edge, and fades.
    least = (length + 0.5 * math.pi * radius) ** 2
    return (jnp.sqrt(jnp.maximum(square, least)) - length) / math.pi


def _padded(x: jax.Array, size: int) -> jax.Array:
    return jnp.pad(x, [(0, size - x.shape[0])] + [(0, 0)] * (x.ndim - 1))


__all__ = ["coverage", "draw", "to_bytes"]
