"""The frequency of an oscillation, by a damped cosine fitted to the path of its object."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import least_squares


class Oscillation(NamedTuple):
    """`frequency` rad/s, `decay` 1/s, `share`, of the signal's variance that the fit explains."""

    frequency: float
    decay: float
    share: float


def fit_oscillation(time: Float[np.ndarray, " times"], signal: Float[np.ndarray, " times"]) -> Oscillation | None:
    """A exp(-decay t) cos(frequency t + phase) + offset, fitted to `signal` at `time` s by least squares.

    The start is the best of a grid of frequencies, from half a period in the whole time to two samples a period. None
    where less than half of the samples are finite, or nothing moves.
    """
    seen = np.isfinite(signal)
    time, signal = time[seen], signal[seen]
    if len(time) < max(8, len(seen) // 2) or np.std(signal) < 1e-6:
        return None
    span, step = time[-1] - time[0], np.median(np.diff(time))
    grid = np.linspace(np.pi / span, np.pi / step, 400)
    start = min(grid, key=lambda w: _linear(w, 0.0, time, signal)[1])
    fit = least_squares(lambda x: _linear(x[0], x[1], time, signal)[2], (start, 0.0), x_scale=(0.1, 0.1))
    frequency, decay = fit.x
    share = 1.0 - _linear(frequency, decay, time, signal)[1] / float(np.sum(np.square(signal - np.mean(signal))))
    return Oscillation(float(abs(frequency)), float(decay), float(share))


def _linear(frequency: float, decay: float, time: np.ndarray, signal: np.ndarray) -> tuple:
    """The best amplitudes for these two numbers, the squared error, the residuals."""
    wave = np.exp(-decay * time)
    basis = np.stack([wave * np.cos(frequency * time), wave * np.sin(frequency * time), np.ones_like(time)], axis=1)
    amplitudes = np.linalg.lstsq(basis, signal, rcond=None)[0]
    residual = basis @ amplitudes - signal
    return amplitudes, float(residual @ residual), residual


def main_axis(paths: Float[np.ndarray, "paths times 2"]) -> Float[np.ndarray, " 2"]:
    """The direction in which paths move most."""
    apart = (paths - np.nanmean(paths, axis=1, keepdims=True)).reshape(-1, 2)
    return np.linalg.svd(apart[np.all(np.isfinite(apart), axis=1)], full_matrices=False)[2][0]


__all__ = ["Oscillation", "fit_oscillation", "main_axis"]
