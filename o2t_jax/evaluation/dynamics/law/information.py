"""How well data determine an equation's parameters: the Fisher information and intervals.

Initial states, and parameters of single sequences, are nuisance parameters: they are eliminated by the Schur
complement. The Cramer-Rao width is that of the best unbiased estimate under Gaussian noise. Intervals come from a
block bootstrap whose blocks are sequences; each replicate is one Newton step from the optimum on the drawn sequences'
scores and information, which has the replicate's own optimum up to terms of second order. Sources: Kay, Fundamentals
of Statistical Signal Processing I, 3.8; Efron & Tibshirani, An Introduction to the Bootstrap, 8.5; Davidson &
MacKinnon 1999 (one step).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from scipy import stats

from o2t_jax.evaluation.dynamics.law import shooting, solver
from o2t_jax.evaluation.dynamics.law.equations import Equation, substeps
from o2t_jax.evaluation.dynamics.law.shooting import Fit, Observed

LEVEL = 0.95


def covariance(information: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Inverse [P, P] of the information of the free parameters; 0 for the others, infinite where nothing is known."""
    chosen = np.flatnonzero(free)
    part = np.asarray(information)[np.ix_(chosen, chosen)]
    scale = np.sqrt(np.diag(part))
    out = np.zeros_like(information)
    if not np.all(np.isfinite(part)) or np.any(scale <= 0):
        out[chosen, chosen] = np.inf
        return out
    unit = part / np.outer(scale, scale)
    if np.linalg.eigvalsh(unit)[0] < 1e-12:
        out[chosen, chosen] = np.inf
        return out
    out[np.ix_(chosen, chosen)] = np.linalg.inv(unit) / np.outer(scale, scale)
    return out


def fisher(
    equation: Equation, theta: Any, data: Observed, noise: Any, *, free: Any = None, varying: Sequence[int] = (),
    own: Any = None,
) -> np.ndarray:  # fmt: skip
    """Information [S, P, P] of each sequence on the shared parameters at `theta` [P].

    Args: `data.states` are the true states, of which the first is used; `own` [S, D + V] in place of them.
    """
    free = equation.every if free is None else np.asarray(free, bool)
    theta, varying = np.asarray(theta, np.float64), tuple(varying)
    if own is None:
        own = shooting.own_start(data, theta, varying)
    weight = np.ones(data.states.shape[1:]) / np.asarray(noise)
    with jax.enable_x64(True):
        found = solver.at_point(
            theta, own, free.astype(np.float64), data.states, data.actions, data.dt, weight,
            equation=equation, varying=varying, inner=substeps(data.dt),
        )  # fmt: skip
    return np.asarray(found[2])


def cramer_rao(information: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Smallest standard deviations [P] of unbiased estimates, from the information [S, P, P] of the sequences."""
    return np.sqrt(np.diag(covariance(np.sum(information, 0), free)))


def replicates(found: Fit, draws: int = 2000, seed: int = 0, owner: Any = None) -> np.ndarray:
    """Bootstrap replicates [draws, P] of theta. `owner` [S]: the block that each window belongs to, itself if None."""
    owner = np.arange(len(found.score)) if owner is None else np.asarray(owner)
    blocks = int(owner.max()) + 1
    score = np.zeros((blocks, found.score.shape[1]))
    information = np.zeros((blocks, *found.information.shape[1:]))
    np.add.at(score, owner, found.score)
    np.add.at(information, owner, found.information)
    chosen = np.flatnonzero(found.free)
    score, information = score[:, chosen], information[:, chosen][:, :, chosen]
    counts = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1.0 / blocks), draws)
    total, matrix = counts @ score, np.einsum("bs,sij->bij", counts, information)
    out = np.tile(found.theta, (draws, 1))
    scale = np.sqrt(np.maximum(np.einsum("bii->bi", matrix), 1e-300))
    unit = matrix / (scale[:, :, None] * scale[:, None, :]) + 1e-12 * np.eye(len(chosen))
    out[:, chosen] += np.linalg.solve(unit, (total / scale)[..., None])[..., 0] / scale
    return out


def intervals(
    found: Fit, level: float = LEVEL, draws: int = 2000, seed: int = 0, owner: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends [P] of the block bootstrap's intervals.

    Half widths are the replicates' standard deviation times Student's quantile, with the factor S/(S - 1) of a variance
    from S blocks: the plain percentile interval of few blocks is too narrow.
    """
    blocks = len(found.score) if owner is None else int(np.max(owner)) + 1
    spread = np.std(replicates(found, draws, seed, owner), 0) * np.sqrt(blocks / max(blocks - 1, 1))
    half = spread * stats.t.ppf(0.5 + 0.5 * level, max(blocks - 1, 1))
    return found.theta - half, found.theta + half


__all__ = ["LEVEL", "covariance", "cramer_rao", "fisher", "intervals", "replicates"]
