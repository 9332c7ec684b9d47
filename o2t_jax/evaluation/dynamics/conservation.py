"""Energy drift and phase error of long rollouts without pushes or friction. On the host, in numpy."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def energy_drift(energies: Float[np.ndarray, "starts times"], spread: float) -> float:
    """max over time of |E - E0| over `spread`, the median over starts: `energies` of predicted states.

    The energies are the world's true ones at the predicted states. A prediction that is not finite drifts infinitely.
    """
    energies = np.asarray(energies, np.float64)
    drift = np.max(np.abs(energies - energies[:, :1]), axis=1) / spread
    return float(np.median(np.where(np.isfinite(drift), drift, np.inf)))


def phase(
    q: Float[np.ndarray, "starts times"], v: Float[np.ndarray, "starts times"], scale: tuple[float, float]
) -> Float[np.ndarray, "starts times"]:
    """The phase in cycles of motion about q = 0 in one dimension, increasing with time.

    Args: `q`, `v`, and their typical sizes `scale`.
    """
    return np.unwrap(np.arctan2(-v / scale[1], q / scale[0]), axis=1) / (2 * np.pi)


def phase_error(predicted: Float[np.ndarray, "starts times"], truth: Float[np.ndarray, "starts times"]) -> float:
    """|cycles predicted - true cycles| at the end of a rollout, over the true number: the median over starts.

    Args: phases in cycles, equal at the first time up to whole turns.
    """
    turns = truth[:, -1] - truth[:, 0]
    apart = np.abs((predicted[:, -1] - predicted[:, 0]) - turns) / np.abs(turns)
    return float(np.median(np.where(np.isfinite(apart), apart, np.inf)))


__all__ = ["energy_drift", "phase", "phase_error"]
