"""A mark that turns about a centre and slows down: its place, or the vector from one mark to another."""

from __future__ import annotations

import numpy as np

from o2t_jax.evaluation.recordings.law import Law, Points, Quantity, Stretch, Times, Values
from o2t_jax.geometry.circle import fit_circle

NAMES = ("centre_x", "centre_y", "radius", "angle", "speed", "damping")
ARC = 2.0  # rad that must be seen


def _start(times: Times, points: Points) -> np.ndarray:
    """Circle by algebraic least squares; the speed's exponential by a parabola through the angle."""
    centre, square = fit_circle(points)
    radius = float(np.sqrt(max(square, 1e-6)))
    if radius > 2 * np.ptp(points, axis=0).max():
        return np.zeros((0, len(NAMES)))
    aside = points - centre
    angle = np.unwrap(np.arctan2(aside[:, 1], aside[:, 0]))
    a = np.polynomial.polynomial.polyfit(times, angle, 2)
    slow = -2 * a[2] / a[1] if a[1] else 0.0
    return np.array([[*centre, radius, a[0], a[1], rate] for rate in (slow, 0.0, 2 * slow)])


def _paths(values: Values, times: Times) -> np.ndarray:
    """angle + speed (1 - e^(-c t)) / c."""
    c = values[:, 5:6]
    with np.errstate(over="ignore"):
        gone = np.where(np.abs(c) < 1e-6, times, -np.expm1(-np.clip(c * times, -50, 50)) / np.where(c == 0, 1, c))
    angle = values[:, 3:4] + values[:, 4:5] * gone
    turned = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return values[:, None, :2] + values[:, 2, None, None] * turned


def _quantities(values: Values, stretch: Stretch) -> dict[str, Quantity]:
    return {
        "angular_speed": Quantity(np.abs(values[:, 4]), 0, -1),  # rad/s, at the first sighting
        "damping": Quantity(values[:, 5], 0, -1),
        "radius": Quantity(np.abs(values[:, 2]) * 0.5 * (stretch.across + stretch.up), 1, 0),
        "period": Quantity(2 * np.pi / np.abs(values[:, 4]), 0, 1),
    }


def _turns(values: np.ndarray, span: float) -> bool:
    """Enough of an arc is seen: a short one is any curve."""
    c = values[5]
    gone = span if abs(c * span) < 1e-6 else -np.expm1(-np.clip(c * span, -50, 50)) / c
    return bool(abs(values[4]) * gone > ARC and values[2] > 0 and c * span > -1)


ROTATION = Law(
    "rotation with damping",
    "a'' = -c a' about a centre",
    NAMES,
    _start,
    _paths,
    _quantities,
    holds=_turns,
)

__all__ = ["ROTATION"]
