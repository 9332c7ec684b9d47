"""Equations x'' = f(x, x'; coefficients) of one degree of freedom fitted to a whole track by shooting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Force = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(x [B], x' [B], coefficients [B, P]) -> x'' [B]."""


def paths(force: Force, values: np.ndarray, times: np.ndarray, step: float) -> np.ndarray:
    """x [B, T] at `times` [T] for each row of `values` [B, P + 2], coefficients and then x, x' at the first time.

    Classical Runge-Kutta steps of at most `step`, all rows at once; cubic Hermite between them, where times are not a
    multiple of the step. Rows that leave the range of numbers give large finite ones.
    """
    values, times = np.atleast_2d(np.asarray(values, float)), np.asarray(times, float)
    count = max(1, int(np.ceil((times[-1] - times[0]) / step - 1e-9)))
    h = (times[-1] - times[0]) / count
    coefficients, x, v = values[:, :-2], values[:, -2], values[:, -1]
    nodes = np.empty((2, count + 1, len(values)))
    nodes[:, 0] = x, v
    with np.errstate(over="ignore", invalid="ignore"):
        for i in range(count):
            a1 = force(x, v, coefficients)
            v2 = v + 0.5 * h * a1
            a2 = force(x + 0.5 * h * v, v2, coefficients)
            v3 = v + 0.5 * h * a2
            a3 = force(x + 0.5 * h * v2, v3, coefficients)
            v4 = v + h * a3
            a4 = force(x + h * v3, v4, coefficients)
            x = x + h / 6 * (v + 2 * v2 + 2 * v3 + v4)
            v = v + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
            nodes[:, i + 1] = x, v
    nodes = np.nan_to_num(nodes, nan=1e9, posinf=1e9, neginf=-1e9).clip(-1e9, 1e9)
    at = np.minimum(((times - times[0]) / h).astype(int), count - 1)
    s = ((times - times[0]) / h - at)[:, None]
    left, right = nodes[:, at], nodes[:, at + 1]
    return (
        left[0] * (1 + 2 * s) * (1 - s) ** 2
        + right[0] * s**2 * (3 - 2 * s)
        + h * (left[1] * s * (1 - s) ** 2 + right[1] * s**2 * (s - 1))
    ).T


def with_steps(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """`values` [P] and, below it, P rows that each have one entry moved by 1e-6 of `sizes` [P]: [1 + P, P]."""
    return values + np.concatenate([np.zeros((1, len(values))), 1e-6 * np.diag(sizes)])


def slopes(outcomes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The Jacobian [M, P] from `outcomes` [1 + P, M] at `with_steps`."""
    return ((outcomes[1:] - outcomes[0]) / (1e-6 * sizes)[:, None]).T


__all__ = ["Force", "paths", "slopes", "with_steps"]
