"""The room's ramp, an inclined rectangle on the ground, and its contact with a ball."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from o2t_jax.errors import UsageError


class Ramp(NamedTuple):
    """A wedge whose inclined top rises from a foot edge on the ground.

    Attributes: `slope` deg, (0, 90); `height` m of the upper edge; `width` m across; `foot` (x, y) m, the middle of
    the foot edge; `uphill` deg, the horizontal direction of rise as an azimuth (0 along +x, 90 along +y). RoomPhys
    gives the angle from +y clockwise: `uphill = 90 - theta`.
    """

    slope: float
    height: float
    width: float
    foot: tuple[float, float]
    uphill: float


class RampFrame(NamedTuple):
    """A ramp's surface as an orthonormal frame; plain floats, since the simulator's hot path reads them one by one.

    Attributes: `sin`, `cos` of the slope; (`ux`, `uy`) the horizontal uphill direction; (`x`, `y`) the foot;
    `length` m along the slope; `run` m of the footprint; `half_width` m.
    The surface's axes in the world are along = (cos ux, cos uy, sin), across = (-uy, ux, 0), normal = along x across.
    """

    sin: float
    cos: float
    ux: float
    uy: float
    x: float
    y: float
    length: float
    run: float
    half_width: float

    @property
    def normal(self) -> tuple[float, float, float]:
        """Unit normal of the surface, pointing up."""
        return -self.sin * self.ux, -self.sin * self.uy, self.cos


def ramp_frame(ramp: Ramp) -> RampFrame:
    """Frame of the ramp's surface. Raises UsageError when the slope is not in (0, 90) deg or a size is not positive."""
    if not 0.0 < ramp.slope < 90.0:
        raise UsageError(f"ramp slope = {ramp.slope} deg is outside (0, 90); choose one inside")
    if not (ramp.height > 0.0 and ramp.width > 0.0):
        raise UsageError(f"ramp height {ramp.height} m and width {ramp.width} m must both be positive")
    slope, uphill = math.radians(ramp.slope), math.radians(ramp.uphill)
    sin, cos = math.sin(slope), math.cos(slope)
    return RampFrame(
        sin=sin,
        cos=cos,
        ux=math.cos(uphill),
        uy=math.sin(uphill),
        x=float(ramp.foot[0]),
        y=float(ramp.foot[1]),
        length=ramp.height / sin,
        run=ramp.height * cos / sin,
        half_width=0.5 * ramp.width,
    )


def footprint_coordinates(ramp: Ramp, points: Any) -> tuple[np.ndarray, np.ndarray]:
    """(uphill, across) m from the foot's middle of `points` [..., >= 2] (their x and y are read)."""
    frame, points = ramp_frame(ramp), np.asarray(points, np.float64)
    dx, dy = points[..., 0] - frame.x, points[..., 1] - frame.y
    return frame.ux * dx + frame.uy * dy, frame.ux * dy - frame.uy * dx


def over_ramp(ramp: Ramp, points: Any) -> np.ndarray:
    """Which of `points` [..., >= 2] lie above (or below) the ramp's footprint: bool [...]."""
    up, across = footprint_coordinates(ramp, points)
    frame = ramp_frame(ramp)
    return (up >= 0) & (up <= frame.run) & (np.abs(across) <= frame.half_width)


def surface_height(ramp: Ramp | None, points: Any) -> np.ndarray:
    """Height [...] m of the surface straight below `points` [..., >= 2]: the ramp's surface or the ground (0)."""
    points = np.asarray(points, np.float64)
    if ramp is None:
        return np.zeros(points.shape[:-1])
    up, _ = footprint_coordinates(ramp, points)
    return np.where(over_ramp(ramp, points), up * math.tan(math.radians(ramp.slope)), 0.0)


def ramp_normal(ramp: Ramp) -> np.ndarray:
    """Unit normal [3] of the ramp's surface, pointing up."""
    return np.array(ramp_frame(ramp).normal)


def ramp_corners(ramp: Ramp) -> np.ndarray:
    """The wedge's corners [6, 3] m: foot left, foot right, top right, top left, then below top right, below top left.

    Left and right are as seen when facing uphill.
    """
    f = ramp_frame(ramp)
    foot, up = np.array([f.x, f.y, 0.0]), np.array([f.ux, f.uy, 0.0]) * f.run
    left, rise = np.array([-f.uy, f.ux, 0.0]) * f.half_width, np.array([0.0, 0.0, ramp.height])
    return np.stack(
        [foot + left, foot - left, foot + up - left + rise, foot + up + left + rise, foot + up - left, foot + up + left]
    )


def ball_on_ramp(ramp: Ramp, radius: float, fraction: float, across: float = 0.0) -> np.ndarray:
    """Centre [3] m of a ball that touches the ramp's surface, one radius off it.

    Args: `fraction` of the slope's length from the foot to the point of contact, `across` m to the left of the middle.
    """
    f = ramp_frame(ramp)
    s = fraction * f.length
    up = s * f.cos - radius * f.sin
    x = f.x + up * f.ux - across * f.uy
    y = f.y + up * f.uy + across * f.ux
    return np.array([x, y, s * f.sin + radius * f.cos])


__all__ = [
    "Ramp",
    "RampFrame",
    "ball_on_ramp",
    "footprint_coordinates",
    "over_ramp",
    "ramp_corners",
    "ramp_frame",
    "ramp_normal",
    "surface_height",
]
