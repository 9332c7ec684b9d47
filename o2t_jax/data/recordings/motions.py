"""Motions for rendered recordings, with the laws' true values: five that the registry of laws has, four it has not.

Solved here by SciPy or in closed form, apart from the code that fits them. Lengths are in m, (right, up) in the plane.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float
from scipy.integrate import solve_ivp

AROUND = 0.1  # of the duration, before and after it: exposures and shutters look there


@dataclasses.dataclass(frozen=True, eq=False)
class Motion:
    """`law`, its name in the registry of laws (another name: none of these); `truth`, its values in SI units (deg for
    angles) by the names that are reported; `duration` s; `place`, times [T] s -> [T, 2] m. Gravity is along -y."""

    law: str
    truth: Mapping[str, float]
    duration: float
    place: Callable[[np.ndarray], Float[np.ndarray, "T 2"]]


def _solved(
    rate: Callable[[float, np.ndarray], list[float]], start: list[float], duration: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Solution [T, S] at any times from 10 % before to 10 % after the duration; `start` is the state at time 0."""
    options = {"method": "DOP853", "rtol": 1e-9, "atol": 1e-9, "dense_output": True}
    edge = AROUND * duration
    back = solve_ivp(rate, (0.0, -edge), start, **options).sol
    ahead = solve_ivp(rate, (0.0, duration + edge), start, **options).sol
    return lambda times: np.where(times < 0, back(np.minimum(times, 0)), ahead(np.maximum(times, 0))).T


