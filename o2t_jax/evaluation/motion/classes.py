"""Which class a clip of motion is of: a linear classifier of summaries of true clips, to judge made ones.

It is ours and small: its share of right answers on held-out true clips, the ceiling, belongs beside every number.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from o2t_jax.physics.motion.contacts import RATE

Clips = Float[np.ndarray, "clips frames joints 3"]
Mask = Float[np.ndarray, "clips frames"]
_RIDGE = 3e-2


@dataclasses.dataclass(frozen=True)
class Classifier:
    """Ridge regression to classes. `mean`, `scale` [F] of summaries; `weights` [F + 1, C]."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray

    def classify(self, clips: Clips, mask: Mask) -> Int[np.ndarray, " clips"]:
        """The class of each clip."""
        return np.argmax(self.scores(clips, mask), axis=1)

    def scores(self, clips: Clips, mask: Mask) -> Float[np.ndarray, "clips classes"]:
        """Near 1 for the class of a clip, near 0 for others."""
        return _with_one((summaries(clips, mask) - self.mean) / self.scale) @ self.weights


def fit(clips: Clips, mask: Mask, label: Int[np.ndarray, " clips"], count: int) -> Classifier:
    """The classifier of `count` classes fitted to these clips; classes weigh the same, however many clips they have."""
    found = summaries(clips, mask)
    mean, scale = np.mean(found, axis=0), np.std(found, axis=0) + 1e-3
    x = _with_one((found - mean) / scale)
    often = np.bincount(label, minlength=count)[label]
    weight = (len(label) / count / often)[:, None]
    ridge = _RIDGE * len(x) * np.eye(x.shape[1])
    return Classifier(mean, scale, np.linalg.solve(x.T @ (weight * x) + ridge, x.T @ (weight * np.eye(count)[label])))


def summaries(clips: Clips, mask: Mask) -> Float[np.ndarray, "clips features"]:
    """Of the frames that are there: means and spreads of places from the hips and of all speeds; the hips' way."""
    weight = mask[..., None, None]

    def moments(x: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
        total = np.maximum(np.sum(w, axis=1), 1.0)
        mean = np.sum(w * x, axis=1) / total
        spread = np.sqrt(np.sum(w * np.square(x - mean[:, None]), axis=1) / total)
        return [mean.reshape(len(x), -1), spread.reshape(len(x), -1)]

    local = clips - clips[:, :, :1] * np.array([1.0, 0.0, 1.0], clips.dtype)
    velocity = RATE * np.diff(clips, axis=1)
    speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
    last = np.maximum(np.sum(mask, axis=1).astype(int) - 1, 0)
    way = clips[np.arange(len(clips)), last, 0] - clips[:, 0, 0]
    parts = [*moments(local, weight), *moments(speed, weight[:, 1:]), *moments(velocity[:, :, :1], weight[:, 1:])]
    return np.concatenate([*parts, way, np.linalg.norm(way[:, [0, 2]], axis=1, keepdims=True)], axis=1)


def usual_mask(mask: Mask, label: Int[np.ndarray, " clips"], number: int) -> Float[np.ndarray, " frames"]:
    """1 for as many frames as half of the class's clips have at least."""
    own = mask[label == number] if np.any(label == number) else mask
    return (np.arange(mask.shape[1]) < np.median(np.sum(own, axis=1))).astype(np.float32)


def random_of_class(
    train: Int[np.ndarray, " clips"], label: Int[np.ndarray, " clips"], count: int
) -> Int[np.ndarray, "count clips"]:
    """`count` clips of the class of each, drawn evenly: the row beside as many draws of a model."""
    rng = np.random.default_rng(0)
    pools = {i: np.flatnonzero(train == i) for i in np.unique(label)}
    return np.stack(
        [rng.choice(pools[i] if len(pools[i]) else np.arange(len(train)), count) for i in label.tolist()], 1
    )


def _with_one(x: np.ndarray) -> np.ndarray:
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


__all__ = ["Classifier", "fit", "random_of_class", "summaries", "usual_mask"]
