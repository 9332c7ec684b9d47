"""One value with its interval from the profile likelihoods of one or several collisions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize_scalar, root_scalar
from scipy.stats import chi2, norm
from scipy.stats import t as student

from o2t_jax.evaluation.discs.encounter import FRICTION, Encounter
from o2t_jax.evaluation.recorded.intervals import LEVEL, Estimate

SPREAD = 0.01  # probability under which several collisions disagree, so that the interval is widened
_FINE, _MOST = 5e-3, 20  # how well an interval's end is found, over its distance from the value; steps
_LEAST = 0.05  # of the limit: a root below tells no slope to extrapolate by


def pooled(fits: Sequence[Encounter], which: int) -> Estimate | None:
    """The value of parameter `which` (of `encounter.py`) that suits all `fits`, with its interval of `LEVEL`.

    The profiles of the collisions add up. Where they disagree the interval is widened by the root of chi2 over its
    degrees of freedom (as the Particle Data Group does); what the choice of the stretches does is added in quadrature.
    Friction is in the tracks' unit per s^2, all else has none. None where the data leave the value open.
    """
    units = [fit.length / fit.time**2 if which == FRICTION else 1.0 for fit in fits]
    profiles = [fit.profile(which) for fit in fits]
    values = np.array([fit.values[which] * unit for fit, unit in zip(fits, units, strict=True)])

    def total(x: float) -> float:
        return sum(profile(x / unit) for profile, unit in zip(profiles, units, strict=True))

    best, widen = float(values[0]), 1.0
    if len(fits) > 1 and np.ptp(values) > 0:
        margin = 0.1 * np.ptp(values)
        found = minimize_scalar(total, bounds=(values.min() - margin, values.max() + margin), method="bounded")
        best = float(found.x)  # pyright: ignore[reportAttributeAccessIssue]
        above = total(best) - sum(fit.chi2 / fit.scale**2 for fit in fits)
        if chi2.sf(above, len(fits) - 1) < SPREAD:
            widen = np.sqrt(above / (len(fits) - 1))
    floor = total(best)
    limit = widen * float(student.ppf(0.5 + LEVEL / 2, sum(fit.spare for fit in fits)))
    step = 0.01 * max(abs(best), 0.1)
    low, high = (_end(lambda x: total(x) - floor, best, sign * step, limit) for sign in (-1, 1))
    if low is None or high is None:
        return None
    choice = [fit.choice[which] * unit for fit, unit in zip(fits, units, strict=True)]
    taken = float(norm.ppf(0.5 + LEVEL / 2) * np.sqrt(np.sum(np.square(choice))) / len(fits))
    return Estimate(best, best - float(np.hypot(best - low, taken)), best + float(np.hypot(high - best, taken)))


def _end(above: Callable[[float], float], best: float, step: float, limit: float) -> float | None:
    """Where the root of `above` reaches `limit` on the side of `step`; None where it does not within reason.

    The root is nearly a straight line, so the secant method takes two or three steps.
    """

    def left(x: float) -> float:
        return float(np.sqrt(max(0.0, above(x))) * np.sign(x - best) * np.sign(step)) - limit

    guess = best + step * limit / max(left(best + step) + limit, _LEAST * limit)
    found = root_scalar(left, x0=best + step, x1=guess, xtol=_FINE * abs(guess - best), method="secant", maxiter=_MOST)
    return float(found.root) if found.converged and (found.root - best) * step > 0 else None


__all__ = ["pooled"]
