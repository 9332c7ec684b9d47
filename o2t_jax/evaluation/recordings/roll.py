"""A body that rolls or slides along a line: its place and how far its rim has turned.

Sightings are [T, 3]: place px (right, up), and the angle by marks times the radius in the picture, px. An acceleration
alone is one number for slope, friction and inertia; the angle says whether it rolls, so which of the latter it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from o2t_jax.evaluation.recordings.law import Law, Points, Quantity, Stretch, Times, Values
from o2t_jax.evaluation.recordings.line import SLOPE

NAMES = (*SLOPE.names, "rim", "rolling")
G = 9.81  # m/s²
SLIPS = 0.1  # of the way: how far the rim may lag behind a body that rolls


def _start(times: Times, points: Points) -> np.ndarray:
    if points.shape[1] != 3:
        return np.zeros((0, len(NAMES)))
    plain = SLOPE.start(times, points[:, :2])
    if not len(plain):
        return np.zeros((0, len(NAMES)))
    way = plain[0, 3] * times + 0.5 * plain[0, 4] * times**2
    rim, rolling = np.polynomial.polynomial.polyfit(way, points[:, 2], 1)
    return np.array([[*plain[0], rim, rolling]])


def _paths(values: Values, times: Times) -> np.ndarray:
    way = values[:, [3]] * times + 0.5 * values[:, [4]] * times**2
    rim = values[:, [5]] + values[:, [6]] * way
    return np.concatenate([SLOPE.paths(values[:, :5], times), rim[..., None]], axis=-1)


def _quantities(values: Values, stretch: Stretch) -> dict[str, Quantity]:
    # 1: rolls without slip; 0: slides without a turn.
    return {**SLOPE.quantities(values[:, :5], stretch), "rolling": Quantity(np.abs(values[:, 6]))}


def slope_tells(parameters: Mapping[str, Mapping[str, Any]], level: bool = False) -> tuple[dict[str, float], list[str]]:
    """What an acceleration down a slope tells of friction or inertia, (low, high) as `name_low`, `name_high`; refusals.

    Args: `parameters` of "constant acceleration along a line" or of "roll down a slope"; `level`, whether the camera is
    known to be level, without which the slope in the picture is not that against gravity. Sliding:
    a = g (sin s - friction cos s). Rolling without slip: a = g sin s / (1 + inertia), inertia over m r².
    """
    acceleration, slope = parameters["acceleration"], parameters["slope"]
    refused = []
    if acceleration["unit"] != "m/s²":
        refused.append("friction: the acceleration is in px/s², give a scale")
    if not level:
        refused.append("friction: the slope is one in the picture, which the camera's roll turns")
    rolling = parameters.get("rolling")
    if rolling is None:
        refused.append("friction: whether it rolls or slides is not seen without the angle of marks")
    if refused or rolling is None:
        return {}, refused
    angles = np.radians([abs(slope["low"]), abs(slope["high"])])
    rates = np.array([acceleration["low"], acceleration["high"]])
    if rolling["low"] > 1 - SLIPS:
        found = [G * np.sin(a) / rate - 1 for a in angles for rate in rates]
        return {"inertia_low": float(min(found)), "inertia_high": float(max(found))}, [
            "friction: it rolls without slip, so friction is only what holds it"
        ]
    if rolling["high"] < SLIPS:
        found = [np.tan(a) - rate / (G * np.cos(a)) for a in angles for rate in rates]
        return {"friction_low": float(min(found)), "friction_high": float(max(found))}, []
    return {}, ["friction: it rolls and slips"]


ROLL = Law(
    "roll down a slope",
    "s'' = a, rim = rolling s",
    NAMES,
    _start,
    _paths,
    _quantities,
    holds=SLOPE.holds,
    sees="place and turn",
)

__all__ = ["ROLL", "slope_tells"]
