"""Balls and shadows against geometry and against a renderer that only casts rays."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.geometry.camera import intrinsics_for, look_at, project, world_to_camera
from o2t_jax.physics.room.exact import Setup
from o2t_jax.render.opencv.ball import SHADOW_COLOUR, SHADOW_OPACITY, ball_patches, palettes_of
from o2t_jax.render.opencv.rasteriser import StaticScene, draw_pictures, draw_scene
from o2t_jax.render.pose import view_for
from tests.render.reference import BALL_ID, trace

EYE = np.array([0.0, 0.0, 2.0])
# At 64 px the room's smallest balls are dots below one pixel, whose pixel sums say little about their position.
SMALLEST_PX = 1.5


def outline_centroid(centre, radius, rotation, eye, camera):
    """Centroid [2] px of the region inside the outline: a polygon of 4,000 rays that touch the sphere."""
    local = rotation @ (centre - eye)
    distance = np.linalg.norm(local)
    axis, spread = local / distance, np.arcsin(radius / distance)
    one = np.cross(axis, [0.3, 0.5, -0.8])
    one /= np.linalg.norm(one)
    turn = np.linspace(0.0, 2.0 * np.pi, 4000, endpoint=False)[:, None]
    touching = np.cos(spread) * axis + np.sin(spread) * (np.cos(turn) * one + np.sin(turn) * np.cross(axis, one))
    u, v = camera.focal * touching[:, 0] / touching[:, 2], camera.focal * touching[:, 1] / touching[:, 2]
    cross = u * np.roll(v, -1) - np.roll(u, -1) * v
    weights = cross / (3.0 * cross.sum())
    return np.array(
        [camera.cx + (weights * (u + np.roll(u, -1))).sum(), camera.cy + (weights * (v + np.roll(v, -1))).sum()]
    )


def patches(view, centre, radius, colour=(1.0, 1.0, 1.0)):
    """(ball, shadow) of one ball."""
    ball, shadow = ball_patches(
        [view], np.array([0]), np.array([centre]), np.array([radius]), palettes_of(np.array([colour]))
    )
    return ball[0], shadow[0]


def one_ball(centre, radius, colour=(0.5, 0.6, 0.7)):
    zero = np.zeros((1, 3))
    colours, side = np.array([colour]), np.array([1])
    return Setup(np.array([radius]), colours, np.array([centre]), zero, 0 * side, side, bounces=False, vanishes=False)


def random_balls(rng, count, size, near, far):
    """(centre, radius, azimuth, elevation) of balls completely in the picture, the camera looking up at the sky."""
    camera = intrinsics_for(size, size)
    while count:
        azimuth, elevation = rng.uniform(-180.0, 180.0), rng.uniform(35.0, 60.0)
        radius, depth = rng.uniform(0.1, 0.6), rng.uniform(near, far)
        spot = np.array([*rng.uniform(-0.55, 0.55, 2), 1.0]) * depth
        centre = EYE + world_to_camera(azimuth, elevation).T @ spot
        if camera.focal * radius / depth >= SMALLEST_PX and np.abs(spot[:2]).max() + 1.3 * radius < 0.577 * depth:
            yield centre, radius, azimuth, elevation
            count -= 1


@pytest.mark.parametrize("size", [64, 512])
def test_the_drawn_centroid_lies_on_the_analytic_one(size):
    """Pictures of a black ball in front of the sky, at 200 random places: within 0.02 px, and without bias."""
    camera = intrinsics_for(size, size)
    errors = []
    for centre, radius, azimuth, elevation in random_balls(np.random.default_rng(size), 200, size, 2.5, 16.0):
        setup = one_ball(centre, radius)
        stage = StaticScene.of(setup)._replace(palettes=np.zeros((1, 256, 3), np.uint8))
        view, position = view_for(EYE, azimuth, elevation, camera), np.stack([setup.position] * 2)
        pictures = draw_pictures(stage, [view], [0, 0], position, np.array([[False], [True]]))
        before, after = pictures.astype(float).sum(axis=-1)
        share = 1.0 - after / before
        v, u = np.mgrid[:size, :size] + 0.5
        found = np.array([(share * u).sum(), (share * v).sum()]) / share.sum()
        errors.append(found - outline_centroid(centre, radius, world_to_camera(azimuth, elevation), EYE, camera))
    assert np.abs(errors).max() < 0.02
    assert np.abs(np.mean(errors, axis=0)).max() < 0.005


def test_a_small_far_ball_is_drawn_where_project_puts_its_centre():
    camera = intrinsics_for(240, 320)
    rotation = world_to_camera(33.0, 40.0)
    for centre in EYE + rng_points(40) @ rotation:
        view = view_for(EYE, 33.0, 40.0, camera)
        patch, _ = patches(view, centre, 0.3)
        v, u = np.mgrid[patch.box.top : patch.box.bottom, patch.box.left : patch.box.right] + 0.5
        found = [(patch.coverage * w).sum() / patch.coverage.sum() for w in (u, v)]
        expected, _ = project(centre, EYE, rotation, camera)
        # The outline's centroid lies (r / Z)^2 of its offset further out: under 0.07 px here.
        np.testing.assert_allclose(found, expected, atol=0.09)


def rng_points(count):
    rng = np.random.default_rng(5)
    depth = rng.uniform(20.0, 40.0, count)
    return (
        np.stack([rng.uniform(-0.6, 0.6, count), rng.uniform(-0.45, 0.45, count), np.ones(count)], axis=1)
        * depth[:, None]
    )


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (180, 120)])
def test_balls_and_shadows_agree_with_cast_rays(size):
    rng = np.random.default_rng(3)
    camera = intrinsics_for(*size)
    for _ in range(3):
        centre, radius = np.array([*rng.uniform(-2.0, 2.0, 2), rng.uniform(0.6, 3.0)]), rng.uniform(0.2, 0.6)
        eye = centre + np.array([*rng.uniform(2.0, 5.0, 2) * rng.choice([-1, 1], 2), rng.uniform(-0.3, 3.0)])
        pose = (eye, *(float(a) + rng.uniform(-8, 8) for a in look_at(eye, centre)))
        setup, visible = one_ball(centre, radius), np.array([True])
        picture = draw_scene(setup, setup.position, visible, pose, camera)
        expected, what = trace(setup, setup.position, visible, pose, camera, fine=8)
        assert (what >= BALL_ID).sum() > 500
        difference = np.abs(picture - expected).max(axis=-1)
        # 8 x 8 rays determine a border pixel to about 3% of a contrast of 200 levels; inside only rounding differs.
        assert np.quantile(difference, 0.9) < 3.0 and difference.max() < 20.0


def test_shade_is_a_function_of_the_normals_height_alone():
    """Turning ball and camera together about the vertical changes no byte beyond rounding; light comes from above."""
    camera = intrinsics_for(128, 128)
    pictures = []
    for turn in (0.0, 77.0, 190.0):
        c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        spin = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        view = view_for(spin @ [0.3, -0.2, 2.0], 20.0 + turn, 15.0, camera)
        pictures.append(patches(view, spin @ [4.0, 1.5, 3.0], 0.5, (0.4, 0.6, 0.8))[0])
    for other in pictures[1:]:
        assert other.box == pictures[0].box
        np.testing.assert_allclose(other.coverage, pictures[0].coverage, atol=1e-4)
        assert np.abs(other.paint.astype(int) - pictures[0].paint).max() <= 1
    paint = pictures[0].paint.astype(int).sum(axis=-1)
    middle = paint[:, paint.shape[1] // 2]
    assert (np.diff(middle) <= 0).all() and middle[0] > 3 * middle[len(middle) // 2]


def test_a_shadow_is_the_disc_straight_below_the_ball():
    camera = intrinsics_for(200, 200)
    eye, centre, radius = np.array([0.0, 0.0, 3.0]), (6.0, 1.0, 2.5), 0.5
    view = view_for(eye, 0.0, -15.0, camera)
    _, shadow = patches(view, centre, radius)
    rotation = world_to_camera(0.0, -15.0)
    foot, _ = project(np.array([*centre[:2], 0.0]), eye, rotation, camera)
    row, column = int(foot[1]) - shadow.box.top, int(foot[0]) - shadow.box.left
    assert shadow.coverage[row, column] == pytest.approx(SHADOW_OPACITY, abs=1e-5)
    rim = np.array(
        [[6.0 + radius, 1.0, 0.0], [6.0 - radius, 1.0, 0.0], [6.0, 1.0 + radius, 0.0], [6.0, 1.0 - radius, 0.0]]
    )
    pixels, _ = project(rim, eye, rotation, camera)
    assert shadow.box.bottom - shadow.box.top == pytest.approx(np.ptp(pixels[:, 1]), abs=2.0)
    assert shadow.box.right - shadow.box.left == pytest.approx(np.ptp(pixels[:, 0]), abs=2.0)
    assert (shadow.paint == SHADOW_COLOUR[0]).all()


@pytest.mark.parametrize(
    ("centre", "seen"),
    [
        ((-3.0, 0.0, 2.0), False),  # behind
        ((0.2, 0.0, 2.0), False),  # around the eye
        ((0.3, 0.9, 2.0), True),  # beside the eye, part of it behind the camera's plane
        ((0.0, 40.0, 2.0), False),  # beside, out of the picture
        ((np.nan, 0.0, 2.0), False),
        ((1e200, 0.0, 2.0), False),
    ],
)
def test_balls_in_odd_places(centre, seen):
    camera = intrinsics_for(64, 96)
    patch, _ = patches(view_for(EYE, 0.0, 0.0, camera), centre, 0.8)
    assert (patch is not None and bool(patch.coverage.max() > 0.5)) == seen
    if seen:
        setup, visible = one_ball(centre, 0.8), np.array([True])
        _, what = trace(setup, setup.position, visible, (EYE, 0.0, 0.0), camera, fine=4)
        share = (what >= BALL_ID).reshape(64, 4, 96, 4).mean(axis=(1, 3))
        assert np.abs(share - patch.coverage).max() < 0.2 and np.abs(share - patch.coverage).mean() < 0.01


@pytest.mark.parametrize("ahead", [1e-7, 1e-6, 3e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1.1e-2, 0.05])
def test_balls_and_shadows_that_almost_reach_the_cameras_plane(ahead):
    """`ahead` = (depth^2 - radius^2) / depth^2: their outlines are ellipses of any length, whose middle is far off."""
    camera = intrinsics_for(64, 64)
    depth = 0.5 / np.sqrt(1.0 - ahead)
    # The shadow's disc lies in the ground: seen from a slope of 30 deg it reaches 0.5 cos 30 deg along the axis.
    low = np.array([0.0, 0.0, 0.2])
    along = 0.5 * np.cos(np.radians(30.0)) / np.sqrt(1.0 - ahead)
    shaded = ((along - 0.5 * low[2]) / np.cos(np.radians(30.0)), 0.5)
    scenes = [((EYE, 0.0, 0.0), (depth, 0.7, 2.0)), ((low, 0.0, -30.0), (*shaded, 30.0))]
    for name, (pose, centre) in zip(("ball", "shadow"), scenes, strict=True):
        setup, visible = one_ball(centre, 0.5), np.array([True])
        drawn, expected = (
            draw_scene(setup, setup.position, visible, pose, camera).astype(float),
            trace(setup, setup.position, visible, pose, camera, fine=8)[0],
        )
        bare = draw_scene(setup, setup.position, ~visible, pose, camera)
        assert (np.abs(expected - bare).max(axis=-1) > 20.0).sum() > 100, name
        difference = np.abs(drawn - expected).max(axis=-1)
        assert difference.mean() < 1.0 and difference.max() < 30.0, name


def test_gloss_and_colour_stay_in_range():
    for colour in ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.3, 0.5, 0.78]):
        table = palettes_of(np.array([colour]))[0].astype(int)
        assert (np.diff(table, axis=0) >= 0).all() and table.shape == (256, 3)
