"""Noise of the sensor."""

from __future__ import annotations

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.render.sensor import Effect


def noise(levels: float) -> Effect:
    """Gaussian noise of standard deviation `levels` (of 255), independent in each pixel and colour.

    Rounding to whole levels adds a variance of 1/12. Raises: UsageError where `levels` is below 0.
    """
    if not (np.isfinite(levels) and levels >= 0):
        raise UsageError(f"noise of {levels} grey levels must be at least 0")

    def effect(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        shaken = picture + rng.standard_normal(picture.shape, np.float32) * np.float32(levels)
        return np.clip(np.rint(shaken), 0, 255).astype(np.uint8)

    return effect


__all__ = ["noise"]
