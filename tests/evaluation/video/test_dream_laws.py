"""The constant of a clip, read off the track of its object."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.data.video.clips import Clips
from o2t_jax.evaluation.dynamics import objects
from o2t_jax.evaluation.video import laws
from o2t_jax.evaluation.video.rows import background_of
from o2t_jax.physics.video import get_set


def test_a_harmonic_motion_has_its_rate_at_any_phase_and_lag() -> None:
    rate, phase = np.array([0.1, 0.4, 0.77])[:, None], np.array([0.0, 1.0, 2.0])[:, None]
    track = np.cos(rate * np.arange(12) + phase)
    for lag in (1, 2, 4):
        np.testing.assert_allclose(laws.angular_rate(track, track, lag=lag), rate[:, 0], rtol=0.02)


def test_friction_is_taken_out() -> None:
    rate, friction, t = 0.3, 0.05, np.arange(20)
    track = (np.exp(-0.5 * friction * t) * np.sin(np.sqrt(rate**2 - 0.25 * friction**2) * t + 0.3))[None]
    without = laws.angular_rate(track, track)[0]
    assert laws.angular_rate(track, track, friction)[0] == pytest.approx(rate, rel=5e-3)
    assert abs(without - rate) > 1e-2 * rate


def test_what_runs_away_has_no_rate() -> None:
    track = np.cosh(0.3 * np.arange(10))[None]
    assert np.isnan(laws.angular_rate(track, track)).all()


def test_a_parabola_has_its_acceleration() -> None:
    t = np.arange(10.0)
    tracks = np.stack([3.0 + 2.0 * t - 0.1 * t**2, 0.25 * t**2])
    np.testing.assert_allclose(laws.acceleration(tracks), [-0.2, 0.5], rtol=1e-9)


def test_agreement_tells_a_law_from_the_mean() -> None:
    truth = np.linspace(1.0, 4.0, 40)
    exact, usual = laws.agreement(truth, truth), laws.agreement(np.full(40, 2.5), truth)
    assert exact == laws.Agreement(pytest.approx(1.0), pytest.approx(1.0), pytest.approx(0.0), 1.0)
    assert usual.slope == pytest.approx(0.0, abs=1e-9) and usual.r_squared == 0.0 and usual.error > 0.1
    half = laws.agreement(np.where(np.arange(40) % 2, np.nan, truth), truth)
    assert half.share == 0.5 and half.slope == pytest.approx(1.0)
    assert np.isnan(laws.agreement(np.full(40, np.nan), truth).slope)


@pytest.mark.parametrize(
    "name", ["pendulum", *(pytest.param(name, marks=pytest.mark.slow) for name in ("spring_mass", "projectile"))]
)
def test_true_pictures_show_the_constant_of_their_clip(name) -> None:
    law, source = laws.LAWS[name], Clips(get_set(name), 0, 14, 32)
    known, clips = source.batch("train", np.arange(32)), source.batch("test", np.arange(48))
    pictures = known["pictures"] / 255.0
    background = background_of(pictures)
    threshold = objects.threshold_of(pictures[..., None], background[..., None])
    scale = laws.calibration(pictures, background, threshold, known["places"][:, :, 0])
    usable = law.usable(clips["places"][:, :, 0], clips["constant"])
    assert usable.sum() > 10
    seen = laws.places_in(clips["pictures"] / 255.0, background, threshold, scale)
    found = laws.agreement(law.measured(seen[usable]), law.of_constant(clips["constant"][usable]))
    assert found.share == 1.0
    assert found.slope == pytest.approx(1.0, abs=0.05) and found.r_squared > 0.97 and found.error < 0.03
