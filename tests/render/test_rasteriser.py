"""Occlusion: whole rooms against ray-cast pictures."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.geometry.camera import intrinsics_for, look_at, project, world_to_camera
from o2t_jax.physics.room.exact import Setup
from o2t_jax.physics.room.ramp import Ramp, ball_on_ramp, ramp_corners
from o2t_jax.render.opencv.rasteriser import StaticScene, draw_pictures, draw_scene
from o2t_jax.render.opencv.solids import BAR_COLOUR, RampSolid, ScaleBar
from o2t_jax.render.pose import clip_near, view_for
from o2t_jax.render.scenes import get_scene
from tests.render.reference import BALL_ID, RAMP_ID, trace

RAMP = Ramp(slope=25.0, height=1.8, width=2.5, foot=(8.0, 1.0), uphill=70.0)
BALLS = {
    "on it": [tuple(ball_on_ramp(RAMP, 0.5, 0.7))],
    "behind it": [(10.0, 6.5, 0.6)],
    "beside it": [(6.5, 3.5, 0.5)],
    "half inside its back": [(9.4, 4.95, 0.7)],
    "half inside its side": [(9.9, 2.2, 0.5)],
    "two, one before the other": [(7.0, -1.0, 1.0), (6.2, -2.2, 0.9)],
}


def room_with(places, radius=0.5, ramp=RAMP):
    count = len(places)
    zero = np.zeros((count, 3))
    colours = np.array([[0.3, 0.5, 0.75], [0.75, 0.4, 0.3]])[:count]
    falls = right = np.ones(count, int)
    return Setup(np.full(count, radius), colours, np.array(places, float), zero, falls, right, ramp, vanishes=False)


@pytest.mark.parametrize("name", BALLS)
def test_ramp_and_balls_hide_each_other_as_rays_do(name):
    """From twelve sides and two heights; a wrong order would differ over a ball's whole area."""
    setup, camera = room_with(BALLS[name]), intrinsics_for(72, 96)
    hidden = 0
    for bearing in range(0, 360, 30):
        for height in (0.8, 4.0):
            middle = np.array([8.6, 2.6, 0.7])
            turn = np.radians(bearing)
            eye = middle + np.array([8.0 * np.cos(turn), 8.0 * np.sin(turn), height - 0.7])
            pose = (eye, *map(float, look_at(eye, middle)))
            visible = np.ones(len(setup.radius), bool)
            picture = draw_scene(setup, setup.position, visible, pose, camera)
            expected, what = trace(setup, setup.position, visible, pose, camera, fine=3)
            alone, _ = trace(setup._replace(ramp=None), setup.position, visible, pose, camera, fine=1)
            wrong = np.abs(picture - expected).max(axis=-1) > 60.0
            assert wrong.mean() < 0.002, (name, bearing, height, int(wrong.sum()))
            hidden += int((what == RAMP_ID).any() and np.abs(alone - expected).max() > 60)
    assert hidden > 6


def test_a_ball_behind_the_ramp_is_hidden_wholly():
    setup, camera = room_with([(8.9, 6.0, 0.45)], 0.4, Ramp(30.0, 2.0, 3.0, (8.0, 0.0), 90.0)), intrinsics_for(128, 128)
    pose = (np.array([8.0, -6.0, 1.2]), 85.0, 0.0)
    with_ball = draw_scene(setup, setup.position, np.array([True]), pose, camera)
    without = draw_scene(setup, setup.position, np.array([False]), pose, camera)
    np.testing.assert_array_equal(with_ball, without)
    seen = draw_scene(setup._replace(ramp=None), setup.position, np.array([True]), pose, camera)
    assert (np.abs(seen.astype(int) - without) > 60).any()


def test_random_rooms_agree_with_cast_rays():
    scene, camera, rng = get_scene("room"), intrinsics_for(64, 64), np.random.default_rng(1)
    balls = 0
    for seed in range(12):
        setup = scene.sample(np.random.default_rng(seed))._replace(vanishes=False)  # no bars: the reference has none
        pose = scene.view_prior(rng, None)
        visible = np.ones(2, bool)
        picture = draw_scene(setup, setup.position, visible, pose, camera)
        expected, what = trace(setup, setup.position, visible, pose, camera, fine=4)
        difference = np.abs(picture - expected).max(axis=-1)
        assert difference.mean() < 1.0 and (difference > 60.0).mean() < 0.002, (seed, difference.mean())
        balls += int((what >= BALL_ID).any())
    assert balls > 5


def test_scale_bars_lie_along_y_as_long_as_the_balls_diameter():
    camera, eye = intrinsics_for(512, 512), np.array([0.0, -4.0, 2.0])
    radius = 0.45
    setup = room_with([(10.0, 0.0, 5.0), (-10.0, 0.0, 5.0)], radius, None)._replace(
        side=np.array([1, -1]), vanishes=True
    )
    for x in (3.0, -3.0):
        pose = (eye, *map(float, look_at(eye, np.array([x, 0.0, 0.1]))))
        picture = draw_scene(setup, setup.position, np.ones(2, bool), pose, camera).astype(int)
        rows, columns = np.nonzero(np.abs(picture - BAR_COLOUR).max(axis=-1) < 25)
        ends, _ = project(np.array([[x, -radius, 0.1], [x, radius, 0.1]]), eye, world_to_camera(*pose[1:]), camera)
        low, high = ends.min(axis=0), ends.max(axis=0)
        assert columns.min() == pytest.approx(low[0], abs=4.0) and columns.max() == pytest.approx(high[0], abs=4.0)
        assert rows.min() == pytest.approx(low[1], abs=4.0) and rows.max() == pytest.approx(high[1], abs=4.0)
    plain = draw_scene(setup._replace(vanishes=False), setup.position, np.ones(2, bool), pose, camera).astype(int)
    assert not (np.abs(plain - BAR_COLOUR).max(axis=-1) < 25).any()


