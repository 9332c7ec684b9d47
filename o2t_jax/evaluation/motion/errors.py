"""How far predicted motions are from the true ones: places of joints, m, in the frame of the last given frame.

Nothing is aligned again: who walks another way is wrong by that way. Frames that a short clip lacks do not count.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

Future = Float[np.ndarray, "clips frames joints 3"]


def squared(predicted: Future, truth: Future, mask: Float[np.ndarray, "clips frames"]) -> Float[np.ndarray, " clips"]:
    """Squared distance m² of each clip, mean over its frames and joints; NaN for a clip without a frame."""
    each = np.mean(np.sum(np.square(predicted - truth), axis=-1), axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sum(mask * each, axis=1) / np.sum(mask, axis=1)


def by_clip(errors: Float[np.ndarray, " windows"], clip: Int[np.ndarray, " windows"]) -> Float[np.ndarray, " clips"]:
    """The mean of each clip's windows, in the order of clips: a long clip counts as much as a short one."""
    _, number = np.unique(clip, return_inverse=True)
    return np.bincount(number, errors) / np.bincount(number)


def millimetres(errors: Float[np.ndarray, " clips"]) -> float:
    """The root of the mean of squared errors m², in mm."""
    return float(1e3 * np.sqrt(np.mean(errors)))


def travelled(positions: Future, mask: Float[np.ndarray, "clips frames"]) -> Float[np.ndarray, " clips"]:
    """Length m of the way of the hips along the ground."""
    steps = np.diff(positions[:, :, 0][..., [0, 2]], axis=1)
    return np.sum(mask[:, 1:] * np.linalg.norm(steps, axis=-1), axis=1)


__all__ = ["by_clip", "millimetres", "squared", "travelled"]
