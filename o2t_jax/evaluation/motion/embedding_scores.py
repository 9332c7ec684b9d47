"""How well motions fit their texts, and their distribution that of true ones, in embeddings that an evaluator gives.

The three numbers by which text-to-motion models are compared; they mean something only beside the same evaluator's
numbers for true motions. Source: Guo et al. 2022 (HumanML3D), section 6; Fréchet distance of Gaussians: Heusel et al.
2017, equation 6.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

POOL = 32  # texts among which a motion's own is looked for

Embedded = Float[np.ndarray, "n d"]


def r_precision(texts: Embedded, motions: Embedded, top: int = 3, pool: int = POOL, seed: int = 0) -> np.ndarray:
    """Expected shares [top] of motions whose own text is among the nearest 1, 2, ... of `pool` drawn texts.

    Each of `texts` belongs to the motion of its row. Of texts that are equally near one is drawn.
    Raises: ValueError where there are fewer than `pool` pairs.
    """
    count = len(texts) // pool
    if len(texts) != len(motions) or count < 1 or top > pool:
        raise ValueError(f"{len(texts)} texts and {len(motions)} motions: at least {pool} pairs are needed")
    order = np.random.default_rng(seed).permutation(len(texts))[: count * pool].reshape(count, pool)
    found = np.zeros(top)
    for rows in order:
        away = np.linalg.norm(motions[rows][:, None] - texts[rows][None], axis=-1)
        own = np.diagonal(away)[:, None]
        nearer, equal = np.sum(away < own, axis=1), np.sum(away == own, axis=1)
        found += [np.sum(np.clip((k + 1 - nearer) / equal, 0.0, 1.0)) for k in range(top)]
    return found / order.size


def scores_of(texts: Embedded, motions: Embedded, true: Embedded, pool: int = POOL) -> dict[str, float]:
    """All three numbers of motions whose texts are of the same rows, beside true motions."""
    found = r_precision(texts, motions, pool=pool)
    return {
        **{f"r_precision_{k}": float(x) for k, x in enumerate(found, 1)},
        "matched_distance": matched_distance(texts, motions),
        "frechet": frechet_distance(motions, true),
    }


def matched_distance(texts: Embedded, motions: Embedded) -> float:
    """The mean distance of a motion from its own text ("MM-Dist")."""
    return float(np.mean(np.linalg.norm(motions - texts, axis=-1)))


def frechet_distance(made: Embedded, true: Embedded) -> float:
    """|m - m'|² + tr(S + S' - 2 (S S')^(1/2)) of the Gaussians with the two sets' means and covariances.

    Raises: ValueError for fewer than two rows.
    """
    if min(len(made), len(true)) < 2:
        raise ValueError(f"{len(made)} and {len(true)} rows: two are the least that have a covariance")
    one, other = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (made, true))
    root = _root(one)
    # tr (S S')^(1/2) = tr (S^(1/2) S' S^(1/2))^(1/2), which is symmetric.
    shared = np.sum(np.sqrt(np.clip(np.linalg.eigvalsh(root @ other @ root), 0.0, None)))
    apart = np.sum(np.square(np.mean(made, axis=0) - np.mean(true, axis=0)))
    return float(max(apart + np.trace(one) + np.trace(other) - 2.0 * shared, 0.0))


def _root(symmetric: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(symmetric)
    return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T


__all__ = ["POOL", "frechet_distance", "matched_distance", "r_precision", "scores_of"]
