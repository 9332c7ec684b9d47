"""The moving object of predicted pictures: where it is, whether it is there, how long it stays right.

Pictures are floats 0..1; centroids are (x, y) in px from the top left corner.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

Pictures = Float[np.ndarray, "... height width channels"]
Background = Float[np.ndarray, "height width channels"]
Sequences = Float[np.ndarray, "batch times height width channels"]
CONTRAST = 0.25  # of the true object's largest contrast: pixels that differ by less do not belong to the object
CLEAR = 0.5  # the same for an object that is found: a smear along the path, such as the mean frame, is none
FOUND = (0.5, 2.0)  # of the true object's mass
_TINY = 1e-9


def contrast_of(pictures: Pictures, background: Background) -> Float[np.ndarray, "... height width"]:
    """Distance of each pixel from the background, root mean square over channels."""
    return np.sqrt(np.mean(np.square(pictures - background), axis=-1))


def masses(pictures: Pictures, background: Background, threshold: float) -> Float[np.ndarray, "*shape"]:
    """Sum of the contrasts that reach `threshold`."""
    contrast = contrast_of(pictures, background)
    return np.sum(np.where(contrast >= threshold, contrast, 0.0), axis=(-2, -1))


def centroids(pictures: Pictures, background: Background, threshold: float) -> Float[np.ndarray, "... 2"]:
    """The object's centroid, px; NaN where no pixel reaches `threshold`."""
    contrast = contrast_of(pictures, background)
    # What lies below the threshold fades out gradually: a hard edge would make the centroid jump by pixels.
    weight = np.clip(contrast - threshold, 0.0, None)
    total = np.sum(weight, axis=(-2, -1))
    height, width = contrast.shape[-2:]
    x = np.sum(weight * (np.arange(width) + 0.5), axis=(-2, -1))
    y = np.sum(weight * (np.arange(height)[:, None] + 0.5), axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total[..., None] > _TINY, np.stack([x, y], axis=-1) / total[..., None], np.nan)


def threshold_of(truth: Pictures, background: Background, share: float = CONTRAST) -> float:
    """The contrast at which a pixel belongs to the object: `share` of the median picture's largest contrast."""
    return float(share * np.median(np.max(contrast_of(truth, background), axis=(-2, -1))))


def found(predicted: Pictures, truth: Pictures, background: Background) -> Bool[np.ndarray, "*shape"]:
    """Whether the object is in each predicted picture: half to twice the true picture's mass.

    The mass is that of pixels with `CLEAR` of the true object's contrast: a faded or smeared object has lost them.
    Pictures without an object count as empty.
    """
    threshold = threshold_of(truth, background, CLEAR)
    ours, real = masses(predicted, background, threshold), masses(truth, background, threshold)
    return (ours >= FOUND[0] * real) & (ours <= FOUND[1] * real)


def distances(predicted: Pictures, truth: Pictures, background: Background) -> Float[np.ndarray, "*shape"]:
    """Distance of predicted from true centroids, px; NaN where either has no object."""
    threshold = threshold_of(truth, background)
    apart = centroids(predicted, background, threshold) - centroids(truth, background, threshold)
    return np.sqrt(np.sum(np.square(apart), axis=-1))


def moved_on(context: Sequences, background: Background, steps: int) -> Sequences:
    """Predictions for so many steps that shift the last of `context` by its centroid's last motion.

    Cubic interpolation; the border repeats. Where the object is not seen twice the picture stays.
    """
    threshold = threshold_of(context[:, -1], background)
    places = centroids(context[:, -2:], background, threshold)
    motion = np.nan_to_num(places[:, 1] - places[:, 0])
    shifted = np.empty((len(context), steps, *context.shape[2:]))
    for b, (x, y) in enumerate(motion):
        for t in range(steps):
            shift = ((t + 1) * y, (t + 1) * x, 0.0)
            shifted[b, t] = ndimage.shift(context[b, -1], shift, order=3, mode="nearest")
    return np.clip(shifted, 0.0, 1.0)


def straight_on(context: Sequences, truth: Sequences, background: Background) -> Float[np.ndarray, "batch times"]:
    """Distance in px of true centroids from the line on which the centroid last moved in `context`."""
    threshold = threshold_of(truth, background)
    places = centroids(context[:, -2:], background, threshold)
    steps = np.arange(1, truth.shape[1] + 1)[:, None]
    line = places[:, 1:] + steps * (places[:, 1:] - places[:, :1])
    return np.sqrt(np.sum(np.square(line - centroids(truth, background, threshold)), axis=-1))


__all__ = [
    "centroids",
    "contrast_of",
    "distances",
    "found",
    "masses",
    "moved_on",
    "straight_on",
    "threshold_of",
]
