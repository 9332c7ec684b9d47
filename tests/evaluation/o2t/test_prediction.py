"""Measures and do-nothing rows on discs whose motion is known."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax import results
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t import baselines, prediction
from o2t_jax.evaluation.o2t.heldout import HeldOut, collect, moving_regions
from o2t_jax.evaluation.writers import pictures
from o2t_jax.geometry.para import DIS, FUTURE, TARGET, VIEW

DIAGONAL = float(np.hypot(64, 64))


def unit(picture):
    return np.asarray(picture, np.float32)[None] / 255.0


def row_of(held_out: HeldOut, picture) -> dict:
    return prediction.summarise(prediction.score_pictures(held_out, picture), np.ones(len(held_out.n), bool), DIAGONAL)


def test_a_perfect_prediction(straight):
    row = row_of(straight, straight.target / 255.0)
    assert row["mse"] == row["l1"] == row["ball_mse"] == row["centroid_px"] == row["missed"] == 0.0
    assert row["psnr"] == row["ball_psnr"] == np.inf
    assert row["samples"] == row["balls"] == 1


def test_measures_by_hand(straight):
    error = np.zeros_like(straight.target, np.float32)
    ball = straight.regions > 0
    share = ball.mean()
    error[ball] = 0.1
    row = row_of(straight, straight.target / 255.0 + error)
    assert row["ball_mse"] == pytest.approx(0.01, rel=1e-4) and row["ball_l1"] == pytest.approx(0.1, rel=1e-4)
    assert row["ball_psnr"] == pytest.approx(20.0, abs=1e-3)
    assert row["mse"] == pytest.approx(0.01 * share, rel=1e-4) and row["l1"] == pytest.approx(0.1 * share, rel=1e-4)
    assert row["psnr"] == pytest.approx(20.0 - 10 * np.log10(share), abs=1e-3)
    assert row["loss"] == pytest.approx(0.7 * row["mse"] + 0.3 * row["l1"])
    # The region is the disc of radius 6, and a rim pixel counts once the ball shows in it.
    assert np.pi * 6.0**2 < ball.sum() < np.pi * 7.0**2


@pytest.mark.parametrize("shift", [(3.0, 4.0), (-6.0, 8.0), (0.25, 0.0), (0.3, -0.4)])
def test_centroid_error_is_the_shift(discs, straight, flat, shift):
    place = np.array([46.5, 34.5]) + shift
    row = row_of(straight, unit(discs.draw([place], flat)))
    assert row["centroid_px"] == pytest.approx(np.hypot(*shift), abs=0.05)
    assert row["missed"] == 0


def test_a_pale_ball_is_found_and_a_ghost_is_missed(straight, flat):
    pale = 0.7 * straight.target / 255.0 + 0.3 * flat / 255.0
    ghost = 0.3 * straight.target / 255.0 + 0.7 * flat / 255.0
    assert row_of(straight, pale)["centroid_px"] == pytest.approx(0.0, abs=0.02)
    assert row_of(straight, ghost)["missed"] == 1.0


def test_a_sample_without_a_ball_has_no_numbers_of_it(straight):
    empty = straight._replace(regions=np.zeros_like(straight.regions))
    row = row_of(empty, straight.target / 255.0)
    assert [row[k] for k in ("ball_mse", "ball_l1", "ball_psnr", "centroid_px", "missed", "balls")] == [None] * 5 + [0]
    assert row["mse"] == 0.0


def test_noise_elsewhere_does_not_move_the_centroid(straight):
    noisy = straight.target / 255.0 + np.random.default_rng(0).normal(0, 0.05, straight.target.shape)
    assert row_of(straight, np.clip(noisy, 0, 1))["centroid_px"] < 0.2


def test_a_ball_out_of_the_window_is_missed_and_counts_as_the_diagonal(discs, straight, flat):
    for picture in (flat, discs.draw([np.array([10.0, 10.0])], flat)):
        row = row_of(straight, unit(picture))
        assert row["missed"] == 1.0 and row["centroid_px"] == DIAGONAL


def test_two_balls_are_judged_each_by_itself(discs, flat):
    colours = (discs.BALL, np.array([160.0, 60.0, 60.0]))
    element = discs.sample(
        [(14, 20), (50, 44)], [(3, 0), (-3, 0)], np.zeros((2, 2)), 4, 6, flat, colours=colours, spare=(-5, 20)
    )
    held_out = discs.held_out_of(element)
    moved = discs.draw([np.array([32.0, 20.0]), np.array([32.0, 47.0])], flat, colours=colours)
    px = prediction.score_pictures(held_out, unit(moved))["centroid_px"][0]
    np.testing.assert_allclose(sorted(px[:2]), [0.0, 3.0], atol=0.05)
    assert np.all(np.isnan(px[2:]))


def test_a_ball_does_not_stand_in_for_its_neighbour(discs, flat):
    colours = (discs.BALL, np.array([160.0, 60.0, 60.0]))
    start, velocity = [(25, 32), (40, 32)], [(0, 4), (0, 4)]
    element = discs.sample(start, velocity, np.zeros((2, 2)), 4, 0, flat, VIEW, colours=colours, spare=(-20, 20))
    held_out = discs.held_out_of(element)
    alone = discs.draw([np.array([23.0, 32.0])], flat)
    px = prediction.score_pictures(held_out, unit(alone))["centroid_px"][0]
    np.testing.assert_allclose(sorted(px[:2]), [2.0, np.inf], atol=0.05)


def test_constant_velocity_is_exact_for_a_disc_at_constant_speed(straight):
    np.testing.assert_allclose(baselines.constant_velocity(straight), straight.target / 255.0, atol=1e-6)


def test_constant_velocity_over_a_scene_with_lines(discs, striped):
    held_out = discs.held_out_of(discs.sample((14.2, 50.9), (4.3, -2.1), (0, 0), 4, 8, striped, spare=(-9, 20)))
    row = row_of(held_out, baselines.constant_velocity(held_out))
    assert row["centroid_px"] < 0.15 and row["psnr"] > 30


def test_constant_velocity_misses_what_gravity_adds(discs, flat):
    # Displacement a n^2 / 2, extrapolated (n / k) a k^2 / 2: off by a n (n - k) / 2 = 0.4 * 8 * 4 / 2 = 6.4 px.
    held_out = discs.held_out_of(discs.sample((10.5, 30.5), (4, -3), (0, 0.4), 4, 8, flat, spare=(-9, 20)))
    row = row_of(held_out, baselines.constant_velocity(held_out))
    assert row["centroid_px"] == pytest.approx(6.4, abs=0.1)


def test_constant_velocity_tells_two_crossing_balls_apart(discs, flat):
    colours = (discs.BALL, np.array([160.0, 60.0, 60.0]))
    start, velocity = [(14, 18), (50, 46)], [(4, 2), (-4, -2)]
    element = discs.sample(start, velocity, np.zeros((2, 2)), 8, 2, flat, colours=colours, spare=(-9, 18))
    held_out = discs.held_out_of(element)
    assert row_of(held_out, baselines.constant_velocity(held_out))["centroid_px"] < 0.1


def test_constant_velocity_without_a_second_moment_stays(discs, flat):
    element = discs.sample((30.5, 30.5), (4, 0), (0, 0), 0, 0, flat, mode=DIS, spare=(-6, 6))
    held_out = discs.held_out_of(element)
    np.testing.assert_allclose(baselines.constant_velocity(held_out), held_out.target / 255.0, atol=1e-6)


def flight(discs, scene, gravity=0.0, k=6, n=12, mode=FUTURE, dt=0.05):
    """A ball in space before a stereo pair, the target's camera aside: 0.5 m to the left, 8 degrees to the right."""
    para = np.zeros((5, 6))
    para[:, 3] = 2.0
    para[:, 0] = dt * np.array([0, 0, k, k, n])
    para[[1, 3], 2] = -0.5
    para[4, 1:] = 0.2, 0.5, 2.1, -8.0, 2.0

    def see(step, camera):
        t = step * dt
        place = np.array([4.5, 0.9, 1.7]) + np.array([-0.4, -2.0, 1.5]) * t - np.array([0, 0, 0.5 * gravity * t**2])
        return discs.see_sphere(place, 0.3, para[camera], scene)

    steps = (0, 0, k, k, n)
    return {
        "pictures": np.stack([see(step, camera) for camera, step in enumerate(steps)]),
        "para": para.astype(np.float32),
        "k": np.int32(k),
        "n": np.int32(n),
        "mode": np.int32(mode),
        "reference": np.stack([see(step, 4) for step in (-14, 34)]),
        "left_reference": np.stack([see(step, 0) for step in (-14, 34)]),
    }


