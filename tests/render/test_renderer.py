"""The renderer behind the `Renderer` interface: arguments, determinism, threads, any size and camera."""

from __future__ import annotations

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from o2t_jax.errors import UsageError
from o2t_jax.physics.gravity import Gravity
from o2t_jax.render.opencv import rasteriser
from o2t_jax.render.opencv.renderer import SceneRenderer
from o2t_jax.render.scenes import get_scene
from o2t_jax.types import Renderer

VIEW = [(0.0, 15.0)], [(-9.0, 1.0, 2.0)]


def renderer(name="room", law=None, **options):
    return SceneRenderer(get_scene(name), law or Gravity.constant(9.81), **options)


def job(seed):
    rng = np.random.default_rng(seed)
    position, azimuth, elevation = get_scene("room").view_prior(rng, None)
    return seed, rng.uniform(0.0, 2.0, 3), [(azimuth, elevation)], [position], (48, 64)


def test_it_is_a_renderer_and_singletons_broadcast():
    room = renderer()
    assert isinstance(room, Renderer)
    times = np.array([0.0, 0.4, 0.9])
    pictures = room.render(3, times, *VIEW, (40, 56))
    assert pictures.shape == (3, 40, 56, 3) and pictures.dtype == np.uint8
    full = room.render(3, times, np.repeat(VIEW[0], 3, 0), np.repeat(VIEW[1], 3, 0), (40, 56))
    np.testing.assert_array_equal(pictures, full)
    views = [(0.0, 15.0), (5.0, 15.0), (10.0, 10.0)]
    np.testing.assert_array_equal(room.render(3, 0.4, views, VIEW[1], (40, 56))[0], pictures[1])


@pytest.mark.parametrize("size", [(64, 64), (150, 190), (300, 512)])
def test_order_and_company_of_pictures_do_not_matter(size):
    """Equal bytes, though pictures are computed together: small balls, large ones, grounds whole and in parts."""
    room, rng = renderer(), np.random.default_rng(0)
    for seed in range(4):
        place, azimuth, elevation = room.scene.view_prior(rng, None)
        places = place + rng.uniform(-0.5, 0.5, (6, 3))
        angles = np.array([azimuth, elevation]) + rng.uniform(-20.0, 5.0, (6, 2))
        angles[3:], places[3:] = angles[:3], places[:3]
        times = rng.uniform(0.0, 1.5, 6)
        together = room.render(seed, times, angles, places, size)
        for i in (3, 1, 0, 5, 2, 4):
            np.testing.assert_array_equal(room.render(seed, times[i], angles[i], places[i], size)[0], together[i])


def test_same_arguments_give_the_same_bytes_from_threads_and_after_pickling():
    room = renderer()
    expected = [room.render(*job(seed)) for seed in range(24)]
    assert len({e.tobytes() for e in expected}) == 24
    with ThreadPoolExecutor(8) as pool:
        for again in (room, renderer(), pickle.loads(pickle.dumps(room))):
            for one, other in zip(
                expected, pool.map(lambda seed, r=again: r.render(*job(seed)), range(24)), strict=True
            ):
                np.testing.assert_array_equal(one, other)


def test_pictures_show_the_truth_under_the_law():
    """With stronger gravity the ball is lower in the picture, at the place that `truth` gives."""
    light, heavy = renderer("ballistic", Gravity.constant(1.62)), renderer("ballistic", Gravity.constant(9.81))
    place, visible, radius = light.truth(5, np.array([0.0, 0.5]))
    lower, _, _ = heavy.truth(5, np.array([0.0, 0.5]))
    assert visible.all() and radius.shape == (1,)
    assert lower[1, 0, 2] - place[1, 0, 2] == pytest.approx(-0.5 * (9.81 - 1.62) * 0.25, abs=1e-6)
    camera = ([(0.0, 22.0)], [(-4.5, 0.0, 2.0)], (96, 96))
    rows = [np.nonzero(r.render(5, 0.5, *camera)[0].max(axis=-1) < 180)[0].mean() for r in (light, heavy)]
    assert rows[1] > rows[0] + 5


