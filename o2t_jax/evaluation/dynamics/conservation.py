"""Energy drift and phase error of long rollouts without pushes or friction. On the host, in numpy."""

from __future__ import annotations

import numpy as np


def energy_drift(energies: np.ndarray, spread: float) -> float:
    """max over time of |E - E0| over `spread`, the median over starts: `energies` [N, T + 1] of predicted states.

    The energies are the world's true ones at the predicted states. A prediction that is not finite drifts infinitely.
    """
    energies = np.asarray(energies, np.float64)
    drift = np.max(np.abs(energies - energies[:, :1]), axis=1) / spread
    return float(np.median(np.where(np.isfinite(drift), drift, np.inf)))


def phase(q: np.ndarray, v: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """The phase [N, T] in cycles of motion about q = 0 in one dimension, increasing with time.

    Args: `q`, `v` [N, T] and their typical sizes `scale`.
    """
    return np.unwrap(np.arctan2(-v / scale[1], q / scale[0]), axis=1) / (2 * np.pi)


def phase_error(predicted: np.ndarray, truth: np.ndarray) -> float:
    """|cycles predicted - true cycles| at the end of a rollout, over the true number: the median over starts.

    Args: phases [N, T + 1] in cycles, equal at the first time up to whole turns.
    """
    turns = truth[:, -1] - truth[:, 0]
    apart = np.abs((predicted[:, -1] - predicted[:, 0]) - turns) / np.abs(turns)
    return float(np.median(np.where(np.isfinite(apart), apart, np.inf)))


__all__ = ["energy_drift", "phase", "phase_error"]
