"""Background and regions: from pictures alone, and from true balls."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.evaluation.o2t import heldout
from o2t_jax.geometry.camera import intrinsics_for, world_to_camera


def test_background_is_what_most_moments_show(discs, striped):
    held_out = discs.held_out_of(discs.sample((14, 50), (4, -2), (0, 0), 4, 8, striped, spare=(-9, 20)))
    assert np.array_equal(held_out.background[0], striped)
    assert np.array_equal(held_out.left_background[0], striped)


def test_median_of_an_even_number_is_one_of_them():
    pictures = [np.full((2, 2, 3), value, np.uint8) for value in (200, 10, 200, 30)]
    assert np.all(heldout.median_picture(pictures) == 30)


def test_the_region_is_the_ball_and_not_the_place_it_left(discs, flat):
    held_out = discs.held_out_of(discs.sample((14, 32), (4, 0), (0, 0), 4, 8, flat, spare=(-9, 20)))
    rows, columns = np.nonzero(held_out.regions[0])
    assert np.mean(columns + 0.5) == pytest.approx(46.0, abs=0.05) and np.mean(rows + 0.5) == pytest.approx(
        32.0, abs=0.05
    )
    assert columns.min() >= 39


def test_specks_are_no_things_and_larger_things_come_first(discs, flat):
    picture = discs.draw([np.array([15.0, 15.0])], flat, radius=4.0)
    picture = discs.draw([np.array([45.0, 45.0])], picture, radius=8.0, colours=(discs.BALL + 60,))
    picture[5, 50:53] = 0
    regions = heldout.moving_regions(picture, flat.astype(np.uint8))
    assert regions.max() == 2
    assert regions[45, 45] == 1 and regions[15, 15] == 2 and regions[5, 51] == 0


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.6, 0.3), (-0.9, -0.5)])
def test_outline_of_a_sphere(offset):
    """Its centre is f (X, Y) Z / (Z^2 - r^2), its area pi f^2 r^2 Z / (Z^2 - r^2)^1.5 at sight of the axis."""
    size, radius, depth = 256, 0.4, 3.0
    para = np.array([0.0, 1.0, -2.0, 1.5, 30.0, 10.0])
    right, down, forward = world_to_camera(30.0, 10.0)
    position = para[1:4] + depth * forward + offset[0] * right + offset[1] * down
    regions = heldout.silhouettes(position[None], np.array([radius]), np.array([True]), para, (size, size))
    rows, columns = np.nonzero(regions == 1)
    focal = intrinsics_for(size, size).focal
    expected = focal * np.array(offset) * depth / (depth**2 - radius**2) + size / 2
    np.testing.assert_allclose([np.mean(columns + 0.5), np.mean(rows + 0.5)], expected, atol=0.08)
    if offset == (0.0, 0.0):
        assert len(rows) == pytest.approx(np.pi * focal**2 * radius**2 / (depth**2 - radius**2), rel=0.01)


def test_the_nearer_ball_hides_the_other_and_absent_ones_leave_no_outline():
    para = np.zeros(6)
    position = np.array([[6.0, 0.0, 0.0], [3.0, 0.35, 0.0], [3.0, -1.0, 0.0], [-3.0, 0.0, 0.0], [300.0, 0.5, 0.5]])
    visible = np.array([True, True, False, True, True])
    regions = heldout.silhouettes(position, np.full(5, 0.4), visible, para, (64, 64))
    assert set(np.unique(regions)) == {0, 1, 2}
    # Both outlines hold the ray 2 degrees to the left of the axis (the nearer ball's ends 1 degree to its right).
    column = int(32 - intrinsics_for(64, 64).focal * np.tan(np.radians(2.0)))
    assert regions[32, column] == 2


def test_true_balls_name_the_regions(discs, flat):
    element = {k: np.asarray(v)[None] for k, v in discs.sample((32, 32), (4, 0), (0, 0), 2, 4, flat).items()}
    focal = intrinsics_for(64, 64).focal
    # Where the target shows the ball at u = 48: one pixel column is 1 / focal to the right, which is -y.
    position = np.array([[[[4.0, -4.0 * 16 / focal, 0.0]]]]).repeat(5, axis=1)
    truth = type("Truth", (), {})()
    truth.position, truth.visible, truth.radius = position, np.ones((1, 5, 1), bool), np.array([[0.4]])
    held_out = heldout.collect(element, heldout.Balls.at_target(truth))
    rows, columns = np.nonzero(held_out.regions[0])
    assert np.mean(columns + 0.5) == pytest.approx(48.0, abs=0.3) and np.mean(rows + 0.5) == pytest.approx(
        32.0, abs=0.1
    )
    assert held_out.batch(np.array([0, 0]))["pictures"].shape[0] == 2
