"""How codes are used: how many, how evenly, and whether they say what is in the picture."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

CONTRAST = 0.1  # of a pixel to the background, from which a cell holds something


def used(index: Int[np.ndarray, ...], count: int) -> int:
    """Codes, of `count`, that occur."""
    return int(np.count_nonzero(np.bincount(index.ravel(), minlength=count)))


def perplexity(index: Int[np.ndarray, ...], count: int) -> float:
    """exp of the entropy of the codes' shares: `count` where all are equally frequent; NaN where there are none."""
    shares = np.bincount(index.ravel(), minlength=count).astype(np.float64)
    if not shares.sum():
        return float("nan")
    shares = shares[shares > 0] / shares.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def filled(
    pictures: Float[np.ndarray, "*batch height width"], background: Float[np.ndarray, "height width"], cells: int
) -> Bool[np.ndarray, "*batch cells cells"]:
    """Whether a cell, one of `cells` x `cells`, has a pixel that stands out from the background."""
    side = pictures.shape[-1] // cells
    contrast = np.abs(pictures - background).reshape(*pictures.shape[:-2], cells, side, cells, side)
    return np.max(contrast, axis=(-3, -1)) >= CONTRAST


__all__ = ["CONTRAST", "filled", "perplexity", "used"]
