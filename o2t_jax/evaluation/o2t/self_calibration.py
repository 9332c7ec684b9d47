"""Errors of sightings that all pictures share, as unknowns of a bundle adjustment (self-calibration).

A network may see every ball a little too low, or stretch what is near the picture's edge. No number of pictures
averages that out, and an interval without it is too narrow. Here each axis gets a cubic polynomial in the place in the
picture, common to all pictures, with coefficients that are N(0, `PRIOR_PX`) beforehand; they are fitted beside law and
states.
Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., 7.4 (distortion as parameters of the fit).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from o2t_jax.evaluation.o2t.bundle_adjustment import TrackFit, TrackModel, Tracks
from o2t_jax.evaluation.o2t.schur import eliminate_states
from o2t_jax.geometry.camera import Intrinsics

DEGREE = 3
PRIOR_PX = 0.1
_ROUNDS = 8


def smooth_patterns(pixels: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """[S, 2P, Q]: the monomials up to `DEGREE` of the place in the picture, -1 to 1, for either axis of `pixels`."""
    x, y = ((pixels[..., i] - c) / c for i, c in enumerate((intrinsics.cx, intrinsics.cy)))
    terms = np.stack([x**i * y**j for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i)], axis=-1)
    none = np.zeros_like(terms)
    along = [np.concatenate(pair, axis=-1) for pair in ((terms, none), (none, terms))]
    return np.stack(along, axis=2).reshape(len(pixels), -1, 2 * terms.shape[-1])


def calibrate(fit: TrackFit, tracks: Tracks, intrinsics: Intrinsics, weights: np.ndarray) -> TrackFit:
    """`fit` continued with shared errors of the sightings unknown too; its intervals then have them in.

    Args: `weights` [S, P] as for `fit_tracks`, which made `fit`. Its `influence` gets a row more for each coefficient.
    """
    model = TrackModel(tracks, intrinsics, fit.form, fit.force)
    root = np.sqrt(np.asarray(weights, np.float64)).repeat(2, axis=1)
    patterns = root[..., None] * smooth_patterns(tracks.pixels, intrinsics)
    states, values, count = fit.states, fit.values, len(fit.values)
    shared = np.zeros(patterns.shape[-1])
    # Squares of a coefficient in units of the noise, beside those of the residuals.
    stiff = np.concatenate([np.zeros(count), np.full(len(shared), (fit.noise / PRIOR_PX) ** 2)])
    for _ in range(_ROUNDS):
        rows = root * model.residual(states, values) - patterns @ shared
        by_state, by_law = (root[..., None] * jacobian for jacobian in model.jacobians(states, values))
        found = eliminate_states(rows, by_state, np.concatenate([by_law, patterns], axis=-1))
        inverse = np.linalg.inv(found.normal + np.diag(stiff))
        unknown = np.concatenate([np.zeros(count), shared])
        step = inverse @ (found.pull.sum(axis=0) - stiff * unknown)
        states = states + found.state_step(step)
        values, shared = values + step[:count], shared + step[count:]
        if np.all(np.abs(step) < 1e-7):
            break
    rows = root * model.residual(states, values) - patterns @ shared
    squares = float(np.sum(rows**2) + np.sum(stiff[count:] * shared**2))
    noise = float(np.sqrt(squares / fit.freedom))
    covariance = noise**2 * inverse[:count, :count]
    half_width = special.stdtrit(fit.freedom, 0.5 * (1.0 + fit.level)) * np.sqrt(np.diag(covariance))
    of_prior = np.diag(stiff * PRIOR_PX)[count:] @ inverse
    influence = np.concatenate([found.pull @ inverse, of_prior])[:, :count]
    return fit._replace(
        values=values,
        covariance=covariance,
        half_width=half_width,
        noise=noise,
        squared_sum=squares,
        states=states,
        residual=rows.reshape(fit.residual.shape),
        influence=influence,
    )


__all__ = ["DEGREE", "PRIOR_PX", "calibrate", "smooth_patterns"]