def _launch(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """g, horizontal and upward velocity, and duration of a throw."""
    g, speed, angle = rng.uniform(5, 15), rng.uniform(1.5, 4), np.radians(rng.uniform(30, 80))
    right = speed * np.cos(angle) * rng.choice([-1.0, 1.0])
    return g, right, speed * np.sin(angle), 2 * speed * np.sin(angle) / g * rng.uniform(0.7, 1.1)


def free_flight(rng: np.random.Generator) -> Motion:
    """A throw."""
    g, right, up, duration = _launch(rng)

    def place(t: np.ndarray) -> np.ndarray:
        return np.stack([right * t, up * t - 0.5 * g * t**2], axis=1)

    return Motion("free flight", {"g": g, "horizontal_speed": abs(right)}, duration, place)


def flight_with_drag(rng: np.random.Generator) -> Motion:
    """A throw that loses 20 to 75 % of what speed it would keep."""
    g, right, up, duration = _launch(rng)
    k = rng.uniform(0.3, 1.5) / (np.hypot(right, up) * duration)

    def rate(_: float, s: np.ndarray) -> list[float]:
        v = np.hypot(s[2], s[3])
        return [s[2], s[3], -k * v * s[2], -g - k * v * s[3]]

    path = _solved(rate, [0.0, 0.0, right, up], duration)
    return Motion("free flight with drag", {"g": g, "drag": k}, duration, lambda t: path(t)[:, :2])


def pendulum(rng: np.random.Generator) -> Motion:
    """One to four swings from 10 to 70 degrees, damped in proportion to the speed."""
    g, length, angle = rng.uniform(5, 15), rng.uniform(0.2, 1.0), np.radians(rng.uniform(10, 70))
    w = np.sqrt(g / length)
    c, duration = rng.uniform(0.005, 0.06) * w, rng.uniform(1.2, 4.0) * 2 * np.pi / w
    start, speed = angle * np.cos(phase := rng.uniform(0, 2 * np.pi)), -angle * w * np.sin(phase)
    path = _solved(lambda _, s: [s[1], -(w**2) * np.sin(s[0]) - c * s[1]], [start, speed], duration)

    def place(t: np.ndarray) -> np.ndarray:
        a = path(t)[:, 0]
        return length * np.stack([np.sin(a), -np.cos(a)], axis=1)

    return Motion("pendulum", {"g_over_length": g / length, "length": length, "damping": c}, duration, place)


def _along(rng: np.random.Generator, low: float, high: float) -> tuple[np.ndarray, float]:
    """A direction [2] between `low` and `high` degrees above or below the horizontal, and its angle, deg, (-90, 90]."""
    angle = np.radians(rng.uniform(low, high)) * rng.choice([-1.0, 1.0]) + np.pi * rng.integers(2)
    direction = np.array([np.cos(angle), np.sin(angle)])
    return direction, float((np.degrees(angle) + 90) % 180 - 90)


def damped_spring(rng: np.random.Generator) -> Motion:
    """One to four swings along a line."""
    direction, _ = _along(rng, 0, 85)
    w, size = rng.uniform(3, 12), rng.uniform(0.1, 0.5)
    c, duration = rng.uniform(0.01, 0.12) * w, rng.uniform(1.0, 4.0) * 2 * np.pi / w
    inner, phase = np.sqrt(w**2 - c**2 / 4), rng.uniform(0, 2 * np.pi)

    def place(t: np.ndarray) -> np.ndarray:
        return (size * np.exp(-c * t / 2) * np.cos(inner * t + phase))[:, None] * direction

    return Motion("damped spring", {"period": 2 * np.pi / w, "damping": c}, duration, place)


def slope(rng: np.random.Generator) -> Motion:
    """From rest, or thrown up the slope first."""
    direction, angle = _along(rng, 5, 60)
    a, size = rng.uniform(0.5, 5), rng.uniform(0.3, 1.0)
    duration = np.sqrt(2 * size / a)
    first = rng.choice([0.0, -rng.uniform(0.1, 0.5)]) * a * duration

    def place(t: np.ndarray) -> np.ndarray:
        return (first * t + 0.5 * a * t**2)[:, None] * direction

    truth = {"acceleration": a, "slope": angle}
    return Motion("constant acceleration along a line", truth, duration, place)


def orbit(rng: np.random.Generator) -> Motion:
    """An attraction of 1 / r^2: most of an ellipse."""
    far, turn = rng.uniform(0.4, 0.75), rng.uniform(0, 2 * np.pi)
    duration = 2 * np.pi * rng.uniform(0.8, 1.2)

    def rate(_: float, s: np.ndarray) -> list[float]:
        pull = -1 / np.hypot(s[0], s[1]) ** 3
        return [s[2], s[3], pull * s[0], pull * s[1]]

    start = [1 + far, 0.0, 0.0, float(np.sqrt((1 - far) / (1 + far)))]
    path, side = _solved(rate, start, duration), rng.choice([-1.0, 1.0])
    turned = np.array([[np.cos(turn), np.sin(turn)], [-side * np.sin(turn), side * np.cos(turn)]])
    return Motion("attraction 1/r²", {}, duration, lambda t: path(t)[:, :2] @ turned)


def growing_oscillation(rng: np.random.Generator) -> Motion:
    """Two to four swings along a line, each larger than the one before by a quarter to four fifths."""
    direction, _ = _along(rng, 0, 85)
    w, swings, growth = rng.uniform(3, 12), rng.uniform(2, 4), np.log(rng.uniform(1.25, 1.8))
    phase = rng.uniform(0, 2 * np.pi)

    def place(t: np.ndarray) -> np.ndarray:
        turns = w * t / (2 * np.pi)
        return (0.05 * np.exp(growth * turns) * np.cos(w * t + phase))[:, None] * direction

    return Motion("growing oscillation", {}, swings * 2 * np.pi / w, place)


def kicked(rng: np.random.Generator) -> Motion:
    """Linear drag along a line, and a push across it that lasts a third of the film."""
    direction, _ = _along(rng, 0, 60)
    across = np.array([-direction[1], direction[0]]) * rng.choice([-1.0, 1.0])
    tau, when, push = rng.uniform(0.4, 1.0), rng.uniform(0.35, 0.6), rng.uniform(8, 15)

    def rate(t: float, s: np.ndarray) -> list[float]:
        kick = push * np.exp(-0.5 * ((t - when) / 0.1) ** 2)
        return [s[2], s[3], -s[2] / tau, -s[3] / tau + kick]

    path = _solved(rate, [0.0, 0.0, rng.uniform(1.5, 2.5), 0.0], 1.0)
    return Motion("linear drag with a kick", {}, 1.0, lambda t: path(t)[:, :2] @ np.stack([direction, across]))


def spiral(rng: np.random.Generator) -> Motion:
    """Once or twice around at a steady rate, with a radius that changes by a third to two thirds."""
    turns, change = rng.uniform(1.0, 2.0), rng.uniform(0.33, 0.67) * rng.choice([-1.0, 1.0])
    phase, side = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])

    def place(t: np.ndarray) -> np.ndarray:
        radius, angle = 0.3 * (1 + change * (t - 0.5)), phase + side * 2 * np.pi * turns * t
        return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    return Motion("circle of changing radius", {}, 1.0, place)


LAWFUL: tuple[Callable[[np.random.Generator], Motion], ...] = (
    free_flight,
    flight_with_drag,
    pendulum,
    damped_spring,
    slope,
)
OUTSIDE: tuple[Callable[[np.random.Generator], Motion], ...] = (orbit, growing_oscillation, kicked, spiral)

__all__ = ["AROUND", "LAWFUL", "OUTSIDE", "Motion"]
