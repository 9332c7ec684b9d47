"""Which form a law has, from tracks: constant, linear in height, or g0 + alpha / (z + 10); or undetermined.

Each form is fitted by bundle adjustment. The criterion: a form is named if its maximised log-likelihood, less one for
each of its parameters (Akaike's), leads every other form's by `LEAD`; otherwise none is. A form that another contains
cannot lead it by more than the penalty of the one parameter. Therefore "constant" is never named, and where a constant
is the truth the answer is that the form is undetermined. (1 / (z + c) and 1 / (z + R)^2 are one family here: over 0 to
20 m they differ by less than any measurement.)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from o2t_jax.evaluation.o2t.bundle_adjustment import Shared, TrackFit, Tracks, fit_tracks
from o2t_jax.evaluation.o2t.law import FORMS, fit_form
from o2t_jax.geometry.camera import Intrinsics
from o2t_jax.physics.gravity import LAWS

LEAD = 2.0
_HEIGHTS = np.linspace(0.0, 20.0, 41)


def nearest(form: str, of: str, values: np.ndarray) -> np.ndarray:
    """Parameters of the law `form` nearest to the law `of` with `values`, over 0 to 20 m."""
    return fit_form(form, _HEIGHTS, LAWS[of].g(_HEIGHTS, values)).values


def fit_forms(
    tracks: Tracks,
    intrinsics: Intrinsics,
    fit: TrackFit | None = None,
    *,
    weights: np.ndarray | None = None,
    shared: Shared | None = None,
) -> dict[str, TrackFit]:
    """Every form of `FORMS` fitted to the same tracks. `fit`: one of them, which need not be found again."""
    fit = fit or fit_tracks(tracks, intrinsics, weights=weights, shared=shared)
    fits = {fit.form: fit}
    for form in FORMS:
        if form not in fits:
            start = fit.states, nearest(form, fit.form, fit.values)
            fits[form] = fit_tracks(tracks, intrinsics, form, weights=weights, start=start, shared=shared)
    return fits


def leads(fits: Mapping[str, TrackFit], noise: float | None = None) -> dict[str, float]:
    """How far each form leads the best other one (negative: trails), in log-likelihood less one for each parameter.

    Args: `noise` px of a pixel coordinate; None: unknown, and each form takes what fits it best.
    """
    freedom = min(fit.freedom for fit in fits.values())

    def score(fit: TrackFit) -> float:
        squares = max(fit.squared_sum, 1e-30)
        likelihood = -0.5 * freedom * np.log(squares) if noise is None else -0.5 * squares / noise**2
        return float(likelihood) - len(fit.values)

    scores = {form: score(fit) for form, fit in fits.items()}
    return {form: own - max(other for name, other in scores.items() if name != form) for form, own in scores.items()}


def leads_beside(
    tracks: Tracks, intrinsics: Intrinsics, fit: TrackFit, *, weights: np.ndarray, shared: Shared | None
) -> dict[str, float]:
    """`leads` of all forms, given a fit of one of them; empty where the tracks are too few for another."""
    try:
        return leads(fit_forms(tracks, intrinsics, fit, weights=weights, shared=shared))
    except (ValueError, np.linalg.LinAlgError):
        return {}


def named(leads: Mapping[str, float]) -> str | None:
    """The form that leads by `LEAD`; None where none does: undetermined."""
    best = max(leads, key=leads.__getitem__)
    return best if leads[best] >= LEAD else None


__all__ = ["LEAD", "fit_forms", "leads", "leads_beside", "named", "nearest"]
