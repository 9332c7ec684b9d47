"""What the refit is compared with: derivatives by differences with least squares, and SINDy, on the same noisy data."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from scipy.signal import savgol_filter

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.dynamics.law.form import Regression
from o2t_jax.evaluation.dynamics.law.shooting import Observed
from o2t_jax.evaluation.dynamics.law.terms import kind_of
from o2t_jax.physics.environment import Layout

WINDOW, DEGREE = 7, 3
FINE = tuple(np.linspace(1.007, 3.007, 101).tolist())  # has no whole number, which would look exact


def smoothed(states: np.ndarray) -> np.ndarray:
    """`states` [S, T + 1, D] by Savitzky and Golay's filter, `WINDOW` samples, of degree `DEGREE`."""
    size = min(WINDOW, states.shape[1] - 1 + states.shape[1] % 2)
    return np.asarray(savgol_filter(states, size, min(DEGREE, size - 1), axis=1)) if size > 2 else states


def differences(data: Observed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States [N, D] in the middle of each step, actions [N, A] and rates [N, D] by differences of the noisy states."""
    even = smoothed(data.states)
    middle = 0.5 * (even[:, 1:] + even[:, :-1])
    rates = (data.states[:, 1:] - data.states[:, :-1]) / data.dt
    flat = [np.reshape(x, (-1, x.shape[-1])) for x in (middle, data.actions, rates)]
    return flat[0], flat[1], flat[2]


def least_squares(data: Observed, layout: Layout, terms: Sequence[str]) -> np.ndarray:
    """theta [P] of the library's equation with these terms, from differences. Exponents on a fine grid."""
    return Regression(*differences(data), layout, exponents=FINE).fit(terms)[0]


SINDY_COLUMNS = ("1", "x", "v", "sin x", "x^2", "x^3", "v|v|", "u")


def sindy(data: Observed, layout: Layout, threshold: float = 0.1, derivative: str = "smoothed") -> dict[str, float]:
    """Coefficients of the momentum's rate by PySINDy's sequentially thresholded least squares on the library's
    functions.

    Args: `derivative`: "smoothed", PySINDy's smoothed finite differences, as it comes, which also smears an action
    that changes every step; "steps", differences over single steps, at the middle of which the functions are taken.
    Terms that it dropped are 0. For one degree of freedom. Raises: UsageError without PySINDy, or for another world.
    """
    if kind_of(layout) != "single":
        raise UsageError("the SINDy row is for worlds of one degree of freedom: 1/r^p has no fixed library")
    try:
        import pysindy  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UsageError('PySINDy is missing: pip install "o2t_jax[bench]"') from None
    if derivative == "steps":
        states, actions, rates = differences(data)
    else:
        smooth = pysindy.SmoothedFiniteDifference(smoother_kws={"window_length": WINDOW, "polyorder": DEGREE})
        times = np.arange(data.states.shape[1]) * data.dt
        rates = np.concatenate([np.asarray(smooth(one, times))[:-1] for one in data.states])
        states = smoothed(data.states)[:, :-1].reshape(rates.shape)
        actions = data.actions.reshape(-1, data.actions.shape[-1])
    x, v = states[:, layout.positions[0]], states[:, layout.momenta[0]]
    table = np.stack([np.ones_like(x), x, v, np.sin(x), x**2, x**3, v * np.abs(v), *actions.T[:1]], -1)
    optimizer = pysindy.STLSQ(threshold=threshold, alpha=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer.fit(table, rates[:, [layout.momenta[0]]])
    return dict(zip(SINDY_COLUMNS, np.asarray(optimizer.coef_)[0].tolist(), strict=False))


__all__ = ["differences", "least_squares", "sindy", "smoothed"]
