"""The shapes of a planar picture of a world: discs and segments in metres. `render/planar.py` draws them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from o2t_jax.types import Array


class Primitives(NamedTuple):
    """P capsules, the first at the back: all points within `radius` of a segment, or a disc where its length is 0.

    World axes: the first to the right, the second up, m.

    Attributes: `start`, `end` [P, 2] m, the segment's ends; `radius` [P] m, > 0; `colour` [P, C], 0 to 1, three for RGB
    or one for grey; `opacity` [P], 0 (not there) to 1.
    """

    start: Any
    end: Any
    radius: Any
    colour: Any
    opacity: Any


class View(NamedTuple):
    """The part of the plane that a picture shows: `centre` [2] m, `half_height` [] m (its width follows from
    the picture's shape), `background` [C], 0 to 1."""

    centre: Any
    half_height: Any
    background: Any


class Drawing(NamedTuple):
    """`primitives` in front of a background, and the part of the world to show."""

    primitives: Primitives
    view: View


def grey(value: Any) -> Any:
    """The colour [1] of a grey value, 0 to 1."""
    return jnp.reshape(jnp.asarray(value, jnp.float32), (1,))


def segments(start: Any, end: Any, radius: Any, colour: Any, opacity: Any = 1.0) -> Primitives:
    """Segments from `start` to `end` [P, 2] m, `radius` m thick to either side; single values hold for all of them."""
    start = jnp.asarray(start)
    count = (start.shape[0],)
    colour = jnp.asarray(colour, start.dtype)
    return Primitives(
        start=start,
        end=jnp.asarray(end, start.dtype),
        radius=jnp.broadcast_to(jnp.asarray(radius, start.dtype), count),
        colour=jnp.broadcast_to(colour, count + colour.shape[-1:]),
        opacity=jnp.broadcast_to(jnp.asarray(opacity, start.dtype), count),
    )


def discs(centre: Any, radius: Any, colour: Any, opacity: Any = 1.0) -> Primitives:
    """Discs of `radius` m about `centre` [P, 2] m; single values hold for all of them."""
    return segments(centre, centre, radius, colour, opacity)


def layers(*parts: Primitives) -> Primitives:
    """All `parts` as one, the first part at the back."""
    return Primitives(*(jnp.concatenate(fields) for fields in zip(*parts, strict=True)))


def inside(drawing: Drawing, aspect: float = 1.0) -> Array:
    """Which primitives [P] lie wholly in a picture whose width is `aspect` times its height."""
    shapes, view = drawing
    half = view.half_height * jnp.array([aspect, 1.0])
    ends = jnp.stack([shapes.start, shapes.end]) - view.centre
    return jnp.all(jnp.abs(ends) + shapes.radius[:, None] <= half, axis=(0, 2))


__all__ = ["Drawing", "Primitives", "View", "discs", "grey", "inside", "layers", "segments"]
