"""Bundle adjustment of tracks: the law, its covariance, and how often its intervals cover."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from o2t_jax.commands.studies.interval_coverage import Study, draw_tracks, run_study
from o2t_jax.evaluation.o2t import bundle_adjustment as T
from o2t_jax.geometry.camera import intrinsics_for
from o2t_jax.physics.gravity import Gravity

STUDY = Study(sims=60, tracks=25, noise=0.12, size=512, seed=3)
INTRINSICS = intrinsics_for(512, 512)


def test_flight_under_constant_gravity_in_closed_form():
    states = np.array([[0.0, 0.0, 5.0, 1.0, -2.0, 3.0], [1.0, 1.0, 10.0, 0.0, 0.5, -1.0]])
    times = np.array([[0.1, 0.1, 0.5, 0.5, 1.3], [0.0, 0.0, 0.2, 0.2, 0.9]])
    t = (times - times[:, :1])[..., None]
    expected = states[:, None, :3] + states[:, None, 3:] * t - 0.5 * 9.81 * t**2 * np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(T.fly(states, "constant", np.array([9.81]), times), expected, atol=1e-12)


def test_flight_keeps_the_energy_of_the_hyperbolic_law():
    gravity = Gravity.hyperbolic(9.5, 8.0)
    states = np.array([[0.0, 0.0, 12.0, 0.0, 0.0, 4.0]])
    times = np.array([[0.0, 0.0, 0.7, 0.7, 1.4]])
    z = T.fly(states, "hyperbolic", np.array(gravity.params), times)[0, :, 2]
    late = T.fly(states, "hyperbolic", np.array(gravity.params), times + np.array([0, 0, 0, 0, 1e-5]))[0, :, 2]
    speed = (late[-1] - z[-1]) / 1e-5
    assert 0.5 * speed**2 + gravity.potential(z[-1]) == pytest.approx(0.5 * 4.0**2 + gravity.potential(12.0), rel=1e-5)


@pytest.mark.parametrize("law", [(9.5, 8.0), (9.1, -9.7), (1.62, 0.0), (24.8, 3.0)])
def test_pictures_without_noise_give_the_law_exactly(law):
    rng = np.random.default_rng(0)
    tracks = draw_tracks(rng, np.array(law), dataclasses.replace(STUDY, noise=0.0))
    fit = T.fit_tracks(tracks, INTRINSICS)
    assert fit.converged and fit.noise < 1e-6
    np.testing.assert_allclose(fit.values, law, atol=1e-5)


def test_the_covariance_is_what_repetition_shows():
    law, fits = np.array([9.5, -6.0]), []
    for seed in range(80):
        clean = draw_tracks(np.random.default_rng(7), law, dataclasses.replace(STUDY, noise=0.0))
        noise = np.random.default_rng((7, seed)).normal(0, 0.12, clean.pixels.shape)
        fits.append(T.fit_tracks(clean._replace(pixels=clean.pixels + noise), INTRINSICS, noise=0.12))
    spread = np.cov(np.stack([f.values for f in fits]).T)
    # 80 repetitions give a deviation to 8%.
    ratio = np.sqrt(np.diag(spread) / np.diag(np.mean([f.covariance for f in fits], axis=0)))
    assert np.all(np.abs(ratio - 1) < 0.25), ratio
    assert np.corrcoef(spread)[0, 1] < -0.9, "g0 and alpha trade off"
    bias = np.mean([f.values for f in fits], axis=0) - law
    assert np.all(np.abs(bias) < 3.5 * np.sqrt(np.diag(spread) / 80))


def test_noise_is_estimated_and_a_study_covers():
    result = run_study(STUDY)
    assert result["noise_estimate_px"] == pytest.approx(0.12, rel=0.05)
    # 60 runs at 95%: 57 expected, deviation 1.7.
    assert all(share >= 0.85 for share in result["coverage"].values()), result["coverage"]
    narrow = run_study(dataclasses.replace(STUDY, level=0.5))
    assert all(0.3 <= share <= 0.7 for share in narrow["coverage"].values()), "intervals must be able to miss"
    assert result["converged"] == 60


def test_too_few_tracks_are_refused():
    tracks = draw_tracks(np.random.default_rng(0), np.array([9.5, 0.0]), STUDY)
    short = T.Tracks(*(field[:1, :4] for field in tracks))
    with pytest.raises(ValueError, match="cannot fix"):
        T.fit_tracks(short, INTRINSICS)
    with pytest.raises(ValueError, match="is none of"):
        T.fit_tracks(tracks, INTRINSICS, "inverse_square")
