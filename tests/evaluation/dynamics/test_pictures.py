"""Measures of predicted pictures, on pictures whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.evaluation.dynamics import objects, pictures
from o2t_jax.evaluation.dynamics.frequency import fit_oscillation
from o2t_jax.evaluation.dynamics.rollouts import valid_times

SIZE = 24
GREY = np.full((SIZE, SIZE, 3), 0.3)


def ball(x, y, bright=0.9):
    """A smooth ball [S, S, 3] at (x, y) px."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    share = 1.0 / (1.0 + np.exp(2.0 * (np.hypot(columns - x, rows - y) - 3.0)))
    return GREY + share[..., None] * (bright - GREY)


def track(xs, ys):
    """[1, T, S, S, 3]."""
    return np.stack([ball(x, y) for x, y in zip(xs, ys, strict=True)])[None]


def test_a_centroid_is_found_to_a_hundredth_of_a_pixel():
    seen = np.stack([ball(11.3, 9.8), ball(12.7, 14.1)])
    threshold = objects.threshold_of(seen, GREY)
    np.testing.assert_allclose(objects.centroids(seen, GREY, threshold), [[11.3, 9.8], [12.7, 14.1]], atol=0.02)
    assert np.isnan(objects.centroids(GREY[None], GREY, threshold)).all()


def test_a_faded_a_smeared_and_a_missing_object_are_not_found():
    truth = np.stack([ball(12.0, 12.0)] * 5)
    smeared = np.mean([ball(12.0, y) for y in np.linspace(4.0, 20.0, 40)], axis=0)
    grey = np.full_like(GREY, 0.6)  # contrast everywhere is no object either
    seen = np.stack([ball(14.0, 12.0), ball(12.0, 12.0, 0.4), 0.5 * (smeared + GREY), GREY, grey])
    np.testing.assert_array_equal(objects.found(seen, truth, GREY), [True, False, False, False, False])


def test_moved_on_is_exact_for_straight_motion_and_the_path_for_its_centroid_too():
    xs, ys = 6.0 + 0.7 * np.arange(8), 8.0 + 0.4 * np.arange(8)
    seen = track(xs, ys)
    moved = objects.moved_on(seen[:, :3], GREY, 5)
    assert np.abs(moved - seen[:, 3:]).max() < 0.03
    assert objects.distances(moved, seen[:, 3:], GREY).max() < 0.1
    assert objects.straight_on(seen[:, :3], seen[:, 3:], GREY).max() < 0.1


def test_valid_time_ends_before_the_first_wrong_or_missing_step():
    miss = np.array([[0.1, 0.2, 1.5, 0.1], [0.1, np.nan, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1]])
    np.testing.assert_allclose(valid_times(miss, 1.0, 0.1), [0.2, 0.1, 0.4])


@pytest.mark.parametrize(("frequency", "decay"), [(2.0, 0.1), (1.2, 0.0), (3.13, 0.05)])
def test_a_frequency_is_fitted_in_spite_of_noise_and_damping(frequency, decay):
    time = 0.1 * np.arange(80)
    signal = 3.0 * np.exp(-decay * time) * np.cos(frequency * time + 1.0) + 12.0
    noisy = signal + 0.1 * np.random.default_rng(0).normal(size=80)
    found = fit_oscillation(time, noisy)
    assert found is not None and abs(found.frequency / frequency - 1.0) < 0.01 and found.share > 0.98
    assert fit_oscillation(time, np.where(time < 5.0, np.nan, signal)) is None
    assert fit_oscillation(time, np.full(80, 3.0)) is None


def test_results_of_a_perfect_prediction_beside_rows_that_do_nothing():
    t = 0.1 * np.arange(23)
    seen = track(12.0 + 0.0 * t, 12.0 + 5.0 * np.cos(2.0 * t))
    truth, context = seen[:, 3:], seen[:, :3]
    rows = pictures.idle_rows(context, seen[0].mean(0), GREY, 20)
    found = dict(pictures.judge(truth, truth, rows, GREY, 0.1))
    assert found["mse"].value == 0.0 and min(found["mse"].baselines.values()) > 1e-4
    assert found["found"].baselines["mean frame"] < 50.0  # a smear along the path is no object
    assert found["ssim_over_horizon"].y.min() > 0.999 and found["found"].value == 100.0
    long = dict(pictures.judge_long(truth, truth, context, GREY, 1.0, 0.1))
    assert abs(long["valid_time"].value - 2.0) < 1e-9 and max(long["valid_time"].baselines.values()) < 1.0
    same = pictures.frequencies(truth, truth, GREY, 0.1)
    assert same["fitted"] == 1 and same["error"] < 1e-6 and abs(same["true"] - 2.0) < 0.02
    slower = track(12.0 + 0.0 * t, 12.0 + 5.0 * np.cos(1.9 * t))[:, 3:]
    assert abs(pictures.frequencies(slower, truth, GREY, 0.1)["bias"] + 0.05) < 0.01
    assert pictures.film(truth, truth, 0.1).frames.shape[0] == 20
    assert pictures.strip(truth, truth).pixels.shape == (3 * SIZE * 4, 10 * SIZE * 4, 3)