def test_constant_velocity_in_space_allows_for_the_cameras(discs, striped):
    held_out = discs.held_out_of(flight(discs, striped), flight(discs, striped, k=6, n=0, mode=VIEW))
    assert np.array_equal(held_out.background[0], striped)
    in_space = prediction.score_pictures(held_out, baselines.constant_velocity_3d(held_out))
    in_picture = prediction.score_pictures(held_out, baselines.constant_velocity(held_out))
    assert np.all(in_space["centroid_px"][:, 0] < 0.6)
    assert np.all(in_picture["centroid_px"][:, 0] > 2.5)
    assert np.all(in_space["ball_mse"] < 0.2 * in_picture["ball_mse"])


def test_constant_velocity_in_space_lacks_gravity_alone(discs, flat):
    held_out = discs.held_out_of(flight(discs, flat, gravity=3.0))
    px = prediction.score_pictures(held_out, baselines.constant_velocity_3d(held_out))["centroid_px"][0, 0]
    # g t (t - t_k) / 2 = 3 * 0.6 * 0.3 / 2 = 0.27 m, at 4.1 m and a focal length of 55 px.
    assert px == pytest.approx(0.27 / 4.1 * 55.4, abs=0.6)


def test_a_region_is_found_again_to_a_part_of_a_pixel(discs, flat):
    first = discs.draw([np.array([20.3, 30.0])], flat)
    second = discs.draw([np.array([31.0, 27.6])], flat)
    regions = moving_regions(first, flat.astype(np.uint8))
    mask = baselines.region_mask(first, regions == 1, flat.astype(np.uint8))
    np.testing.assert_allclose(baselines.find_again(first, mask, second), [10.7, -2.4], atol=0.1)


