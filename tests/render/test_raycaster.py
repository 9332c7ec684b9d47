"""The ray-caster against the rasteriser, and against geometry alone.

Tolerances, as measured on 60 rooms and 30 ballistic scenes at 64 px, 18 and 9 at 512 px: a mean difference of 0.029 and
0.012 bytes at 64 px, 0.002 at 512 px; more than 8 bytes in 0.08% and 0.03% of the pixels at 64 px, 0.002% at 512 px.
The rest is at the edges of the ramp and the bars, which OpenCV draws up to a third of a pixel too large.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.geometry.camera import intrinsics_for, look_at, world_to_camera
from o2t_jax.physics.gravity import law_for
from o2t_jax.physics.room.jax_twin import ramp_arrays, state_from
from o2t_jax.render import silhouettes
from o2t_jax.render.opencv.draw import fill_polygon, fixed_point
from o2t_jax.render.opencv.rasteriser import draw_scene
from o2t_jax.render.opencv.renderer import SceneRenderer
from o2t_jax.render.raycast import ball as raycast_ball
from o2t_jax.render.raycast.raycaster import (
    Camera,
    Scene,
    cast,
    cast_packed,
    cast_pictures,
    scene_from,
    scene_of_state,
    unpacked,
)
from o2t_jax.render.raycast.renderer import RaycastRenderer, picture_inputs, stack_inputs
from o2t_jax.render.raycast.solids import POLYGON_GROWTH_PX
from o2t_jax.render.scenes import get_scene
from o2t_jax.types import Renderer
from tests.render.test_ball import EYE, outline_centroid, random_balls
from tests.render.test_rasteriser import BALLS, room_with

LAW = law_for(9.5, 8.0)


def both(name: str, size: int, seeds: range) -> tuple[np.ndarray, np.ndarray]:
    """Pictures int [N, H, W, 3] of rasteriser and ray-caster, three of each seed's scene."""
    scene, pictures = get_scene(name), []
    for renderer in (SceneRenderer(scene, LAW), RaycastRenderer(scene, LAW)):
        for seed in seeds:
            rng = np.random.default_rng(seed)
            position, azimuth, elevation = scene.view_prior(rng, None)
            times = rng.uniform(0.0, 0.6 * scene.t_max, 3)
            angles = np.array([azimuth, elevation]) + rng.uniform(-5.0, 5.0, (3, 2))
            pictures.append(renderer.render(seed, times, angles, position[None], (size, size)))
    together = np.concatenate(pictures).astype(int)
    return together[: len(together) // 2], together[len(together) // 2 :]


@pytest.mark.parametrize(
    ("name", "size", "scenes", "mean", "share"),
    [
        ("room", 64, 20, 0.06, 0.002),
        ("ballistic", 64, 20, 0.03, 0.001),
        pytest.param("room", 512, 4, 0.01, 0.0002, marks=pytest.mark.slow),
        pytest.param("ballistic", 512, 2, 0.01, 0.0002, marks=pytest.mark.slow),
    ],
)
def test_it_agrees_with_the_rasteriser(name, size, scenes, mean, share):
    drawn, cast_ = both(name, size, range(scenes))
    difference = np.abs(drawn - cast_)
    assert (difference.max(axis=-1) > 0).any()  # two programs, not one
    assert difference.mean() < mean
    assert (difference.max(axis=-1) > 8).mean() < share
    assert (difference.max(axis=-1) > 60).mean() < 1e-4
    assert np.abs((drawn - cast_).mean(axis=(0, 1, 2))).max() < mean  # and no bias of a channel


def test_a_scene_without_solids_is_cast_for_less():
    scene, shots = get_scene("ballistic"), []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        setup, (position, *angles) = scene.sample(rng), scene.view_prior(rng, None)
        shots.append(picture_inputs(setup, setup.position, np.ones(1, bool), position, np.array(angles)))
    inputs, made = stack_inputs(shots), []
    for solid in (True, False):
        cast_all = jax.jit(lambda scenes, cameras, solid=solid: cast_packed(scenes, cameras, 64, 64, solid=solid))
        program: Any = cast_all.lower(*inputs).compile()
        made.append((np.asarray(unpacked(program(*inputs))).astype(int), program.cost_analysis()["flops"]))
    (whole, work), (bare, less) = made
    assert np.abs(whole - bare).max() <= 1 and (whole != bare).mean() < 1e-3 and whole.std() > 5.0
    assert less < 0.8 * work


@pytest.fixture(scope="module")
def hiding() -> tuple[np.ndarray, np.ndarray]:
    """Balls on, behind, beside and half inside the ramp, from all sides, by both."""
    shots, drawn, camera = [], [], intrinsics_for(72, 96)
    for places in BALLS.values():
        setup = room_with([*places, (0.0, 0.0, -9.0)][:2])
        visible = np.arange(2) < len(places)
        for bearing in range(0, 360, 45):
            middle, turn = np.array([8.6, 2.6, 0.7]), np.radians(bearing)
            for height in (0.8, 4.0):
                eye = middle + np.array([8.0 * np.cos(turn), 8.0 * np.sin(turn), height - 0.7])
                angles = np.array(look_at(eye, middle))
                shots.append(picture_inputs(setup, setup.position, visible, eye, angles))
                drawn.append(draw_scene(setup, setup.position, visible, (eye, *map(float, angles)), camera))
    return np.stack(drawn).astype(int), np.asarray(cast_pictures(*stack_inputs(shots), 72, 96)).astype(int)


def test_the_ramp_and_balls_hide_each_other_as_in_the_rasteriser(hiding):
    difference = np.abs(hiding[0] - hiding[1]).max(axis=-1)
    assert difference.mean() < 0.4
    assert (difference > 60).mean(axis=(1, 2)).max() < 0.002  # a wrong order would differ over a ball's whole area


def coverage(size: int):
    k = intrinsics_for(size, size)
    u = jnp.arange(size) + 0.5
    v = u[:, None]

    def cover(local, radius):
        ball = silhouettes.ball(local, radius, jnp.array(True), k.focal, k.cx, k.cy)
        x, y = (u - k.cx) / k.focal, (v - k.cy) / k.focal
        return raycast_ball.ball_coverage(ball, u, v, x, y, k.focal)[0]

    return cover


@pytest.mark.parametrize("size", [64, 512])
def test_the_centroid_of_an_outline_lies_on_the_analytic_one(size):
    """0.02 px, no bias, and the outline's area to 0.3%, down to balls of 1.5 px radius."""
    k, cover = intrinsics_for(size, size), jax.jit(coverage(size))
    errors, areas = [], []
    for centre, radius, azimuth, elevation in random_balls(np.random.default_rng(size), 60, size, 2.5, 16.0):
        rotation = world_to_camera(azimuth, elevation)
        local = rotation @ (centre - EYE)
        share = np.asarray(cover(jnp.asarray(local, jnp.float32), jnp.float32(radius)), float)
        middles = np.arange(size) + 0.5
        found = np.array([(share.sum(axis=0) * middles).sum(), (share.sum(axis=1) * middles).sum()]) / share.sum()
        errors.append(found - outline_centroid(centre, radius, rotation, EYE, k))
        power, ahead = local @ local - radius**2, local[2] ** 2 - radius**2
        area = np.pi * (k.focal * radius) ** 2 * np.sqrt(power) / ahead**1.5
        areas.append(share.sum() / area - 1.0)
    assert np.abs(errors).max() < 0.02
    assert np.abs(np.mean(errors, axis=0)).max() < 0.002
    assert np.abs(areas).max() < 0.003


def test_a_balls_coverage_has_the_gradient_that_it_should_have():
    """The first moment of a ball's coverage moves as the ball does: f / Z px for each m."""
    cover, k, u = coverage(64), intrinsics_for(64, 64), jnp.arange(64) + 0.5

    def moment(local):
        share = cover(local, 0.4)
        return (share * u).sum() / share.sum()

    gradient = jax.jit(jax.grad(moment))
    for local in ([0.3, -0.2, 6.0], [0.0, 0.0, 3.0], [-2.0, 1.0, 12.0]):
        slope = gradient(jnp.array(local))
        assert np.isfinite(slope).all()
        assert slope[0] == pytest.approx(k.focal / local[2], rel=0.03)


def test_a_whole_picture_has_finite_derivatives():
    """Forward mode, which compiles in seconds: backward, this program takes minutes on a CPU."""
    setup = get_scene("ballistic").sample(np.random.default_rng(3))
    scene = scene_from(setup, np.array([[6.0, 0.5, 2.2]]), np.array([True]))
    scene = jax.tree.map(jnp.asarray, scene)

    def picture(position, place):
        return cast(scene._replace(position=position), Camera(place, jnp.array(10.0), jnp.array(5.0)), 16, 24)

    start = (scene.position, jnp.array([0.0, 0.0, 2.0]))
    move = (jnp.array([[0.0, 1.0, 0.0]]), jnp.array([0.3, 0.2, 0.1]))
    _, slope = jax.jit(lambda: jax.jvp(picture, start, move))()
    assert np.isfinite(slope).all() and np.abs(slope).max() > 1.0


def test_balls_in_odd_places_are_drawn_as_the_rasteriser_draws_them():
    """Behind the camera, around it, beside it and partly behind its plane, out of view, NaN."""
    camera, eye, shots, drawn = intrinsics_for(48, 64), np.array([0.0, 0.0, 2.0]), [], []
    for centre in [
        (-3.0, 0.0, 2.0),
        (0.2, 0.0, 2.0),
        (0.3, 0.9, 2.0),
        (0.0, 40.0, 2.0),
        (4.0, 0.0, 1.0),
        (0.0, 0.5, 0.6),
    ]:
        for elevation in (0.0, -60.0, 89.0, -90.0):
            setup, seen = room_with([centre], 0.8, None), np.array([True])
            shots.append(picture_inputs(setup, setup.position, seen, eye, np.array([0.0, elevation])))
            drawn.append(draw_scene(setup, setup.position, seen, (eye, 0.0, elevation), camera))
    unseen = room_with([(np.nan, np.inf, 0.0)], 0.8, None)
    shots.append(picture_inputs(unseen, unseen.position, np.array([False]), eye, np.zeros(2)))
    drawn.append(draw_scene(unseen, unseen.position, np.array([False]), (eye, 0.0, 0.0), camera))
    found = np.asarray(cast_pictures(*stack_inputs(shots), 48, 64)).astype(int)
    difference = np.abs(found - np.stack(drawn)).max(axis=-1)
    # An outline that is open is drawn to first order by both.
    assert (difference > 8).mean(axis=(1, 2)).max() < 0.02 and difference.mean() < 0.3


def test_opencv_draws_polygons_larger_than_asked_for_by_what_is_assumed():
    growths = []
    for degrees in range(0, 90, 15):
        along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
        across, canvas = np.array([-along[1], along[0]]), np.zeros((200, 200), np.uint8)
        corners = [100.3 + a * 60 * along + b * 20 * across for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        fill_polygon(canvas, fixed_point(np.array(corners)), (255,))
        # (120 + 2 g) (40 + 2 g) = area
        growths.append(0.25 * (-160.0 + np.sqrt(80.0**2 + 4.0 * canvas.sum() / 255.0)))
    assert np.mean(growths) == pytest.approx(POLYGON_GROWTH_PX, abs=0.08)


def test_it_lowers_for_accelerators():
    setup = get_scene("room").sample(np.random.default_rng(1))
    shots = [picture_inputs(setup, setup.position, np.ones(2, bool), EYE, np.zeros(2))] * 2
    for platform in ("cuda", "tpu"):
        text = cast_pictures.trace(*stack_inputs(shots), 512, 512).lower(lowering_platforms=(platform,)).as_text()
        assert "2x512x512" in text
        assert "custom_call" not in text and "dot_general" not in text  # elementwise, no products that round


def test_a_simulated_state_is_a_scene():
    setup = get_scene("room").sample(np.random.default_rng(1))
    one = scene_of_state(jax.tree.map(jnp.asarray, state_from(setup)), setup.colour)
    other = scene_from(setup, setup.position, np.array([True, True]))
    for found, expected in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)
    assert isinstance(one, Scene) and bool(one.ramp.present) == bool(ramp_arrays(setup.ramp).present)


def test_the_renderer_keeps_the_interface_and_its_bytes():
    """Order and batch of pictures change nothing; the truth is the other renderer's."""
    scene = get_scene("ballistic")
    renderer = RaycastRenderer(scene, LAW)
    assert isinstance(renderer, Renderer)
    position, azimuth, elevation = scene.view_prior(np.random.default_rng(2), None)
    times, angles = np.array([0.1, 0.5, 0.3, 0.1]), [(azimuth, elevation)]
    together = renderer.render(2, times, angles, [position], (64, 64))
    assert together.shape == (4, 64, 64, 3) and together.dtype == np.uint8 and together.flags.writeable
    for i in (3, 1, 0, 2):
        np.testing.assert_array_equal(renderer.render(2, times[i], angles, [position], (64, 64))[0], together[i])
    for one, other in zip(renderer.truth(2, times), SceneRenderer(scene, LAW).truth(2, times), strict=True):
        np.testing.assert_array_equal(one, other)
