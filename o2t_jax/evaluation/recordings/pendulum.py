"""A pendulum at any amplitude, damped in proportion to its speed or to the square of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from o2t_jax.evaluation.recorded.shooting import paths
from o2t_jax.evaluation.recordings.law import GROWS, Law, Points, Quantity, Stretch, Times, Values, best_sine, main_axis
from o2t_jax.geometry.circle import fit_circle

PHASE = 0.25  # rad of the swing, the longest step of integration
ROLL = np.radians(2.0)  # standard deviation of the camera's roll
ASPECT = 0.01  # standard deviation of how much wider than high a circle looks, whose plane is tilted by 5 degrees
NAMES = ("pivot_x", "pivot_y", "length", "roll", "angle", "speed", "log_w", "c", "aspect")


def _start(times: Times, points: Points) -> np.ndarray:
    """Circles through the points, and for each the frequency of the angle's sine."""
    _, _, place = main_axis(points)
    frequency, left = best_sine(times, place)
    if not left < 0.8 or len(times) < 8 or not _slow_and_long(frequency, times):
        return np.zeros((0, 9))
    tries = []
    for centre, length in _circles(points):
        aside = points - centre
        angle = np.unwrap(np.arctan2(aside[:, 0], -aside[:, 1]))
        angle = angle - 2 * np.pi * np.round(np.median(angle) / (2 * np.pi))
        wide = np.ptp(angle) / 2
        w = best_sine(times, angle)[0] / max(0.3, 1 - wide**2 / 16)
        for factor in (1.0, 0.95, 1.05):
            speed = np.polyfit(times[:4], angle[:4], 1)[0]
            tries.append([*centre, length, 0.0, angle[0], speed, np.log(factor * w), 0.02 * w, 0.0])
    return np.array(tries) if tries else np.zeros((0, 9))


def _slow_and_long(w: float, times: Times) -> bool:
    """At least four frames a swing, and a third of a swing in the film."""
    return w * float(np.median(np.diff(times))) < np.pi / 2 and w * (times[-1] - times[0]) > 2


def _circles(points: Points) -> list[tuple[np.ndarray, float]]:
    """Circle by algebraic least squares with its centre above the middle; and, for flat arcs, longer ones."""
    centre, square = fit_circle(points)
    length = float(np.sqrt(max(square, 1e-6)))
    middle, wide = points.mean(axis=0), float(np.ptp(points[:, 0]))
    found = [(centre, length)] if centre[1] > middle[1] and length < 20 * wide else []
    low = points[:, 1].min()
    return found + [(np.array([middle[0], low + x * wide]), x * wide) for x in ((1.0, 3.0) if not found else ())]


def _paths(drag: bool) -> Callable[[Values, Times], np.ndarray]:
    def force(angle: np.ndarray, speed: np.ndarray, c: np.ndarray) -> np.ndarray:
        friction = c[:, 1] * speed * (np.abs(speed) if drag else 1.0)
        return -np.exp(2 * c[:, 0]) * np.sin(angle) - friction

    def paths_of(values: Values, times: Times) -> np.ndarray:
        step = PHASE / float(np.exp(np.clip(values[0, 6], -5, 6)))
        step = max(step, (times[-1] - times[0]) / 20000)
        # The angle is from gravity's direction, which the camera's roll turns in the picture.
        angle = paths(force, values[:, [6, 7, 4, 5]], times, step) + values[:, [3]]
        # The circle of a tilted plane is an ellipse. A flat arc tells its length by the ratio of its axes squared.
        x = values[:, [0]] + values[:, [2]] * (1 + 0.5 * values[:, [8]]) * np.sin(angle)
        y = values[:, [1]] - values[:, [2]] * (1 - 0.5 * values[:, [8]]) * np.cos(angle)
        return np.stack([x, y], axis=-1)

    return paths_of


def _quantities(drag: bool) -> Callable[[Values, Stretch], dict[str, Quantity]]:
    def quantities(values: Values, stretch: Stretch) -> dict[str, Quantity]:
        w = np.exp(values[:, 6])
        length = values[:, 2] * np.sqrt(stretch.across * stretch.up)
        energy = np.clip(1 - np.cos(values[:, 4]) + 0.5 * (values[:, 5] / w) ** 2, 0, 2)
        return {
            "g": Quantity(w**2 * length, 1, -2),
            "length": Quantity(length, 1, 0),
            "g_over_length": Quantity(w**2, 0, -2),
            "period": Quantity(2 * np.pi / w, 0, 1),
            ("drag" if drag else "damping"): Quantity(values[:, 7], 0, 0 if drag else -1),
            "amplitude": Quantity(np.degrees(np.arccos(1 - energy)), unit="deg"),
            "roll": Quantity(np.degrees(values[:, 3]), unit="deg"),
        }

    return quantities


def _is_pendulum(values: np.ndarray, span: float) -> bool:
    """A third of a swing is seen, about a pivot; it does not grow."""
    w = float(np.exp(min(values[6], 10.0)))
    return bool(w * span > 2 and values[2] > 0 and abs(values[4]) < 3.2 and values[7] > -GROWS * w)


def _law(name: str, equation: str, drag: bool) -> Law:
    return Law(
        name,
        equation,
        NAMES,
        _start,
        _paths(drag),
        _quantities(drag),
        holds=_is_pendulum,
        prior=lambda values: values[:, [3, 8]] / (ROLL, ASPECT),
        family="pendulum",
    )


PENDULUM = _law("pendulum", "a'' = -w^2 sin a - c a'", drag=False)
PENDULUM_DRAG = _law("pendulum with drag", "a'' = -w^2 sin a - c |a'| a'", drag=True)

__all__ = ["PENDULUM", "PENDULUM_DRAG"]