def test_the_background_is_drawn_once_for_each_camera(monkeypatch):
    drawn = []
    original = rasteriser.draw_backgrounds
    monkeypatch.setattr(
        rasteriser, "draw_backgrounds", lambda views, pictures: drawn.extend(views) or original(views, pictures)
    )
    angles = [(0.0, 15.0), (5.0, 15.0)] * 4
    renderer().render(1, np.linspace(0.0, 1.0, 8), angles, VIEW[1], (32, 32))
    assert len(drawn) == 2


def test_setups_are_shared_and_cannot_be_changed():
    room = renderer()
    assert room.setup(4) is room.setup(4)
    with pytest.raises(ValueError, match="read-only"):
        room.setup(4).position[0, 0] = 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times": [-0.1]}, "negative"),
        ({"times": [np.nan]}, "finite"),
        ({"times": []}, "one or T"),
        ({"times": "soon"}, "must be numbers"),
        ({"angles": [(np.inf, 0.0)]}, "finite"),
        ({"angles": [0.0, 0.0, 0.0]}, "rows of 2"),
        ({"observer_positions": [(0.0, 2.0)]}, "rows of 3"),
        ({"times": [0.1, 0.2], "angles": [(0.0, 0.0)] * 3}, "fit together"),
        ({"image_size": (0, 64)}, "from 1 to"),
        ({"image_size": (64, -2)}, "from 1 to"),
        ({"image_size": (64, 100_000)}, "from 1 to"),
        ({"image_size": 64}, "two whole numbers"),
        ({"setup_seed": -1}, "negative"),
    ],
)
def test_bad_input_is_refused_in_one_line(change, message):
    good = {"setup_seed": 0, "times": [0.1], "angles": VIEW[0], "observer_positions": VIEW[1], "image_size": (32, 32)}
    with pytest.raises(UsageError, match=message) as caught:
        renderer().render(**{**good, **change})
    assert "\n" not in str(caught.value)


def test_an_unknown_integrator_is_refused():
    with pytest.raises(UsageError, match="euler"):
        renderer(integrator="euler")


def test_the_benchmarks_integrator_draws_nearly_the_same():
    exact, benchmark = renderer(), renderer(integrator="benchmark")
    one, other = (r.truth(8, np.array([0.6]))[0] for r in (exact, benchmark))
    assert 0.0 < np.abs(one - other).max() < 0.02


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 40),
    time=st.floats(0.0, 6.0),
    azimuth=st.floats(-720.0, 720.0),
    elevation=st.floats(-90.0, 90.0),
    place=st.sampled_from(["anywhere", "at a ball", "in the ramp", "underground", "far"]),
    height=st.integers(1, 150),
    width=st.integers(1, 150),
)
def test_any_camera_gives_a_picture(seed, time, azimuth, elevation, place, height, width):
    room = renderer()
    setup, rng = room.setup(seed), np.random.default_rng(seed)
    eye = rng.uniform([-20, -20, 0], [20, 20, 8])
    if place == "at a ball":
        eye = room.truth(seed, np.array([time]))[0][0, 0] + rng.uniform(-1.2, 1.2, 3) * setup.radius[0]
    elif place == "in the ramp" and setup.ramp is not None:
        eye = np.array([*setup.ramp.foot, 0.1])
    elif place == "underground":
        eye[2] = -eye[2]
    elif place == "far":
        eye *= 1e3
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        pictures = room.render(seed, [time], [(azimuth, elevation)], [eye], (height, width))
    assert pictures.shape == (1, height, width, 3)


@pytest.mark.parametrize("size", [(64, 64), (512, 512), (100, 2048), (2048, 100)])
def test_all_sizes_show_the_same_scene(size):
    room = renderer()
    seed = next(s for s in range(50) if room.setup(s).radius[0] > 0.6 and room.setup(s).ramp is None)
    ball = room.truth(seed, np.array([0.0]))[0][0, 0]
    eye = ball + np.array([-5.0, 0.0, 0.5])
    picture = room.render(seed, 0.0, (0.0, 0.0), eye, size)[0]
    assert picture[size[0] // 2 + round(0.087 * size[0]), size[1] // 2].max() < 200  # the ball's colour, not the sky's
    assert (picture[0] == (235, 240, 247)).all()
