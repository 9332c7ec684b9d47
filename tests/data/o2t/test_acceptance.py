"""The pictures alone decide what is kept."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from o2t_jax.data.o2t.acceptance import CUT, LATER_S, STILL, moving_mask, rejection, render_plan
from o2t_jax.data.o2t.curriculum import ModeMix
from o2t_jax.data.o2t.shots import sample_shot
from o2t_jax.errors import UsageError
from o2t_jax.geometry.para import DIS, FUTURE, NUM_PICTURES, TARGET, VIEW
from tests.defaults import acceptance_rule

RULE = acceptance_rule()


def picture(*discs, size=32):
    """A textured background with discs (u, v, radius)."""
    image = np.random.default_rng(0).integers(150, 250, (size, size, 3)).astype(np.uint8)
    for u, v, radius in discs:
        cv2.circle(image, (u, v), radius, (30, 60, 90), -1)
    return image


def make_plan(fake_world, views, mode, seed=0):
    rng = np.random.default_rng(seed)
    k, n = ModeMix((0.0, 0.0, 1.0), 1, 12).draw_steps(rng, mode, views.k_min, views.k_max, views.n_max)
    shot = sample_shot(rng, fake_world(), views, mode, k, n)
    return shot, render_plan(shot)


def passing_pictures(plan):
    """One picture per entry of the plan, with the ball elsewhere at each moment."""
    moments = np.searchsorted(np.unique(plan.times), plan.times)
    return np.stack([picture((8 + 8 * m, 10 + 5 * m, 3)) for m in moments])


def test_the_mask_is_the_ball_and_not_the_place_it_left():
    now, before, after = picture((16, 16, 4)), picture((6, 6, 4)), picture((25, 25, 4))
    expected = np.any(now != picture(), axis=-1)
    np.testing.assert_array_equal(moving_mask(now, before, after, 12) > 0, expected)
    assert not moving_mask(now, now, after, 12).any()


def test_the_threshold_is_a_strict_limit_per_channel():
    base = np.full((8, 8, 3), 100, np.uint8)
    brighter = base.copy()
    brighter[2, 3, 1] += 12
    assert moving_mask(brighter, base, base, 12).sum() == 0
    assert moving_mask(brighter, base, base, 11).sum() == 255


@pytest.mark.parametrize(("mode", "pictures"), [(DIS, 6), (VIEW, 9), (FUTURE, 9)])
def test_a_plan_renders_every_camera_at_three_moments_once(fake_world, views, mode, pictures):
    for seed in range(10):
        shot, plan = make_plan(fake_world, views, mode, seed)
        assert len(plan.times) == pictures
        poses = np.concatenate([plan.times[:, None], plan.positions, plan.angles], axis=1)
        assert len(np.unique(poses, axis=0)) == pictures
        np.testing.assert_array_equal(poses[list(plan.sample)], shot.para())
        for i in range(NUM_PICTURES):
            trio = [plan.sample[i], *plan.others[i]]
            np.testing.assert_array_equal(poses[trio, 1:], np.repeat(shot.para()[i : i + 1, 1:], 3, axis=0))
            later, latest = (shot.times.max() + delay for delay in LATER_S)
            assert latest > later > shot.times.max() + 1.0
            alone = i == TARGET and mode != DIS
            expected = {shot.times[TARGET], later, latest} if alone else {shot.times[0], shot.times[2], later}
            assert set(plan.times[trio]) == expected


@pytest.mark.parametrize("mode", [DIS, VIEW, FUTURE])
def test_every_one_of_the_five_pictures_must_show_the_ball_whole(fake_world, views, mode):
    _, plan = make_plan(fake_world, views, mode)
    good = passing_pictures(plan)
    assert rejection(good, plan, RULE) == ""
    for i in range(NUM_PICTURES):
        empty, cut = good.copy(), good.copy()
        empty[plan.sample[i]] = picture()
        cut[plan.sample[i]] = picture((31, 2, 4))
        assert rejection(empty, plan, RULE) == STILL
        assert rejection(cut, plan, RULE) == CUT
        assert rejection(cut, plan, acceptance_rule(require_whole=False)) == ""


def test_a_ball_that_returns_to_its_place_is_still(fake_world, views):
    _, plan = make_plan(fake_world, views, FUTURE)
    pictures = passing_pictures(plan)
    pictures[plan.sample[TARGET]] = pictures[plan.others[TARGET][0]]
    assert rejection(pictures, plan, RULE) == STILL


def test_the_smallest_mask_scales_with_the_picture():
    assert [RULE.smallest(size, size) for size in (32, 64, 512)] == [4, 4, 262]
    assert acceptance_rule(min_pixels=9).smallest(512, 512) == 9


@pytest.mark.parametrize("change", [{"motion_threshold": 0}, {"motion_threshold": 255}, {"min_pixels": 0}])
def test_bad_rules_are_refused(change):
    with pytest.raises(UsageError, match=next(iter(change))):
        acceptance_rule(**change)


def test_a_mask_larger_than_the_picture_is_refused():
    with pytest.raises(UsageError, match="min_pixels=2000"):
        acceptance_rule(min_pixels=2000).check_size(32, 32)
