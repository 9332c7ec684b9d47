"""Rewards of the worlds as tasks: bring an oscillator to rest, swing a pendulum up. Worlds without a goal have 0.

A reward is a function (observation [D], action [A], params) -> float of the observation that a step led to and the
action during it; `params` are the episode's, by name. Weights are those of Gymnasium's own pendulum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Reward = Callable[[np.ndarray, np.ndarray, Mapping[str, float]], float]


def nothing(observation: np.ndarray, action: np.ndarray, params: Mapping[str, float]) -> float:
    """0, for worlds without a goal."""
    return 0.0


def come_to_rest(observation: np.ndarray, action: np.ndarray, params: Mapping[str, float]) -> float:
    """-(q^2 + 0.1 p^2 + 0.001 F^2), q the position (m), p what is observed beside it (m/s, or kg m/s)."""
    position, momentum = (float(entry) for entry in observation)
    return -(position**2 + 0.1 * momentum**2 + 0.001 * float(action[0]) ** 2)


def swing_up(observation: np.ndarray, action: np.ndarray, params: Mapping[str, float]) -> float:
    """-(a^2 + 0.1 p^2 + 0.001 torque^2): a (rad), every rod's angle from upright, by the short way round; p its rate
    (rad/s) or its momentum (kg m^2/s)."""
    angles, momenta = np.split(np.asarray(observation, np.float64), 2)
    tilt = np.mod(angles, 2.0 * np.pi) - np.pi
    return -float(np.sum(tilt**2) + 0.1 * np.sum(momenta**2) + 0.001 * float(action[0]) ** 2)


REWARDS: dict[str, Reward] = {
    "double_pendulum": swing_up,
    "oscillator": come_to_rest,
    "oscillator_easy": come_to_rest,
    "pendulum": swing_up,
    "spring": come_to_rest,
}

__all__ = ["REWARDS", "Reward", "come_to_rest", "nothing", "swing_up"]
