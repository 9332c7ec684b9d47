"""Is what is looked for among the k best? Equal scores count as in a random order."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def recall(
    scores: Float[np.ndarray, "queries items"], right: Int[np.ndarray, " queries"], k: int
) -> Float[np.ndarray, " queries"]:
    """Of each query, the probability that its `right` item is among the `k` best of a random order of equal scores."""
    own = scores[np.arange(len(right)), right][:, None]
    better, equal = np.sum(scores > own, axis=1), np.sum(scores == own, axis=1)
    return np.clip((k - better) / equal, 0.0, 1.0)


def best_of_items(
    scores: Float[np.ndarray, "queries texts"], item: Int[np.ndarray, " texts"]
) -> Float[np.ndarray, "queries items"]:
    """The best score of each item's texts; `item` counts from 0 without gaps, in order."""
    first = np.flatnonzero(np.diff(item, prepend=-1))
    return np.maximum.reduceat(scores, first, axis=1)


__all__ = ["best_of_items", "recall"]
