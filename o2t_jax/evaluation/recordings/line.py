"""Motion along a line: constant acceleration (slide, roll down a slope), exponential decay, a damped spring."""

from __future__ import annotations

import numpy as np

from o2t_jax.evaluation.recordings.law import GROWS, Law, Points, Quantity, Stretch, Times, Values, best_sine, main_axis

UPRIGHT = np.radians(5.0)  # a line so near to the vertical is no slope: it is a fall
THIN = 0.2  # of the length along the line: what is wider is no line


def _is_line(points: Points) -> bool:
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(spread[1] < THIN * spread[0])


def _along(values: Values, place: np.ndarray) -> np.ndarray:
    """Centre (two values), angle, and positions [B, T] along it."""
    direction = np.stack([np.cos(values[:, 2]), np.sin(values[:, 2])], axis=-1)
    return values[:, None, :2] + place[..., None] * direction[:, None]


def _stretched(values: Values, stretch: Stretch) -> np.ndarray:
    return np.hypot(np.cos(values[:, 2]) * stretch.across, np.sin(values[:, 2]) * stretch.up)


def _angle(values: Values, stretch: Stretch) -> Quantity:
    """In the picture of a plane seen from the front: the camera's roll is not in it. All within 90 deg of the first."""
    cos, sin = np.cos(values[:, 2]), np.sin(values[:, 2])
    angle = np.arctan2(sin * stretch.up + cos * stretch.shear, cos * stretch.across + sin * stretch.shear)
    first = (angle[0] + np.pi / 2) % np.pi - np.pi / 2
    return Quantity(np.degrees(first + (angle - first + np.pi / 2) % np.pi - np.pi / 2), unit="deg")


def _start_slope(times: Times, points: Points) -> np.ndarray:
    centre, angle, place = main_axis(points)
    if not _is_line(points):
        return np.zeros((0, 5))
    c = np.polynomial.polynomial.polyfit(times, place, 2)
    direction = np.array([np.cos(angle), np.sin(angle)])
    return np.array([[*(centre + c[0] * direction), angle, c[1], 2 * c[2]]])


def _of_slope(values: Values, stretch: Stretch) -> dict[str, Quantity]:
    long = _stretched(values, stretch)
    sign = np.where(values[:, 4] < 0, -1.0, 1.0)  # a speed below 0 is against the acceleration
    return {
        "acceleration": Quantity(sign * values[:, 4] * long, 1, -2),
        "speed": Quantity(sign * values[:, 3] * long, 1, -1),
        "slope": _angle(values, stretch),
    }


def _is_slope(values: np.ndarray, span: float) -> bool:
    return abs((values[2] % np.pi) - np.pi / 2) > UPRIGHT


def _start_decay(times: Times, points: Points) -> np.ndarray:
    centre, angle, place = main_axis(points)
    if not _is_line(points):
        return np.zeros((0, 5))
    span = times[-1] - times[0]
    found = []
    for rate in np.geomspace(0.3, 30, 25) / span:
        design = np.column_stack([np.exp(-rate * times), np.ones(len(times))])
        c, *_ = np.linalg.lstsq(design, place, rcond=None)
        found.append((np.sum((design @ c - place) ** 2), rate, c))
    _, rate, c = min(found, key=lambda each: each[0])
    direction = np.array([np.cos(angle), np.sin(angle)])
    return np.array([[*(centre + c[1] * direction), angle, c[0], np.log(rate)]])


def _of_decay(values: Values, stretch: Stretch) -> dict[str, Quantity]:
    rate = np.exp(values[:, 4])
    return {
        "rate": Quantity(rate, 0, -1),
        "half_life": Quantity(np.log(2) / rate, 0, 1),
        "distance": Quantity(np.abs(values[:, 3]) * _stretched(values, stretch), 1, 0),
        "slope": _angle(values, stretch),
    }


def _start_spring(times: Times, points: Points) -> np.ndarray:
    centre, angle, place = main_axis(points)
    frequency, left = best_sine(times, place)
    if not _is_line(points) or not left < 0.6 or len(times) < 8:
        return np.zeros((0, 7))
    design = np.column_stack([np.cos(frequency * times), np.sin(frequency * times), np.ones(len(times))])
    c = np.linalg.lstsq(design, place, rcond=None)[0]
    at = centre + c[2] * np.array([np.cos(angle), np.sin(angle)])
    tries = [frequency * x for x in (1.0, 0.97, 1.03)]
    return np.array([[*at, angle, c[0], c[1] * w, np.log(w), 0.02 * w] for w in tries])


def _paths_spring(values: Values, times: Times) -> np.ndarray:
    """Closed: e^(-c t / 2) (s cos w' t + (v + c s / 2) sin(w' t) / w'), w'^2 = w^2 - c^2 / 4, which may be negative."""
    s, v, w, c = values[:, 3:4], values[:, 4:5], np.exp(values[:, 5:6].clip(-5, 6)), values[:, 6:7]
    inner = np.sqrt((w**2 - c**2 / 4 + 1e-12).astype(complex))
    swing = s * np.cos(inner * times) + (v + c * s / 2) * np.sin(inner * times) / inner
    return _along(values, np.real(np.exp(-c * times / 2) * swing))


def _of_spring(values: Values, stretch: Stretch) -> dict[str, Quantity]:
    w = np.exp(values[:, 5])
    amplitude = np.hypot(values[:, 3], values[:, 4] / w) * _stretched(values, stretch)
    return {
        "period": Quantity(2 * np.pi / w, 0, 1),
        "damping": Quantity(values[:, 6], 0, -1),
        "stiffness_over_mass": Quantity(w**2, 0, -2),
        "amplitude": Quantity(amplitude, 1, 0),
        "slope": _angle(values, stretch),
    }


def _is_decay(values: np.ndarray, span: float) -> bool:
    """The rate is one that the film shows: neither over at once nor a straight motion."""
    return bool(0.1 < np.exp(min(values[4], 20.0)) * span < 30)


def _is_spring(values: np.ndarray, span: float) -> bool:
    """Half a swing is seen: less of one is any curve. Overdamped, it is none at all; nor if it grows."""
    w = float(np.exp(min(values[5], 10.0)))
    return bool(w * span > np.pi and -GROWS * w < values[6] < 2 * w)


SLOPE = Law(
    "constant acceleration along a line",
    "s'' = a",
    ("x", "y", "angle", "v", "a"),
    _start_slope,
    lambda values, times: _along(values, values[:, [3]] * times + 0.5 * values[:, [4]] * times**2),
    _of_slope,
    holds=_is_slope,
    contains=("uniform motion",),
)
DECAY = Law(
    "exponential decay",
    "s' = -s / tau",
    ("x", "y", "angle", "s", "log_rate"),
    _start_decay,
    lambda values, times: _along(values, values[:, [3]] * np.exp(-np.exp(values[:, [4]].clip(-20, 20)) * times)),
    _of_decay,
    holds=_is_decay,
    contains=("uniform motion",),
)
SPRING = Law(
    "damped spring",
    "s'' = -w^2 s - c s'",
    ("x", "y", "angle", "s", "v", "log_w", "c"),
    _start_spring,
    _paths_spring,
    _of_spring,
    holds=_is_spring,
)

__all__ = ["DECAY", "SLOPE", "SPRING"]
