"""Frames that a camera or a player loses."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from o2t_jax.errors import UsageError


def kept_frames(count: int, share: float, rng: np.random.Generator) -> Int[np.ndarray, " K"]:
    """Numbers of the frames left of `count`, each lost with probability `share`; the first one always stays.

    Raises: UsageError where `share` is not at least 0 and below 1.
    """
    if not 0 <= share < 1:
        raise UsageError(f"share of dropped frames {share} must be at least 0 and below 1")
    kept = rng.random(count) >= share
    kept[0] = True
    return np.flatnonzero(kept)


def repeated_frames(kept: Int[np.ndarray, " K"], count: int) -> Int[np.ndarray, " T"]:
    """For each of `count` frames the number of the one that is shown: the last one not lost, as a converter to a
    constant rate does."""
    return kept[np.searchsorted(kept, np.arange(count), side="right") - 1]


__all__ = ["kept_frames", "repeated_frames"]
