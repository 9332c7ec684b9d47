"""Rooms that discs move in: walls along the edges of polygons. A new room is one line of the registry.

The shapes O, L, U and I are after those of Chang et al., A Compositional Object-Based Approach to Learning Physical
Dynamics (arXiv 1612.00341). At 800 x 600 px every passage is at least 150 px wide.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from o2t_jax.errors import UsageError
from o2t_jax.geometry.camera import namespace
from o2t_jax.physics.discs.scene import Walls
from o2t_jax.registry import Registry
from o2t_jax.types import Array

Polygon = tuple[tuple[float, float], ...]
"""Corners in order, as parts of the room's width and height."""

_OUTLINE: Polygon = ((0, 0), (1, 0), (1, 1), (0, 1))
_MIDDLE: Polygon = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
_L: Polygon = ((0, 0), (1, 0), (1, 0.5), (0.5, 0.5), (0.5, 1), (0, 1))
_U: Polygon = ((0, 0), (1, 0), (1, 1), (0.65, 1), (0.65, 0.4), (0.35, 0.4), (0.35, 1), (0, 1))
_I: Polygon = (
    *((0, 0), (1, 0), (1, 0.3), (0.7, 0.3), (0.7, 0.7), (1, 0.7)),
    *((1, 1), (0, 1), (0, 0.7), (0.3, 0.7), (0.3, 0.3), (0, 0.3)),
)

ROOMS: Registry[tuple[Polygon, ...]] = Registry(
    "room",
    {
        "box": (_OUTLINE,),
        "O": (_OUTLINE, _MIDDLE),
        "L": (_L,),
        "U": (_U,),
        "I": (_I,),
    },
)


def walls(room: str, size: tuple[float, float], rows: int | None = None) -> Walls:
    """The walls of `room`, of `size` (width, height), its first corner at (0, 0); numpy, float64.

    Args: `rows`, a larger number of walls, to give rooms one shape; the others are not present.
    Raises: UsageError for an unknown room, or too few rows.
    """
    corners = [np.asarray(polygon, float) * size for polygon in ROOMS.get(room)]
    ends = np.concatenate([np.stack([polygon, np.roll(polygon, -1, axis=0)], axis=1) for polygon in corners])
    rows = len(ends) if rows is None else rows
    if rows < len(ends):
        raise UsageError(f"rows={rows} is too few for room {room!r}: give at least {len(ends)}")
    spare = np.zeros((rows - len(ends), 2, 2))
    return Walls(np.concatenate([ends, spare]), np.arange(rows) < len(ends))


def inside(walls: Walls, point: Float[Array, "*batch 2"], radius: Array | float) -> Bool[Array, "*batch"]:
    """Whether discs of `radius` [*batch] or [] about `point` lie in a room, clear of its walls.

    A point is in the room if a line from it to the right crosses an odd number of walls.
    """
    xp = namespace(walls.ends, point)
    point = xp.asarray(point)
    x, y = point[..., 0], point[..., 1]

    def rows(values: Array) -> Array:  # walls first, so that CPUs sweep over points
        return values.reshape(-1, *(1,) * x.ndim)

    (start_x, start_y), (end_x, end_y) = ([rows(walls.ends[:, i, k]) for k in (0, 1)] for i in (0, 1))
    along_x, along_y, present = end_x - start_x, end_y - start_y, rows(walls.present)
    spans = (start_y > y) != (end_y > y)
    at = start_x + (y - start_y) * along_x / xp.where(along_y == 0.0, 1.0, along_y)
    crossings = xp.sum(spans & (at > x) & present, axis=0)
    part = ((x - start_x) * along_x + (y - start_y) * along_y) / xp.maximum(along_x**2 + along_y**2, 1e-30)
    part = xp.clip(part, 0.0, 1.0)
    square = (x - start_x - part * along_x) ** 2 + (y - start_y - part * along_y) ** 2
    return (crossings % 2 == 1) & xp.all((square >= xp.asarray(radius) ** 2) | ~present, axis=0)


def area(room: str, size: tuple[float, float]) -> float:
    """Area of `room`: of its outline, less the polygons within."""
    areas = [_area(np.asarray(polygon, float) * size) for polygon in ROOMS.get(room)]
    return areas[0] - sum(areas[1:])


def _area(corners: np.ndarray) -> float:
    x, y = corners.T
    return 0.5 * abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))))


__all__ = ["ROOMS", "Polygon", "area", "inside", "walls"]
