"""Predicted clips beside rows that learn nothing, of one set: errors, the object, sharpness.

Pictures are floats 0 to 1, [B, steps, S, S], the first one a step ahead; errors are means of squares over all pixels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from o2t_jax.evaluation.dynamics import objects

Pictures = Float[np.ndarray, "batch steps height width"]
Frame = Float[np.ndarray, "height width"]
BySteps = Float[np.ndarray, " steps"]
BLURS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # px of a picture of 32, of the blurred row
IDLE = ("copy_last", "linear", "mean_frame", "blurred")


def mse(predicted: Pictures, truth: Pictures) -> BySteps:
    """Mean squared error at each step."""
    return np.mean(np.square(predicted - truth), axis=(0, 2, 3))


def idle_errors(context: Pictures, truth: Pictures, mean: Frame) -> dict[str, BySteps]:
    """Errors of what learns nothing of motion, by the names of `IDLE`.

    The last frame; the last frame and k times the last difference, clipped to 0 and 1; the set's mean frame; the last
    frame under the Gaussian blur that is best for this step on these very clips, which no predictor could know.
    """
    last, before, steps = context[:, -1:], context[:, -2:-1], truth.shape[1]
    ahead = np.arange(1, steps + 1)[:, None, None]
    scale = truth.shape[-1] / 32.0
    blurred = [
        mse(ndimage.gaussian_filter(last, (0, 0, scale * sigma, scale * sigma), mode="nearest"), truth)
        for sigma in BLURS
    ]
    return {
        "copy_last": mse(last, truth),
        "linear": mse(np.clip(last + ahead * (last - before), 0.0, 1.0), truth),
        "mean_frame": mse(np.broadcast_to(mean, truth.shape), truth),
        "blurred": np.min(blurred, axis=0),
    }


def least(errors: Mapping[str, BySteps]) -> BySteps:
    """The error of the best row at each step."""
    return np.min([errors[name] for name in IDLE], axis=0)


@dataclasses.dataclass(frozen=True)
class Seen:
    """Of the object at each step: share of frames in which it is `found`; distance of its `centroid` from the true one,
    px of the picture; that of the place where its last motion leads, `moved_on`. See `evaluation.dynamics.objects`."""

    found: BySteps
    centroid: BySteps
    moved_on: BySteps


def seen(predicted: Pictures, truth: Pictures, context: Pictures, background: Frame) -> Seen:
    """The object, or all of them as one, in predicted pictures; `background` is the set's picture without it."""
    ours, real, before = (x[..., None] for x in (predicted, truth, context))
    behind = background[..., None]
    with np.errstate(invalid="ignore"):
        return Seen(
            np.mean(objects.found(ours, real, behind), axis=0),
            _mean(objects.distances(ours, real, behind)),
            _mean(objects.straight_on(before, real, behind)),
        )


def sharpness(predicted: Pictures, truth: Pictures) -> BySteps:
    """Energy of the gradient over that of the true pictures, at each step: below 1 where pictures are blurred."""
    return _energy(predicted) / np.maximum(_energy(truth), 1e-12)


def background_of(pictures: Float[np.ndarray, "clips frames height width"]) -> Frame:
    """The darkest that each pixel is in any frame: what is bright and moves is gone, what stands still is left."""
    return np.min(pictures, axis=(0, 1))


def _energy(pictures: Pictures) -> BySteps:
    across, down = np.diff(pictures, axis=3), np.diff(pictures, axis=2)
    return np.mean(np.square(across), axis=(0, 2, 3)) + np.mean(np.square(down), axis=(0, 2, 3))


def _mean(by_clip: Float[np.ndarray, "batch steps"]) -> BySteps:
    """Over clips, without those where there is nothing; NaN where all are such."""
    known = np.isfinite(by_clip)
    total = np.sum(np.where(known, by_clip, 0.0), axis=0)
    count = np.sum(known, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


__all__ = ["BLURS", "IDLE", "Seen", "background_of", "idle_errors", "least", "mse", "seen", "sharpness"]