def test_the_other_rows_do_nothing(straight, flat):
    assert np.array_equal(baselines.background_only(straight)[0] * 255, flat)
    assert row_of(straight, baselines.background_only(straight))["missed"] == 1.0
    repeat = baselines.repeat_pic1(straight)
    assert np.array_equal(np.round(repeat * 255), straight.pictures[:, 0])
    # 8 steps of (4, -2) px: 35.8 px, out of the window of 16 px, where only the ball's absence shows.
    assert row_of(straight, repeat)["missed"] == 1.0


def test_rows_per_mode_and_n(discs, flat):
    elements = [discs.sample((14.5, 40.5), (4, -1), (0, 0), 2, n, flat, spare=(-9, 20)) for n in (3, 4, 4, 8)]
    elements += [
        discs.sample((14.5, 40.5), (4, -1), (0, 0), 2, 0, flat, mode=mode, spare=(-9, 20)) for mode in (VIEW, DIS, DIS)
    ]
    held_out = discs.held_out_of(*elements)
    levels = np.array([0.1, 0.2, 0.3, 0.4, 0.0, 0.0, 0.5])
    blurred = held_out.target / 255.0 + levels[:, None, None, None]
    records = {"model": prediction.score_pictures(held_out, blurred)}
    rows = prediction.tidy_rows(held_out, records)
    keys = [(r["mode"], r["n"], r["samples"]) for r in rows]
    assert keys == [
        ("FUTURE", "all", 4),
        ("FUTURE", "3", 1),
        ("FUTURE", "4", 2),
        ("FUTURE", "8", 1),
        ("VIEW", "all", 1),
        ("DIS", "all", 2),
    ]
    np.testing.assert_allclose([r["l1"] for r in rows], [0.25, 0.1, 0.25, 0.4, 0.0, 0.25], atol=1e-6)
    np.testing.assert_allclose(rows[2]["mse"], (0.04 + 0.09) / 2, rtol=1e-5)
    binned = prediction.tidy_rows(held_out, records, prediction.few_bins(held_out.n[held_out.mode == FUTURE], 2))
    assert [(r["n"], r["samples"]) for r in binned[:3]] == [("all", 4), ("3-4", 3), ("8", 1)]


