"""Which mass a disc has, from how well each candidate explains its scene's frames (Chang et al., arXiv 1612.00341)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

_TIE = 1e-9  # squared errors over the speed limit closer than this tell nothing: rounding of single precision


class Told(NamedTuple):
    """What N scenes tell about one disc's mass.

    Attributes: `right` [N], 1 where the best candidate is the true one, 1/k where k explain equally well and the true
    one is among them, else 0; `posterior` [N, M] over the candidates, evenly likely before.
    """

    right: np.ndarray
    posterior: np.ndarray


def tell(errors: Float[np.ndarray, "scenes masses"], truth: Int[np.ndarray, " scenes"], variance: float) -> Told:
    """Judges candidates by the sum of squared errors of velocity over the speed limit in a scene.

    Args: `truth`, the true candidate's number; `variance` of a model's error in one entry: for a Gaussian error the log
    likelihood is -errors / (2 variance).
    """
    least = errors.min(axis=1, keepdims=True)
    best = errors <= least + _TIE
    right = best[np.arange(len(truth)), truth] / best.sum(axis=1)
    log = -(errors - least) / (2.0 * variance)
    weight = np.exp(log)
    return Told(right, weight / weight.sum(axis=1, keepdims=True))


def by_hits(told: Told, ideal: Told, truth: np.ndarray, hits: np.ndarray) -> list[dict[str, float | str]]:
    """Rows of accuracy by how often [N] the disc met another one: 0, 1, 2, 3 and more, 1 and more, all."""
    groups = {
        "0": hits == 0,
        "1": hits == 1,
        "2": hits == 2,
        "3 and more": hits > 2,
        "1 and more": hits > 0,
        "all": hits >= 0,
    }
    rows: list[dict[str, float | str]] = []
    for name, those in groups.items():
        if not those.any():
            continue
        number = np.flatnonzero(those)
        rows.append(
            {
                "hits": name,
                "scenes": len(number),
                "accuracy": float(told.right[number].mean()),
                "ideal": float(ideal.right[number].mean()),
                "posterior of the truth": float(told.posterior[number, truth[number]].mean()),
            }
        )
    return rows


__all__ = ["Told", "by_hits", "tell"]
