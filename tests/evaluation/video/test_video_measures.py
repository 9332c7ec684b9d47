"""Measures of dreamt pictures, codes and latents on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from o2t_jax.evaluation.video import codes, probes, rows
from o2t_jax.evaluation.writers.json_file import nested


def ball(x: float, y: float, size: int = 32, radius: float = 3.0) -> np.ndarray:
    i, j = np.mgrid[:size, :size] + 0.5
    return np.clip(radius + 0.5 - np.hypot(i - y, j - x), 0.0, 1.0)


def clip(steps: int, speed: float = 1.0) -> np.ndarray:
    return np.stack([ball(6.0 + speed * t, 16.0) for t in range(steps)])[None]


def test_idle_rows_on_a_still_clip_and_on_a_ramp() -> None:
    still = np.repeat(clip(1), 8, axis=1)
    errors = rows.idle_errors(still[:, :3], still[:, 3:], still[0, 0])
    assert all(np.all(errors[name] == 0.0) for name in ("copy_last", "linear", "mean_frame"))
    assert np.all(errors["blurred"] > 0.0) and np.all(rows.least(errors) == 0.0)
    ramp = np.clip(0.1 + 0.05 * np.arange(30), 0.0, 1.0)[None, :, None, None] * np.ones((1, 1, 4, 4))
    errors = rows.idle_errors(ramp[:, :3], ramp[:, 3:], np.zeros((4, 4)))
    assert np.max(errors["linear"]) < 1e-20
    np.testing.assert_allclose(errors["copy_last"][:3], np.square(0.05 * np.arange(1, 4)))


def test_the_blurred_row_is_the_best_blur_of_each_step() -> None:
    context = clip(2)
    blurs = (1.0, 3.0)
    truth = np.stack([ndimage.gaussian_filter(context[:, -1], (0, s, s), mode="nearest") for s in blurs], axis=1)
    np.testing.assert_allclose(rows.idle_errors(context, truth, context[0, 0])["blurred"], 0.0, atol=1e-12)


def test_a_faded_ball_is_not_found_and_a_moved_one_is_away() -> None:
    whole = clip(8)
    context, truth, black = whole[:, :3], whole[:, 3:], np.zeros((32, 32))
    right = rows.seen(truth, truth, context, black)
    assert np.all(right.found == 1.0) and np.all(right.centroid == 0.0)
    assert np.max(right.moved_on) < 0.05  # it moves straight on
    assert np.all(rows.seen(0.4 * truth, truth, context, black).found == 0.0)
    away = rows.seen(np.roll(truth, 2, axis=2), truth, context, black)
    np.testing.assert_allclose(away.centroid, 2.0, atol=1e-6)
    gone = rows.seen(np.zeros_like(truth), truth, context, black)
    assert np.all(gone.found == 0.0) and np.all(np.isnan(gone.centroid))


def test_sharpness_and_background() -> None:
    truth = clip(5)
    np.testing.assert_allclose(rows.sharpness(truth, truth), 1.0)
    assert np.all(rows.sharpness(ndimage.gaussian_filter(truth, (0, 0, 2, 2)), truth) < 0.5)
    anchor = ball(28.0, 4.0)
    np.testing.assert_allclose(rows.background_of(np.maximum(clip(12), anchor)), anchor, atol=1e-12)


def test_codes_counted() -> None:
    index = np.repeat(np.arange(8), 3)
    assert codes.used(index, 16) == 8
    assert codes.perplexity(index, 16) == pytest.approx(8.0)
    assert codes.perplexity(np.zeros(5, int), 16) == pytest.approx(1.0)
    assert np.isnan(codes.perplexity(np.zeros(0, int), 16))
    cells = codes.filled(clip(2), np.zeros((32, 32)), 8)
    assert cells.shape == (1, 2, 8, 8) and cells[0, 0, 4, 1] and not cells[0, 0, 0, 0] and np.sum(cells[0, 0]) <= 9


def test_probes_read_what_is_linear_and_no_more() -> None:
    random = np.random.default_rng(0)
    x, tested = random.normal(size=(200, 300)), random.normal(size=(100, 300))
    weight = np.zeros((300, 2))
    weight[:3] = random.normal(size=(3, 2))
    few = slice(None, None, 50)  # six entries, whose map can be known from 200 rows
    linear = lambda z: z[:, few] @ weight[:6]  # noqa: E731
    assert probes.r_squared(x[:, few], linear(x), tested[:, few], linear(tested)) > 0.999
    assert probes.r_squared(x, random.normal(size=(200, 2)), tested, random.normal(size=(100, 2))) < 0.1
    assert np.isnan(probes.r_squared(x, linear(x), tested, np.ones((100, 2))))


def test_the_mean_place_leaves_out_what_is_not_there() -> None:
    places = np.arange(12.0).reshape(1, 2, 3, 2)
    np.testing.assert_array_equal(probes.mean_place(places, np.array([[True, False, True]]))[0, 0], [2.0, 3.0])


def test_rows_of_a_table_nested() -> None:
    table = [
        {"set": "a", "horizon": 5, "model": 1.0, "mean": 3.0},
        {"set": "a", "horizon": 10, "model": 2.0, "mean": 4.0},
    ]
    leaves = {"5": {"model": 1.0, "mean": 3.0}, "10": {"model": 2.0, "mean": 4.0}}
    assert nested(table, ("set", "horizon")) == {"a": leaves}
    assert nested([{"row": "idle", "mm": 2.0}, {"row": "mean", "mm": 1.0}], ("row",)) == {"idle": 2.0, "mean": 1.0}