def test_evaluator_yields_the_model_beside_the_rows(discs, flat, striped):
    elements = [discs.sample((14.5, 40.5), (4, -1), (0, 0.2), 2, n, flat, spare=(-9, 20)) for n in (3, 5, 7)]
    held_out = discs.held_out_of(
        *elements, discs.sample((14.5, 40.5), (4, -1), (0, 0), 2, 0, striped, mode=DIS, spare=(-9, 20))
    )
    sizes = []

    def predict(state, batch):
        sizes.append(len(batch["pictures"]))
        return batch["pictures"][:, TARGET] / 255.0 * state

    evaluator = prediction.PredictionEvaluator(held_out, predict, batch=3, num_pictures=2)
    values = dict(evaluator(np.float32(0.9)))
    assert sizes == [3, 3], "one shape, so one compilation"
    shade = held_out.target / 255.0
    loss = 0.7 * np.mean((0.1 * shade) ** 2) + 0.3 * np.mean(0.1 * shade)
    assert values["loss"].value == pytest.approx(loss, rel=1e-4)
    methods = {"O2T", *baselines.BASELINES}
    assert set(values["loss"].baselines) == set(baselines.BASELINES)
    assert {r["method"] for r in values["table"].rows} == methods
    own = [r for r in values["per_n"].rows if r["mode"] == "FUTURE" and r["method"] == "O2T"]
    assert [r["n"] for r in own] == ["all", "3", "5", "7"]
    logged = {key: x for name, value in values.items() for key, x in results.scalars(name, value).items()}
    for method in methods:
        assert np.isfinite(logged[f"FUTURE/psnr/{method}"])
    assert logged["FUTURE/psnr/O2T"] > logged["FUTURE/psnr/background only"]
    assert values["FUTURE/psnr"].unit == "dB" and values["FUTURE/psnr"].better == "higher"
    assert all(np.isfinite(x) for x in logged.values()), "an infinite PSNR or a missing ball is not logged"
    curve = values["psnr_over_n"]
    assert curve.x.tolist() == [3, 5, 7] and set(curve.baselines) == set(baselines.BASELINES)
    np.testing.assert_array_equal(curve.y, [r["psnr"] for r in own[1:]])
    assert isinstance(values["pictures"], results.Picture)


def test_a_film_shows_target_and_prediction_step_by_step(discs, flat):
    steps = [discs.sample((14.5, 40.5), (4, -1), (0, 0), 2, n, flat, spare=(-9, 20)) for n in range(5)]
    sequence = {key: np.stack([step[key] for step in steps]) for key in ("pictures", "n")}
    evaluator = prediction.PredictionEvaluator(
        discs.held_out_of(*steps), lambda state, batch: batch["pictures"][:, TARGET] / 255.0, batch=3, sequence=sequence
    )
    film = dict(evaluator(None))["future"]
    assert film.fps == prediction.FILM_FPS and len(film.frames) == 5
    left, top, side = pictures.MARGIN, 2 * pictures.STRIP, 128
    for frame, target in zip(film.frames, sequence["pictures"][:, TARGET], strict=True):
        for column in range(2):
            start = left + column * (side + pictures.MARGIN)
            assert np.array_equal(frame[top : top + side : 2, start : start + side : 2], np.round(target))
    assert not np.array_equal(film.frames[0], film.frames[4])


def test_pictures_shown_are_spread_over_modes_and_n(flat):
    plan = [(FUTURE, n) for n in (9, 3, 5, 7, 4)] + [(VIEW, 0), (VIEW, 0), (DIS, 0)]
    fake = HeldOut(*[None] * 8)._replace(mode=np.array([m for m, _ in plan]), n=np.array([n for _, n in plan]))
    chosen = prediction.pick_samples(fake, 5)
    assert [plan[i] for i in chosen] == [(FUTURE, 3), (FUTURE, 9), (VIEW, 0), (VIEW, 0), (DIS, 0)] or [
        plan[i] for i in chosen
    ] == [(FUTURE, 5), (FUTURE, 9), (VIEW, 0), (VIEW, 0), (DIS, 0)]
    assert len(set(prediction.pick_samples(fake, 100))) == 8


def test_what_cannot_be_measured_is_refused(straight):
    with pytest.raises(ValueError, match="shape"):
        prediction.score_pictures(straight, np.zeros((1, 8, 8, 3)))
    with pytest.raises(UsageError, match="diverged"):
        prediction.score_pictures(straight, np.full(straight.target.shape, np.nan))


def test_a_held_out_set_needs_its_spare_pictures(discs, flat):
    element = {k: np.asarray(v)[None] for k, v in discs.sample((30, 30), (1, 0), (0, 0), 1, 2, flat).items()}
    for change, reason in (
        ({"reference": None}, "lack reference"),
        ({"reference": element["reference"][:, :1]}, "at least 2"),
        ({"left_reference": element["left_reference"][:, :, :32]}, "does not match"),
        ({"reference": element["reference"] / 255.0}, "does not match"),
    ):
        broken = {k: v for k, v in (element | change).items() if v is not None}
        with pytest.raises(ValueError, match=reason):
            collect(broken)
