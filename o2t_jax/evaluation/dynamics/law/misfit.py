"""Whether a fitted equation leaves structure in its residuals: the test behind "none of these".

A score test (Rao 1948; Lagrange multipliers): features outside the library, each with a coefficient of 0, would each
lower the misfit at first order; the drop that they promise together, initial states and all fitted parameters moving
along, is chi-squared distributed where the equation is right. Where the noise is known, the misfit itself is tested as
well.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from scipy import stats

from o2t_jax.evaluation.dynamics.law import solver
from o2t_jax.evaluation.dynamics.law.equations import Equation, substeps
from o2t_jax.evaluation.dynamics.law.shooting import Fit, Observed

CUT = 1e-6


class Misfit(NamedTuple):
    """`p`, how likely a right equation looks this wrong; `outside`, the statistic of the features and `features`, its
    degrees of freedom; `worst`, the feature that alone would help most; `ratio`, chi2 per degree of freedom."""

    p: float
    outside: float
    features: int
    worst: str
    ratio: float


def misfit(wide: Equation, data: Observed, found: Fit, noise_known: bool) -> Misfit:
    """Tests the fit `found` of an equation whose parameters are the first of `wide`'s, the rest being features outside.

    Args: `noise_known`, whether `found.noise` was given and not estimated.
    """
    count = len(found.theta)
    theta = np.concatenate([found.theta, wide.start[count:]])
    tested = np.arange(len(wide.names)) >= count
    free = np.concatenate([found.free, np.zeros(len(wide.names) - count, bool)])
    mask = (free | tested).astype(np.float64)
    mask[list(found.varying)] = 1.0
    weight = np.ones(data.states.shape[1:]) / found.noise
    with jax.enable_x64(True):
        _, score, information = (np.asarray(x) for x in solver.at_point(
            theta, found.own, mask, data.states, data.actions, data.dt, weight,
            equation=wide, varying=found.varying, inner=substeps(data.dt),
        ))  # fmt: skip
    if not np.isfinite(information).all():  # the best equation explodes on the data
        return Misfit(0.0, np.inf, 0, "", found.chi2 / max(found.dof, 1))
    tested[list(found.varying)] = False
    score, information = np.sum(score, 0), np.sum(information, 0)
    base, extra = np.flatnonzero(free & ~tested), np.flatnonzero(tested)
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    unit, slope = information / np.outer(scale, scale), score / scale
    solved = np.linalg.pinv(unit[np.ix_(base, base)], rcond=1e-12) @ unit[np.ix_(base, extra)]
    matrix = unit[np.ix_(extra, extra)] - unit[np.ix_(extra, base)] @ solved
    left = slope[extra] - solved.T @ slope[base]
    value, vectors = np.linalg.eigh(matrix)
    known = value > CUT
    statistic = float(np.sum((vectors.T @ left)[known] ** 2 / value[known]))
    alone = left**2 / np.maximum(np.diag(matrix), CUT)
    p = float(stats.chi2.sf(statistic, known.sum()))
    if noise_known:
        p = min(1.0, 2.0 * min(p, float(stats.chi2.sf(found.chi2, found.dof))))
    worst = wide.names[extra[int(np.argmax(alone))]]
    return Misfit(p, statistic, int(known.sum()), worst, found.chi2 / max(found.dof, 1))


__all__ = ["Misfit", "misfit"]
