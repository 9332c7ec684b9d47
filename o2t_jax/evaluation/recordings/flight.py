"""Free flight, with and without quadratic drag, and motion at a constant velocity."""

from __future__ import annotations

import numpy as np

from o2t_jax.evaluation.recordings.law import Law, Points, Quantity, Stretch, Times, Values

ROLL = np.radians(2.0)  # standard deviation of the camera's roll: gravity is nearly the picture's down
STEPS = 48  # of Runge and Kutta over a flight with drag


def _polynomial(times: Times, points: Points, degree: int) -> np.ndarray:
    """Coefficients [degree + 1, 2], the constant first."""
    return np.polynomial.polynomial.polyfit(times, points, degree)


def _start_uniform(times: Times, points: Points) -> np.ndarray:
    return _polynomial(times, points, 1).ravel()[None]


def _paths_uniform(values: Values, times: Times) -> np.ndarray:
    return values[:, None, :2] + times[:, None] * values[:, None, 2:4]


def _speed(values: Values, stretch: Stretch) -> Quantity:
    return Quantity(np.hypot(values[:, 2] * stretch.across, values[:, 3] * stretch.up), 1, -1)


def _start_flight(times: Times, points: Points) -> np.ndarray:
    c = _polynomial(times, points, 2)
    g = max(-2 * c[2, 1], 1e-3 * np.ptp(points) / (times[-1] - times[0]) ** 2)
    roll = np.clip(np.arctan2(2 * c[2, 0], g), -2 * ROLL, 2 * ROLL)
    return np.array([[*c[0], *c[1], g, roll]])


def _paths_flight(values: Values, times: Times) -> np.ndarray:
    fall = 0.5 * values[:, [4]] * times**2
    down = np.stack([np.sin(values[:, 5]), -np.cos(values[:, 5])], axis=-1)
    return _paths_uniform(values, times) + fall[..., None] * down[:, None]


def _of_flight(values: Values, stretch: Stretch) -> dict[str, Quantity]:
    """Velocities are at the first sighting, split by gravity's direction; the horizontal one lasts."""
    right, up = values[:, 2] * stretch.across, values[:, 3] * stretch.up
    cos, sin = np.cos(values[:, 5]), np.sin(values[:, 5])
    level, rising = np.abs(right * cos + up * sin), up * cos - right * sin
    return {
        "g": Quantity(values[:, 4] * stretch.up, 1, -2),
        "speed": _speed(values, stretch),
        "horizontal_speed": Quantity(level, 1, -1),
        "angle": Quantity(np.degrees(np.arctan2(rising, level)), unit="deg"),
        "roll": Quantity(np.degrees(values[:, 5]), unit="deg"),
    }


def _start_drag(times: Times, points: Points) -> np.ndarray:
    plain = _start_flight(times, points)[0]
    path = float(np.sum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    # Little drag; and a fall at its terminal speed, v^2 = g / k, from the first sighting on.
    last = np.linalg.norm(points[-1] - points[-min(5, len(points))]) / (times[-1] - times[-min(5, len(points))])
    tries = [[*plain, 0.05 / path]]
    for k in (2.0 / path, 8.0 / path):
        tries.append([*plain[:4], max(k * last**2, plain[4]), 0.0, k])
    return np.array(tries)


def _paths_drag(values: Values, times: Times) -> np.ndarray:
    g, roll, k = values[:, 4:5], values[:, 5], values[:, 6:7]
    pull = g * np.stack([np.sin(roll), -np.cos(roll)], axis=-1)
    count = STEPS
    h = (times[-1] - times[0]) / count

    def rate(v: np.ndarray) -> np.ndarray:
        return pull - k * np.linalg.norm(v, axis=-1, keepdims=True) * v

    x, v = values[:, :2], values[:, 2:4]
    nodes = np.empty((2, count + 1, *x.shape))
    nodes[:, 0] = x, v
    with np.errstate(over="ignore", invalid="ignore"):
        for i in range(count):
            a1 = rate(v)
            a2 = rate(v + 0.5 * h * a1)
            a3 = rate(v + 0.5 * h * a2)
            a4 = rate(v + h * a3)
            x = x + h * v + h * h / 6 * (a1 + a2 + a3)
            v = v + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
            nodes[:, i + 1] = x, v
    nodes = np.nan_to_num(nodes, nan=1e9, posinf=1e9, neginf=-1e9).clip(-1e9, 1e9)
    at = np.clip(((times - times[0]) / h).astype(int), 0, count - 1)
    s = ((times - times[0]) / h - at)[:, None, None]
    left, right = nodes[:, at], nodes[:, at + 1]
    found = (
        left[0] * (1 + 2 * s) * (1 - s) ** 2
        + right[0] * s**2 * (3 - 2 * s)
        + h * (left[1] * s * (1 - s) ** 2 + right[1] * s**2 * (s - 1))
    )
    return found.transpose(1, 0, 2)


def _of_drag(values: Values, stretch: Stretch) -> dict[str, Quantity]:
    g, k = values[:, 4] * stretch.up, values[:, 6] / stretch.up
    terminal = np.sqrt(np.clip(g / np.where(k > 0, k, np.nan), 0, None))
    return _of_flight(values, stretch) | {
        "drag": Quantity(k, -1, 0),
        "terminal_speed": Quantity(np.nan_to_num(terminal, nan=np.inf), 1, -1),
    }


def _roll_prior(values: Values) -> np.ndarray:
    return values[:, 5:6] / ROLL


UNIFORM = Law(
    "uniform motion",
    "r'' = 0",
    ("x", "y", "vx", "vy"),
    _start_uniform,
    _paths_uniform,
    lambda values, stretch: {"speed": _speed(values, stretch)},
)
FLIGHT = Law(
    "free flight",
    "r'' = g",
    ("x", "y", "vx", "vy", "g", "roll"),
    _start_flight,
    _paths_flight,
    _of_flight,
    holds=lambda values, span: bool(values[4] > 0),
    prior=_roll_prior,
    contains=("uniform motion",),
)
DRAG = Law(
    "free flight with drag",
    "r'' = g - k |r'| r'",
    ("x", "y", "vx", "vy", "g", "roll", "k"),
    _start_drag,
    _paths_drag,
    _of_drag,
    holds=lambda values, span: bool(values[4] > 0 and values[6] > 0),
    prior=_roll_prior,
    contains=("uniform motion", "free flight"),
)

__all__ = ["DRAG", "FLIGHT", "ROLL", "UNIFORM"]
