"""Free flight that comes nearer to the camera, or goes away from it, at a steady rate: a pitched ball.

A place (X, Y) of the world is seen at X / Z, and the distance Z goes as 1 + c t, so the picture of a parabola is one
over 1 + c t. Metres need a distance. Not among the forms that are tried on every track: for that it bends too freely.
"""

from __future__ import annotations

import numpy as np

from o2t_jax.evaluation.recordings.flight import FLIGHT
from o2t_jax.evaluation.recordings.law import Law, Points, Quantity, Stretch, Times, Values

NAMES = (*FLIGHT.names, "closing")


def _start(times: Times, points: Points) -> np.ndarray:
    plain = FLIGHT.start(times, points)
    span = times[-1] - times[0]
    return np.array([[*each, share / span] for each in plain for share in (0.0, -0.3, 0.3)])


def _paths(values: Values, times: Times) -> np.ndarray:
    nearer = np.maximum(1 + values[:, 6:7] * times, 0.05)
    return FLIGHT.paths(values[:, :6], times) / nearer[..., None]


def _quantities(values: Values, stretch: Stretch) -> dict[str, Quantity]:
    return {
        "g": Quantity(values[:, 4], 1, -2),  # as it would be seen at the first distance
        "closing_rate": Quantity(-values[:, 6], 0, -1),
    }


DEPTH = Law(
    "free flight in depth",
    "r'' = g, seen at r / (1 + c t)",
    NAMES,
    _start,
    _paths,
    _quantities,
    holds=lambda values, span: bool(values[4] > 0 and 1 + values[6] * span > 0.1),
    prior=FLIGHT.prior,
    contains=("free flight", "uniform motion"),
    sees="place in depth",
)

__all__ = ["DEPTH"]
