"""Where and when the five pictures are taken."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from o2t_jax.data.o2t.curriculum import ModeMix
from o2t_jax.data.o2t.shots import sample_shot
from o2t_jax.errors import UsageError
from o2t_jax.geometry.camera import intrinsics_for, look_at, project, relative_para, world_to_camera, wrap_degrees
from o2t_jax.geometry.para import DIS, FUTURE, LEFT_1, LEFT_2, RIGHT_1, RIGHT_2, TARGET, VIEW
from o2t_jax.systems import o2t_config
from o2t_jax.systems.o2t_parts import make_views

MIXED = ModeMix((0.2, 0.3, 0.5), 1, 12)
GUIDE_RANGES = {VIEW: (15.0, 5.0, 1.0), FUTURE: (10.0, 3.0, 0.5)}


def shots(world, views, mode, count=300, seed=0):
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(count):
        k, n = MIXED.draw_steps(rng, mode, views.k_min, views.k_max, views.n_max)
        drawn.append(sample_shot(rng, world, views, mode, k, n))
    return drawn


@pytest.mark.parametrize("mode", [DIS, VIEW, FUTURE])
def test_times_and_the_stereo_pair(fake_world, views, mode):
    for shot in shots(fake_world(), views, mode, 60):
        t1, t2 = shot.times[LEFT_1], shot.times[LEFT_2]
        assert 0 <= t1 <= views.t1_max
        assert views.k_min <= shot.k <= views.k_max
        assert t2 == pytest.approx(t1 + shot.k * views.dt) and shot.times[RIGHT_1] == t1 and shot.times[RIGHT_2] == t2
        assert shot.times[TARGET] == pytest.approx(t1 + shot.n * views.dt)
        assert shot.k < shot.n <= views.n_max if mode == FUTURE else shot.n == 0
        gap = shot.positions[RIGHT_1] - shot.positions[LEFT_1]
        assert np.linalg.norm(gap) == pytest.approx(views.stereo_gap)
        axes = world_to_camera(*shot.angles[LEFT_1])
        assert axes[2] @ gap == pytest.approx(0.0, abs=1e-12)
        np.testing.assert_array_equal(shot.positions[:2], shot.positions[2:4])
        np.testing.assert_array_equal(shot.angles[:2], shot.angles[2:4])


def test_a_converging_pair_meets_at_its_distance(fake_world, views):
    shot = shots(fake_world(), dataclasses.replace(views, convergence=4.0), DIS, 1)[0]
    focus = shot.positions[LEFT_1] + 4.0 * world_to_camera(*shot.angles[LEFT_1])[2]
    np.testing.assert_allclose(look_at(shot.positions[RIGHT_1], focus), shot.angles[RIGHT_1], atol=1e-9)


def test_dis_looks_from_view_1(fake_world, views):
    for shot in shots(fake_world(), views, DIS, 20):
        np.testing.assert_array_equal(shot.positions[TARGET], shot.positions[LEFT_1])
        np.testing.assert_array_equal(shot.angles[TARGET], shot.angles[LEFT_1])


@pytest.mark.parametrize("mode", [VIEW, FUTURE])
def test_default_shifts_fill_the_guides_ranges_about_camera_1(fake_world, views, mode):
    azimuth, elevation, shift = GUIDE_RANGES[mode]
    drawn = shots(fake_world(), dataclasses.replace(views, focus=None), mode)
    relative = np.array([relative_para(shot.para())[TARGET] for shot in drawn])
    raised = np.array([shot.angles[TARGET, 1] - shot.angles[LEFT_1, 1] for shot in drawn])
    shifts = [(relative[:, 4], azimuth), (raised, elevation), (relative[:, 1], shift), (relative[:, 2], shift)]
    for values, limit in shifts:
        assert np.all(np.abs(values) <= limit + 1e-9)
        assert values.min() < -0.9 * limit and values.max() > 0.9 * limit
    np.testing.assert_allclose([s.positions[TARGET, 2] - s.positions[LEFT_1, 2] for s in drawn], 0.0)


def test_zero_ranges_leave_the_target_at_camera_1(fake_world, views):
    still = dataclasses.replace(views, future_azimuth=0.0, future_elevation=0.0, future_shift=0.0, focus=None)
    shot = shots(fake_world(), still, FUTURE, 1)[0]
    np.testing.assert_allclose(shot.para()[TARGET, 1:], shot.para()[LEFT_1, 1:])


def test_focus_keeps_its_point_in_the_middle_of_the_target_picture(fake_world, views):
    config = dataclasses.replace(views, focus=4.0, view_azimuth=0.0, view_elevation=0.0, view_shift=2.0)
    camera = intrinsics_for(64, 64)
    for shot in shots(fake_world(), config, VIEW, 20):
        focus = shot.positions[LEFT_1] + 4.0 * world_to_camera(*shot.angles[LEFT_1])[2]
        pixel, _ = project(focus, shot.positions[TARGET], world_to_camera(*shot.angles[TARGET]), camera)
        np.testing.assert_allclose(pixel, [32.0, 32.0], atol=1e-6)
        assert np.linalg.norm(shot.positions[TARGET] - shot.positions[LEFT_1]) > 0.01


@pytest.mark.parametrize("mode", [DIS, VIEW, FUTURE])
def test_turning_and_moving_the_scene_leaves_relative_para_alone(fake_world, views, mode):
    here = shots(fake_world(), views, mode, 20)
    there = shots(fake_world(turn=137.0, move=(25.0, -60.0)), views, mode, 20)
    for a, b in zip(here, there, strict=True):
        difference = relative_para(a.para()) - relative_para(b.para())
        difference[:, 4] = wrap_degrees(difference[:, 4])
        np.testing.assert_allclose(difference, 0.0, atol=1e-9)


def test_config_fields_are_picked_by_name_and_0_stands_for_none():
    config = o2t_config.default()
    config.update({"dt": 0.04, "distance_min": 3.0, "distance_max": 4.0})
    views = make_views(config)
    assert (views.dt, views.n_max, views.distance_max, views.focus) == (0.04, config.n_max, 4.0, None)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"dt": -0.02}, "dt=-0.02"),
        ({"dt": float("nan")}, "dt=nan"),
        ({"stereo_gap": 0.0}, "stereo_gap=0"),
        ({"t1_max": -1.0}, "t1_max=-1"),
        ({"k_min": 0}, "k_min=0"),
        ({"k_min": 5, "k_max": 4}, "k_max=4"),
        ({"n_max": 5}, "n_max=5"),
        ({"convergence": 0.0}, "convergence=0"),
        ({"view_azimuth": -3.0}, "view_azimuth=-3"),
        ({"future_shift": float("inf")}, "future_shift=inf"),
        ({"distance_min": 3.0}, "distance_max=None"),
        ({"distance_min": 3.0, "distance_max": 2.0}, "distance_max=2"),
    ],
)
def test_bad_values_are_refused_with_their_name(views, change, names):
    with pytest.raises(UsageError) as error:
        dataclasses.replace(views, **change)
    assert names in str(error.value) and "\n" not in str(error.value)


def test_a_prediction_beyond_the_scenes_end_is_refused_and_the_cure_works(fake_world, views):
    long = dataclasses.replace(views, n_max=40)
    with pytest.raises(UsageError, match="lower n_max to 18"):
        long.check_against(fake_world())
    dataclasses.replace(views, n_max=18).check_against(fake_world())
    with pytest.raises(UsageError, match="lower dt or t1_max"):
        dataclasses.replace(views, dt=0.5).check_against(fake_world())
