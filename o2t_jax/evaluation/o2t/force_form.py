"""Whether a force of the velocity acts beside g(z), from tracks; and its parameters with intervals.

The law is fitted without the force and with it, by bundle adjustment. The criterion is that of `law_form`: the force
is present if its maximised log-likelihood, less one for each parameter, leads the law's alone by `LEAD`, and its
parameters have a sign that it can have. The likelihood takes all noise as independent. Where a flight has an error of
its own (a radius taken wrong), flights pull the law apart by more than that. So the lead is the smaller of two: that
one, and the force's parameters against their scatter over the flights (half of Wald's statistic with the sandwich
covariance, less one for each parameter). For one parameter a lead of 2 is a ratio of 6: chance exceeds it in 0.7% of
worlds.

What an error of scale does: where places are measured by a ball's apparent size, a radius that is off by a share s puts
every place 1 + s times as far from the camera. A law (g0, drag) then reads ((1 + s) g0, drag / (1 + s)) exactly, and
all residuals grow by 1 + s: the decision is the same where the noise is estimated from the residuals. Places that two
cameras triangulate do not depend on the radius.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from o2t_jax.evaluation.o2t.bundle_adjustment import Places, TrackFit, Tracks, fit_tracks
from o2t_jax.evaluation.o2t.law_form import LEAD, leads
from o2t_jax.evaluation.o2t.self_calibration import calibrate
from o2t_jax.geometry.camera import Intrinsics
from o2t_jax.physics.forces import FORCES


class Verdict(NamedTuple):
    """`without`, `with_force`: the two fits; `lead` of the second; `half_width` [L] of its parameters (`wider`)."""

    without: TrackFit
    with_force: TrackFit
    lead: float
    present: bool
    half_width: np.ndarray

    def intervals(self) -> dict[str, tuple[float, float, float]]:
        """Name -> (value, low, high) of the law's and the force's parameters, at `with_force.level`."""
        return named_intervals(self.with_force, self.half_width)


def named_intervals(fit: TrackFit, half_width: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """Name -> (value, low, high) of a fit's parameters."""
    rows = zip(fit.names, fit.values, half_width, strict=True)
    return {name: (float(value), float(value - half), float(value + half)) for name, value, half in rows}


def scatter_covariance(fit: TrackFit) -> np.ndarray:
    """[L, L] of the law from the scatter of the tracks' influence on it (sandwich estimator), S >= 2 tracks used."""
    used = np.any(fit.influence != 0.0, axis=1)
    count = int(used.sum())
    return fit.influence.T @ fit.influence * count / max(count - len(fit.values), 1)


def wider(fit: TrackFit) -> np.ndarray:
    """Half widths [L] of the intervals at `fit.level`, each the wider of two: of independent noise, and of the scatter
    over the tracks (Student's t), which has in it what a track's pictures have in common."""
    count = int(np.any(fit.influence != 0.0, axis=1).sum())
    quantile = special.stdtrit(max(count - len(fit.values), 1), 0.5 * (1.0 + fit.level))
    return np.maximum(fit.half_width, quantile * np.sqrt(np.diag(scatter_covariance(fit))))


def decide(
    tracks: Tracks | Places,
    intrinsics: Intrinsics | None = None,
    *,
    force: str = "quadratic_drag",
    form: str = "constant",
    weights: np.ndarray | None = None,
    noise: float | None = None,
    shared_errors: bool = False,
) -> Verdict:
    """Fits a law `form` without and with `force`; the arguments are those of `bundle_adjustment.fit_tracks`.

    `shared_errors`: sightings in pictures may have errors that all of them share (`self_calibration`); both fits have
    them unknown then.
    Raises: ValueError where there are not more measurements than unknowns.
    """
    without = fit_tracks(tracks, intrinsics, form, weights=weights, noise=noise)
    own = FORCES[force].params
    start = without.states, np.concatenate([without.values, np.zeros(len(own))])
    fit = fit_tracks(tracks, intrinsics, form, force=force, weights=weights, start=start, noise=noise)
    if shared_errors and isinstance(tracks, Tracks) and intrinsics is not None:
        weights = np.ones(tracks.times.shape) if weights is None else weights
        without, fit = (calibrate(one, tracks, intrinsics, weights) for one in (without, fit))
    found = fit.values[-len(own) :]
    scatter = scatter_covariance(fit)[-len(own) :, -len(own) :]
    wald = 0.5 * float(found @ np.linalg.solve(scatter, found)) - len(own)
    lead = min(leads({"without": without, "with": fit}, noise)["with"], wald)
    possible = all(value >= param.least for value, param in zip(found, own, strict=True))
    return Verdict(without, fit, lead, bool(lead >= LEAD and possible), wider(fit))


__all__ = ["Verdict", "decide", "named_intervals", "scatter_covariance", "wider"]
