"""The pin-hole camera: round trips, stereo, triangulation and its gradients, PARA's invariances, numpy against JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from o2t_jax.geometry.camera import (
    MIN_DEPTH_M,
    intrinsics_for,
    look_at,
    namespace,
    pixel_directions,
    pixel_grid,
    project,
    relative_para,
    right_eye,
    triangulate,
    world_to_camera,
    wrap_degrees,
)

FEW = settings(deadline=None, max_examples=20)
AZIMUTH = st.floats(-180.0, 180.0)
ELEVATION = st.floats(-80.0, 80.0)
CAMERA = intrinsics_for(512, 512)
EYE = np.array([1.0, -2.0, 1.7])


def seen_at(azimuth, elevation, across, down, depth):
    """A world point at camera coordinates (across, down, depth)."""
    return EYE + np.array([across, down, depth]) @ world_to_camera(azimuth, elevation)


def test_intrinsics_of_the_benchmark():
    assert CAMERA.focal == pytest.approx(443.4, abs=0.1)
    assert (CAMERA.cx, CAMERA.cy) == (256.0, 256.0)
    # The field of view is the vertical one: the top edge's middle lies 30 deg up, whatever the width.
    wide = intrinsics_for(100, 300)
    top = pixel_directions(np.array([150.0, 0.0]), world_to_camera(0.0, 0.0), wide)
    assert look_at(np.zeros(3), top)[1] == pytest.approx(30.0)


@FEW
@given(AZIMUTH, ELEVATION)
def test_rotation_is_proper_and_level(azimuth, elevation):
    axes = world_to_camera(azimuth, elevation)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    assert axes[0, 2] == 0.0  # no roll


def test_azimuth_and_elevation_conventions():
    np.testing.assert_allclose(world_to_camera(0.0, 0.0)[2], [1, 0, 0], atol=1e-15)
    np.testing.assert_allclose(world_to_camera(90.0, 0.0)[2], [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(world_to_camera(0.0, 90.0)[2], [0, 0, 1], atol=1e-15)
    np.testing.assert_allclose(world_to_camera(0.0, 0.0)[0], [0, -1, 0], atol=1e-15)  # +y lies to the left


def test_up_in_the_world_is_up_in_the_picture():
    axes = world_to_camera(30.0, 10.0)
    low, _ = project(seen_at(30.0, 10.0, 0, 0, 5.0), EYE, axes, CAMERA)
    high, _ = project(seen_at(30.0, 10.0, 0, 0, 5.0) + np.array([0, 0, 0.5]), EYE, axes, CAMERA)
    np.testing.assert_allclose(low, [256.0, 256.0], atol=1e-9)
    assert high[1] < low[1] - 10.0


@FEW
@given(AZIMUTH, ELEVATION, st.floats(-400.0, 900.0), st.floats(-400.0, 900.0), st.floats(0.2, 50.0))
def test_project_inverts_pixel_directions(azimuth, elevation, u, v, distance):
    axes = world_to_camera(azimuth, elevation)
    ray = pixel_directions(np.array([u, v]), axes, CAMERA)
    assert np.linalg.norm(ray) == pytest.approx(1.0)
    pixel, depth = project(EYE + distance * ray, EYE, axes, CAMERA)
    if depth > MIN_DEPTH_M:
        np.testing.assert_allclose(pixel, [u, v], atol=1e-7)


@FEW
@given(AZIMUTH, ELEVATION)
def test_look_at_inverts_the_forward_axis(azimuth, elevation):
    turned, raised = look_at(EYE, EYE + 3.0 * world_to_camera(azimuth, elevation)[2])
    assert wrap_degrees(turned - azimuth + 90.0) - 90.0 == pytest.approx(0.0, abs=1e-9)
    assert raised == pytest.approx(elevation, abs=1e-9)


def test_points_behind_the_eye_have_finite_pixels_and_gradients():
    axes = jnp.asarray(world_to_camera(0.0, 0.0))

    def pixel_sum(point):
        return project(point, jnp.zeros(3), axes, CAMERA)[0].sum()

    for point in ([-1.0, 0.2, 0.3], [0.0, 0.2, 0.3]):
        assert np.isfinite(pixel_sum(jnp.array(point)))
        assert np.isfinite(jax.grad(pixel_sum)(jnp.array(point))).all()
    assert project(np.array([-1.0, 0, 0]), np.zeros(3), np.asarray(axes), CAMERA)[1] == -1.0


def test_pixel_grid_holds_centres():
    grid = pixel_grid(intrinsics_for(3, 4))
    assert grid.shape == (3, 4, 2)
    np.testing.assert_array_equal(grid[2, 1], [1.5, 2.5])


@FEW
@given(AZIMUTH, st.floats(-40.0, 40.0), st.floats(0.1, 5.0), st.sampled_from([None, 8.0]), st.floats(2.0, 30.0))
def test_stereo_pair_triangulates_what_it_sees(azimuth, elevation, gap, convergence, depth):
    point = seen_at(azimuth, elevation, 0.4, -0.7, depth)
    eye, turned, raised = right_eye(EYE, azimuth, elevation, gap, convergence)
    left, right = world_to_camera(azimuth, elevation), world_to_camera(turned, raised)
    rays = []
    for position, axes in ((EYE, left), (eye, right)):
        pixel, depth_seen = project(point, position, axes, CAMERA)
        assert depth_seen > 0.0
        rays += [position, pixel_directions(pixel, axes, CAMERA)]
    found, valid = triangulate(*rays)
    assert valid
    np.testing.assert_allclose(found, point, atol=1e-6)


def test_stereo_disparity_and_convergence():
    point = seen_at(20.0, 5.0, 0.3, 0.2, 6.0)
    left = world_to_camera(20.0, 5.0)
    eye, turned, raised = right_eye(EYE, 20.0, 5.0, 0.5)
    assert (turned, raised) == (20.0, 5.0)
    u_left = project(point, EYE, left, CAMERA)[0]
    u_right = project(point, eye, left, CAMERA)[0]
    np.testing.assert_allclose(u_left - u_right, [CAMERA.focal * 0.5 / 6.0, 0.0], atol=1e-9)
    eye, turned, raised = right_eye(EYE, 20.0, 5.0, 0.5, convergence=6.0)
    focus = EYE + 6.0 * left[2]
    assert eye[2] == pytest.approx(EYE[2])  # both eyes at one height
    pixel = project(focus, eye, world_to_camera(turned, raised), CAMERA)[0]
    np.testing.assert_allclose(pixel, [256.0, 256.0], atol=1e-9)


def test_triangulate_says_what_it_cannot_find():
    forward = np.array([1.0, 0.0, 0.0])
    a, b = np.zeros(3), np.array([0.0, 1.0, 0.0])
    point, valid = triangulate(a, forward, b, forward)  # parallel
    assert not valid
    assert np.isfinite(point).all()
    apart = np.array([1.0, 1.0, 0.0]) / np.sqrt(2.0)
    assert not triangulate(a, forward, b, apart)[1]  # they meet behind the eyes
    assert triangulate(a, forward, b, apart * [1.0, -1.0, 1.0])[1]


def test_triangulation_of_skew_rays_is_the_midpoint():
    point, valid = triangulate(np.zeros(3), np.array([1.0, 0, 0]), np.array([2.0, -3.0, 0.4]), np.array([0.0, 1.0, 0]))
    assert valid
    np.testing.assert_allclose(point, [2.0, 0.0, 0.2], atol=1e-12)


@pytest.mark.parametrize("turn", [0.0, 1e-6, 1e-3, 0.3])
def test_triangulation_has_finite_gradients_up_to_parallel_rays(turn):
    def total(directions):
        unit = directions / jnp.linalg.norm(directions, axis=-1, keepdims=True)
        return triangulate(jnp.zeros(3), unit[0], jnp.array([0.0, 1.0, 0.0]), unit[1])[0].sum()

    directions = jnp.array([[1.0, 0.0, 0.0], [1.0, -turn, 0.0]])
    assert np.isfinite(total(directions))
    assert np.isfinite(jax.grad(total)(directions)).all()


def test_triangulation_gradient_equals_finite_differences():
    def found(x):
        a, b = np.array([1.0, x, 0.1]), np.array([1.0, -0.4, 0.1])
        return triangulate(np.zeros(3), a / np.linalg.norm(a), np.array([0.0, 1.0, 0.0]), b / np.linalg.norm(b))[0]

    def traced(x):
        a, b = jnp.stack([jnp.ones_like(x), x, 0.1 * jnp.ones_like(x)]), jnp.array([1.0, -0.4, 0.1])
        unit_a, unit_b = a / jnp.linalg.norm(a), b / jnp.linalg.norm(b)
        return triangulate(jnp.zeros(3), unit_a, jnp.array([0.0, 1.0, 0.0]), unit_b)[0]

    expected = (found(0.2 + 1e-6) - found(0.2 - 1e-6)) / 2e-6
    np.testing.assert_allclose(jax.jacfwd(traced)(0.2), expected, rtol=2e-3, atol=2e-3)


PARA = st.lists(
    st.tuples(st.floats(0.0, 5.0), st.floats(-9.0, 9.0), st.floats(-9.0, 9.0), st.floats(0.1, 9.0), AZIMUTH, ELEVATION),
    min_size=5,
    max_size=5,
).map(np.array)


def angles_apart(a, b):
    return np.abs(wrap_degrees(a - b + 90.0) - 90.0)


@FEW
@given(PARA, st.floats(-360.0, 360.0), st.floats(-20.0, 20.0), st.floats(-20.0, 20.0), st.floats(-5.0, 5.0))
def test_para_is_unchanged_by_turning_moving_and_waiting(para, turn, east, north, wait):
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    moved = para.copy()
    moved[:, 0] += wait
    moved[:, 1] = c * para[:, 1] - s * para[:, 2] + east
    moved[:, 2] = s * para[:, 1] + c * para[:, 2] + north
    moved[:, 4] = para[:, 4] + turn
    before, after = relative_para(para), relative_para(moved)
    np.testing.assert_allclose(after[:, [0, 1, 2, 3, 5]], before[:, [0, 1, 2, 3, 5]], atol=1e-9)
    assert angles_apart(after[:, 4], before[:, 4]).max() < 1e-9


@FEW
@given(PARA)
def test_para_of_the_first_camera_is_its_height_and_elevation(para):
    relative = relative_para(para)
    np.testing.assert_allclose(relative[0], [0, 0, 0, para[0, 3], 0, para[0, 5]], atol=1e-12)
    assert (relative[:, 4] >= -180.0).all()
    assert (relative[:, 4] < 180.0).all()
    # Gravity depends on absolute height: it is not counted from camera 1.
    np.testing.assert_array_equal(relative[:, 3], para[:, 3])


def test_para_turns_the_first_view_to_x():
    para = np.array([[0.5, 1.0, 2.0, 1.7, 90.0, 3.0], [0.7, 1.0, 5.0, 1.0, -170.0, 0.0]])
    np.testing.assert_allclose(relative_para(para)[1], [0.2, 3.0, 0.0, 1.0, 100.0, 0.0], atol=1e-12)


def test_wrapping():
    np.testing.assert_allclose(wrap_degrees(np.array([180.0, -180.0, 190.0, 540.0])), [-180.0, -180.0, -170.0, -180.0])


def test_numpy_and_jax_agree():
    rng = np.random.default_rng(0)
    azimuth, elevation = rng.uniform(-180, 180, 6), rng.uniform(-60, 60, 6)
    axes = world_to_camera(azimuth, elevation)
    points, eyes = rng.normal(size=(6, 3)) * 2.0 + 8.0 * axes[:, 2], rng.normal(size=(6, 3))
    pixels = rng.uniform(0, 512, (6, 2))
    rays = pixel_directions(pixels, axes, CAMERA)
    toward = points - eyes[::-1]
    toward /= np.linalg.norm(toward, axis=-1, keepdims=True)
    calls = [
        (world_to_camera, (azimuth, elevation)),
        (lambda p, e, a: project(p, e, a, CAMERA), (points, eyes, axes)),
        (lambda p, a: pixel_directions(p, a, CAMERA), (pixels, axes)),
        (look_at, (eyes, points)),
        (lambda e, a, b: right_eye(e, a, b, 0.3, 7.0), (eyes, azimuth, elevation)),
        (lambda a, b, c, d: triangulate(a, b, c, d)[0], (eyes, rays, eyes[::-1], toward)),
        (relative_para, (np.concatenate([rng.uniform(0, 1, (6, 1)), eyes, azimuth[:, None], elevation[:, None]], 1),)),
    ]
    for function, arguments in calls:
        ours, theirs = function(*arguments), function(*map(jnp.asarray, arguments))
        assert namespace(*jax.tree.leaves(theirs)) is jnp
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            assert isinstance(a, np.ndarray | np.floating)
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-3)