def test_a_ball_hides_the_bar_behind_it_and_not_the_other_way_round():
    bar = ScaleBar(3.0, 0.5)
    from o2t_jax.render.opencv.ball import Sphere
    from o2t_jax.render.opencv.draw import Box

    for eye_x, hides in ((0.0, False), (9.0, True)):  # ball at x = 2, bar at x = 3
        view = view_for(np.array([eye_x, 0.0, 0.5]), 0.0, 0.0, intrinsics_for(64, 64))
        assert bar.hides(Sphere(view, (2.0, 0.1, 0.4), 0.4), Box(0, 0, 1, 1)) is hides


def test_the_wedges_closest_point_is_the_best_of_many():
    wedge, corners = RampSolid(RAMP), ramp_corners(RAMP)
    rng = np.random.default_rng(2)
    weights = rng.dirichlet(np.full(6, 0.4), 40_000)  # many near corners and edges
    inside = weights @ corners
    for point in rng.uniform([5.0, -2.0, -0.5], [13.0, 8.0, 4.0], (60, 3)):
        best = np.linalg.norm(inside - point, axis=1).min()
        found = np.array(wedge.closest(tuple(point)))
        assert np.linalg.norm(found - point) <= best + 1e-9  # nothing sampled is nearer ...
        assert np.linalg.norm(found - point) > best - 0.15  # ... and it is a point of the wedge
        for _, normal, offset, _ in wedge.faces:
            assert np.dot(normal, found) <= offset + 1e-9
        assert found[2] >= -1e-9


def test_a_ball_whose_place_is_unknown_hides_nothing_and_changes_nothing():
    """A ball with NaN or infinite numbers must not change the order of the others."""
    camera, rng = intrinsics_for(64, 64), np.random.default_rng(7)
    near, far = (5.0, 0.1, 1.0), (7.0, 0.0, 1.1)
    both = room_with([far, near], radius=0.6, ramp=None)
    pose = (np.array([0.0, 0.0, 1.0]), 0.0, 0.0)
    expected = draw_scene(both, both.position, np.ones(2, bool), pose, camera)
    for lost in ((np.nan, 0.0, 1.0), (np.inf, 0.0, 1.0), (1e200, 0.0, 1.0)):
        for _ in range(4):
            order = rng.permutation(3)
            position = np.array([far, near, lost])[order]
            setup = both._replace(
                radius=np.full(3, 0.6), colour=np.vstack([both.colour, both.colour[:1]])[order], side=np.ones(3, int)
            )
            np.testing.assert_array_equal(draw_scene(setup, position, np.ones(3, bool), pose, camera), expected)


def test_many_pictures_are_what_each_is_alone():
    """More balls than are computed together."""
    setup, camera = room_with([(6.0, 0.0, 1.0)], ramp=None), intrinsics_for(16, 16)
    views = [view_for(np.array([0.0, 0.0, 1.0]), azimuth, 0.0, camera) for azimuth in (-5.0, 5.0)]
    position = np.random.default_rng(3).uniform((4.0, -2.0, 0.5), (8.0, 2.0, 2.0), (150, 1, 3))
    of_view, visible = [t % 2 for t in range(150)], np.arange(150)[:, None] % 5 > 0
    stage = StaticScene.of(setup)
    pictures = draw_pictures(stage, views, of_view, position, visible)
    for t in range(150):
        alone = draw_pictures(stage, views[t % 2 : t % 2 + 1], [0], position[t : t + 1], visible[t : t + 1])
        np.testing.assert_array_equal(pictures[t], alone[0])


def test_views_agree_with_the_geometry_package():
    rng = np.random.default_rng(4)
    camera = intrinsics_for(100, 140)
    for _ in range(20):
        eye, azimuth, elevation = rng.normal(0, 5, 3), rng.uniform(-200, 200), rng.uniform(-90, 90)
        view = view_for(eye, azimuth, elevation, camera)
        np.testing.assert_allclose(
            [view.right, view.down, view.forward], world_to_camera(azimuth, elevation), atol=1e-12
        )
        corners = [tuple(p) for p in rng.normal(0, 5, (4, 3))]
        if all(view.local(*c)[2] > 0.2 for c in corners):
            expected, _ = project(np.array(corners), eye, world_to_camera(azimuth, elevation), camera)
            np.testing.assert_allclose(view.polygon(corners), expected, rtol=1e-9)


def test_what_is_behind_the_camera_is_cut_off():
    square = [(0.0, 0.0, -1.0), (1.0, 0.0, -1.0), (1.0, 0.0, 1.0), (0.0, 0.0, 1.0)]
    cut = np.array(clip_near(square, near=0.5))
    assert sorted(cut[:, 2].tolist()) == [0.5, 0.5, 1.0, 1.0] and len(cut) == 4
    assert clip_near([(0.0, 0.0, -1.0), (1.0, 0.0, 0.1), (0.0, 1.0, -3.0)], near=0.5) == []
