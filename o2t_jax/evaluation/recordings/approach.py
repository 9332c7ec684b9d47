"""Motion towards the camera, by size: the radius in the picture goes as 1 / distance.

Sightings are [T, 1], radii in px. They tell distances in units of the object's size times the focal length only: the
time to contact, and acceleration over distance. Metres need the distance itself, at one sighting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from o2t_jax.evaluation.recordings.law import Law, Points, Quantity, Stretch, Times, Values

NAMES = ("distance", "speed", "acceleration")  # of 1 / radius, 1/px
LEAST = 0.15  # of the distance must change: less is no approach


def _start(times: Times, points: Points) -> np.ndarray:
    if points.shape[1] != 1 or points.min() <= 0:
        return np.zeros((0, 3))
    # 1 / r weighs small radii too much: in its weight r^2 each miss is one of px.
    c = np.polynomial.polynomial.polyfit(times, 1 / points[:, 0], 2, w=points[:, 0] ** 2)
    return np.array([[c[0], c[1], 2 * c[2]]])


def _paths(values: Values, times: Times) -> np.ndarray:
    distance = values[:, :1] + values[:, 1:2] * times + 0.5 * values[:, 2:3] * times**2
    return (1 / np.where(distance > 1e-9, distance, np.nan))[..., None]


def _quantities(values: Values, stretch: Stretch) -> dict[str, Quantity]:
    distance, speed, acceleration = values.T
    root = speed**2 - 2 * acceleration * distance
    with np.errstate(all="ignore"):
        # The first time at which the distance is 0, by the form that does not cancel.
        contact = 2 * distance / (-speed + np.sqrt(np.where(root >= 0, root, np.nan)))
    return {
        "acceleration_over_distance": Quantity(-acceleration / distance, 0, -2),
        "speed_over_distance": Quantity(-speed / distance, 0, -1),
        "time_to_contact": Quantity(np.where(contact > 0, contact, np.inf), 0, 1),
    }


def in_metres(parameters: Mapping[str, Mapping[str, Any]], distance: tuple[float, float]) -> dict[str, dict[str, Any]]:
    """Acceleration and speed towards the camera from a distance in m at the first sighting, (value, relative spread).

    The distance is measured, or `focal_px * diameter / (2 radius_px)`: blur makes the radius larger, and so the
    distance and the acceleration too small.
    """
    metres, spread = distance
    found = {}
    for name, unit in (("acceleration", "m/s²"), ("speed", "m/s")):
        entry = parameters[f"{name}_over_distance"]
        if None in (entry["value"], entry["high"]):  # the size does not tell it: open above
            found[name] = {"value": None, "low": entry["low"] * metres, "high": None, "unit": unit}
            continue
        value = entry["value"] * metres
        sides = [abs(entry[side] - entry["value"]) * metres for side in ("low", "high")]
        reach = [float(np.hypot(side, 1.96 * spread * value)) for side in sides]
        found[name] = {"value": value, "low": value - reach[0], "high": value + reach[1], "unit": unit}
    return found


def _approaches(values: np.ndarray, span: float) -> bool:
    last = values[0] + values[1] * span + 0.5 * values[2] * span**2
    return bool(values[0] > 0 and last > 0 and abs(np.log(last / values[0])) > LEAST)


APPROACH = Law(
    "motion towards the camera",
    "radius = 1 / z, z'' = a",
    NAMES,
    _start,
    _paths,
    _quantities,
    holds=_approaches,
    sees="size",
)

__all__ = ["APPROACH", "in_metres"]
