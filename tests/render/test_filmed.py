"""Pictures that are frames of films: what each part of the camera does to a ball, and that a sample stays pure."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from o2t_jax.commands._config import load_config
from o2t_jax.data.o2t.curriculum import ModeMix
from o2t_jax.errors import UsageError
from o2t_jax.geometry.camera import intrinsics_for, world_to_camera
from o2t_jax.physics.gravity import Gravity
from o2t_jax.render.effects import h264
from o2t_jax.render.effects.shutter import PARTS
from o2t_jax.render.filmed import FilmConfig, Filmed
from o2t_jax.render.opencv.renderer import SceneRenderer
from o2t_jax.render.scenes import get_scene
from o2t_jax.systems import o2t_config
from o2t_jax.systems.o2t import build
from o2t_jax.systems.o2t_parts import make_renderer
from o2t_jax.types import Renderer
from tests.systems.small import small_config

BARE = SceneRenderer(get_scene("ballistic"), Gravity.constant(9.81))
FULL = FilmConfig(noise=4.0, exposure=1 / 250, bits=0.25)
SIZE = (64, 64)
TIMES = np.array([0.0, 0.05, 0.3])
SEED = 3


def poses(times, size=SIZE, away=9.0):
    """Cameras `away` m from the ball's place at the first of `times`, that look at it."""
    ball = BARE.truth(SEED, times[:1])[0][0, 0]
    place = ball - away * world_to_camera(0.0, 0.0)[2]
    return times, np.zeros((len(times), 2)), np.repeat(place[None], len(times), axis=0), size


def wall(picture, clean):
    """What the camera adds where there is only sky."""
    return (picture.astype(float) - clean)[:8]


def test_a_film_changes_pictures_by_noise_blur_and_compression_alone():
    given = poses(TIMES)
    clean = BARE.render(SEED, *given)
    np.testing.assert_array_equal(Filmed(BARE, FilmConfig()).render(SEED, *given), clean)
    noisy, packed = (Filmed(BARE, FilmConfig(noise=4.0, bits=bits)).render(SEED, *given) for bits in (0.0, 0.25))
    assert noisy.dtype == np.uint8 and packed.shape == clean.shape
    assert np.std(wall(noisy[0], clean[0])) == pytest.approx(4.0, rel=0.15)
    assert np.std(wall(packed[0], clean[0])) < 2.5  # so few bits hold no noise
    assert (packed != clean).mean() > 0.3 and np.abs(packed.astype(float) - clean).mean() < 6


def test_the_ball_is_drawn_at_the_middle_of_its_exposure():
    """Blurred as far as it moves meanwhile, its light's centre where a still picture has it."""
    exposure, given = 0.05, poses(np.array([0.3]), (256, 256), 3.0)
    empty = BARE.render(SEED, np.array([20.0]), *given[1:])[0].astype(float)
    middles, spreads = [], []
    for renderer in (BARE, Filmed(BARE, FilmConfig(exposure=exposure))):
        light = np.abs(renderer.render(SEED, *given)[0] - empty).sum(axis=-1)
        grid = np.stack(np.indices(light.shape), axis=-1)[..., ::-1]
        middle = np.einsum("hw,hwk->k", light, grid) / light.sum()
        middles.append(middle)
        spreads.append(np.einsum("hw,hwk->k", light, (grid - middle) ** 2) / light.sum())
    ends = BARE.truth(SEED, 0.3 + np.array([-0.5, 0.5]) * exposure)[0][:, 0] - given[2][0]
    local = ends @ world_to_camera(0.0, 0.0).T
    seen = intrinsics_for(256, 256).focal * local[:, :2] / local[:, 2:]
    way = seen[1] - seen[0]
    assert np.linalg.norm(way) > 8
    np.testing.assert_allclose(middles[1], middles[0], atol=0.25)
    # Of PARTS places evenly along the way.
    np.testing.assert_allclose(
        spreads[1] - spreads[0], way**2 * (1 - PARTS**-2) / 12, atol=0.06 * float(way @ way) / 12
    )


def test_pictures_of_a_film_are_pure_in_their_arguments():
    filmed = Filmed(BARE, FULL)
    assert isinstance(filmed, Renderer) and filmed.scene is BARE.scene and not hasattr(filmed, "module")
    times, angles, places, size = poses(TIMES)
    together = pickle.loads(pickle.dumps(filmed)).render(SEED, times, angles, places, size)
    alone = [filmed.render(SEED, times[i : i + 1], angles[i : i + 1], places[i : i + 1], size)[0] for i in (2, 0, 1)]
    np.testing.assert_array_equal(np.stack(alone), together[[2, 0, 1]])
    np.testing.assert_array_equal(filmed.render(SEED, times, angles[:1], places[0], size), together)
    assert (filmed.render(SEED, times + 1e-9, angles, places, size) != together).any()


def test_an_o2t_sample_of_a_film_is_a_pure_function_of_seed_split_and_index():
    config = small_config()
    config.film.update({"noise": 4.0, "exposure": 1 / 250, "bits": 0.25, "frames": 4})
    config.motion_threshold = 32
    mix = ModeMix((0.0, 0.0, 1.0), 4, 6)
    one, two = build(config).source, build(config).source
    assert isinstance(one.renderer, Filmed)
    two("train", 5, mix)
    np.testing.assert_array_equal(two("train", 1, mix).pictures, one("train", 1, mix).pictures)
    assert (one("test", 1, mix).pictures != one("train", 1, mix).pictures).any()


def test_the_filmed_config_is_the_cpu_config_seen_by_a_camera():
    (_, filmed), (_, plain) = load_config("cpu:filmed"), load_config("cpu")
    renderer, _ = make_renderer(filmed)
    assert isinstance(renderer, Filmed) and renderer.config == FULL
    filmed.film, filmed.motion_threshold = plain.film, plain.motion_threshold
    assert filmed.to_dict() == plain.to_dict()
    with pytest.raises(UsageError, match="variant='film' is unknown: did you mean 'filmed'"):
        load_config("cpu:film")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"film.noise": -1.0}, r"film\.noise=-1"),
        ({"film.bits": 0.001}, r"film\.bits=0\.001 is .* at least 1000 bit/s"),
        ({"film.bits": 25.0}, r"film\.bits=25 must be 0 to 24"),
        ({"film.frames": 3}, r"film\.frames=3"),
        ({"film.fps": 2000.0}, r"film\.fps=2000 must be above 0 and at most 1000"),
        ({"film.exposure": 0.05}, r"film\.exposure=0\.05 s is longer than a frame of film\.fps=30 .*\(0\.0333 s\)"),
        ({"film.noise": 4.0, "render_backend": "device"}, r"film\.noise=4: render_backend=device"),
    ],
)
def test_wrong_films_are_one_line(fields, message):
    config = small_config()
    config.update_from_flattened_dict(fields)
    with pytest.raises(UsageError, match=message):
        build(config)


def test_a_shutter_may_be_open_for_a_whole_frame():
    for fps in (1000.0, 30.0, 7.0, 3.0):
        config = small_config()
        config.film.exposure, config.film.fps = 1 / fps, fps
        build(config)


def test_a_config_and_the_encoder_agree_on_the_least_rate():
    """The number stands twice, as a config is checked without numpy."""
    assert o2t_config.LEAST_BITS == h264.LEAST_BITS
