"""Linear probes: how much of a known quantity a linear map reads from latents."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import cho_factor, cho_solve

RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # of the mean squared norm of a row
_HELD_OUT = 0.2  # share of the fitted rows that choose among them

Rows = Float[np.ndarray, "rows entries"]


def mean_place(
    places: Float[np.ndarray, "clips frames things 2"], there: Bool[np.ndarray, "clips things"]
) -> Float[np.ndarray, "clips frames 2"]:
    """The mean of the places of the things that are there: it needs no order among equal things."""
    weight = there[:, None, :, None].astype(np.float64)
    return np.sum(places * weight, axis=2) / np.maximum(np.sum(weight, axis=2), 1.0)


def r_squared(fitted: Rows, wanted: Rows, tested: Rows, truth: Rows) -> float:
    """1 - squared error / variance of `truth`, as ridge regression from `fitted` to `wanted` reads it from `tested`.

    Rows of one clip must be neighbours: the last fifth of the fitted ones chooses the strength. NaN where the truth
    does not vary.
    """
    spread = float(np.sum(np.square(truth - truth.mean(axis=0))))
    if spread <= 1e-9 * truth.size:
        return float("nan")
    split = max(1, round((1.0 - _HELD_OUT) * len(fitted)))
    errors = [
        np.sum(np.square(x - wanted[split:])) for x in _read(fitted[:split], wanted[:split], fitted[split:], RIDGES)
    ]
    (read,) = _read(fitted, wanted, tested, (RIDGES[int(np.argmin(errors))],))
    return 1.0 - float(np.sum(np.square(read - truth))) / spread


def _read(fitted: Rows, wanted: Rows, tested: Rows, ridges: tuple[float, ...]) -> list[np.ndarray]:
    """Ridge regression in its dual form: there are fewer rows than entries."""
    middle, mean = fitted.mean(axis=0), wanted.mean(axis=0)
    x, other = (fitted - middle).astype(np.float64), (tested - middle).astype(np.float64)
    products, across = x @ x.T, other @ x.T
    size = np.trace(products) / len(x)
    found = []
    for ridge in ridges:
        factor = cho_factor(products + (ridge * size + 1e-12) * np.eye(len(x)))
        found.append(across @ cho_solve(factor, wanted - mean) + mean)
    return found


__all__ = ["RIDGES", "mean_place", "r_squared"]
