"""Sky and grid: exact bytes, lines at whole metres, and no flicker far away."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.geometry.camera import intrinsics_for, project, world_to_camera
from o2t_jax.render.opencv.ground import GROUND, LINE_SHADE, LINE_WIDTH_M, SKY, draw_backgrounds
from o2t_jax.render.pose import view_for
from tests.render.reference import trace


def background(position, azimuth, elevation, height, width):
    picture = np.empty((height, width, 3), np.uint8)
    view = view_for(np.array(position, float), azimuth, elevation, intrinsics_for(height, width))
    draw_backgrounds([view], [picture])
    return picture


def no_setup():
    from o2t_jax.physics.room.exact import Setup

    none = np.zeros((0, 3))
    return Setup(np.zeros(0), none, none, none, np.zeros(0, int), np.zeros(0, int)), none, np.zeros(0, bool)


@pytest.mark.parametrize("size", [(64, 64), (129, 77), (512, 512)])
def test_sky_bytes_are_exact(size):
    assert SKY == (235, 240, 247)
    level = background((0, 0, 2), 10.0, 0.0, *size)
    assert (level[: size[0] // 2] == SKY).all() and not (level[size[0] // 2 + 1 :] == SKY).all(axis=-1).any()
    assert (background((0, 0, 2), 10.0, 50.0, *size) == SKY).all()
    assert (background((0, 0, 2), 10.0, 90.0, *size) == SKY).all()
    assert not (background((0, 0, 2), 10.0, -90.0, *size) == SKY).all(axis=-1).any()


@pytest.mark.parametrize(
    "pose", [((0.3, 0.7, 2.0), 30.0, -25.0), ((-4.6, 9.2, 1.5), -135.0, 3.0), ((0.1, 0.2, 6.0), 90.0, -80.0)]
)
@pytest.mark.parametrize("size", [(64, 64), (160, 120)])
def test_the_grid_is_the_box_filtered_ground(pose, size):
    picture = background(*pose, *size).astype(float)
    expected, _ = trace(*no_setup(), (np.array(pose[0]), *pose[1:]), intrinsics_for(*size), fine=8)
    difference = np.abs(picture - expected).max(axis=-1)
    # Contrast of a line: 27 levels. The filter is a box across the line, the reference a square.
    assert difference.mean() < 1.0 and np.quantile(difference, 0.98) < 6.0
    assert picture.mean() == pytest.approx(expected.mean(), abs=0.5)


def test_grid_lines_lie_on_whole_metres_at_full_contrast():
    pose = (np.array([0.5, 0.5, 2.0]), 0.0, -30.0)
    camera, rotation = intrinsics_for(512, 512), world_to_camera(0.0, -30.0)
    picture = background(*pose, 512, 512)
    for x, y in [(3.0, 0.4), (3.0, 0.7), (4.0, 0.3), (3.5, 1.0), (3.4, 0.0), (4.6, 1.0)]:
        (u, v), _ = project(np.array([x, y, 0.0]), pose[0], rotation, camera)
        assert picture[int(v), int(u)] == pytest.approx(np.array(GROUND) * LINE_SHADE, abs=1.5)
    for x, y in [(3.5, 0.5), (4.5, 0.4), (3.3, 0.6)]:
        (u, v), _ = project(np.array([x, y, 0.0]), pose[0], rotation, camera)
        assert picture[int(v), int(u)] == pytest.approx(np.array(GROUND), abs=1.0)


def test_far_ground_is_calm_at_64_px():
    """Moving the camera by a third of a metre must not make the far field flicker (a level is 1 of 255)."""
    first, second = (background((x, 0.2, 2.0), 40.0, 0.0, 64, 64).astype(float) for x in (0.0, 0.33))
    change = np.abs(first - second).max(axis=-1)
    far, near = slice(33, 36), slice(50, 64)
    assert change[far].max() <= 3.0 and change[far].mean() < 0.7
    assert change[near].max() > 5.0  # but near lines are seen to move
    # Far away the ground is one grey: the mean of ground and lines.
    bare = (1.0 - LINE_WIDTH_M) ** 2
    np.testing.assert_allclose(
        first[33:36], np.full((3, 64, 3), GROUND) * (LINE_SHADE + (1 - LINE_SHADE) * bare), atol=0.6
    )


def test_a_metre_further_the_ground_looks_the_same():
    one, other = background((0.3, 0.7, 2.0), 30.0, -20.0, 128, 128), background((5.3, -8.3, 2.0), 30.0, -20.0, 128, 128)
    assert np.abs(one.astype(int) - other).max() <= 1


@pytest.mark.parametrize("position", [(0, 0, 0.0), (0, 0, -5.0), (1, 2, 1e4), (1e6, -1e6, 2.0)])
@pytest.mark.parametrize("elevation", [-90.0, -20.0, 0.0, 89.9, 120.0])
def test_odd_cameras_give_a_picture(position, elevation):
    with np.errstate(all="raise", under="ignore"):
        picture = background(position, 12.0, elevation, 33, 50)
    colours = picture.reshape(-1, 3)
    assert (colours.min(axis=0) >= np.floor(np.array(GROUND) * LINE_SHADE)).all() and (colours.max(axis=0) <= SKY).all()
