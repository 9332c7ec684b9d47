"""The camera model against what each effect is: sizes in px, levels and bits."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.physics.gravity import Gravity
from o2t_jax.render.effects.camera import Camera
from o2t_jax.render.effects.frames import kept_frames, repeated_frames
from o2t_jax.render.effects.h264 import decode, encode
from o2t_jax.render.effects.lens import distorted_points, ideal_points, lens, matrix_of
from o2t_jax.render.effects.noise import noise
from o2t_jax.render.effects.shutter import exposed, rolling
from o2t_jax.render.opencv.renderer import SceneRenderer
from o2t_jax.render.scenes import get_scene
from o2t_jax.render.sensor import Sensor

SIZE = 64
SPEED = 200.0  # px/s
RNG = np.random.default_rng(0)


def bar(times):
    """A bright upright bar, 4 px wide, whose middle is at 20 px at time 0 and moves to the right."""
    x = np.arange(SIZE)
    middle = 20 + SPEED * np.asarray(times)[:, None]
    cover = np.clip(x + 0.5, middle - 2, middle + 2) - np.clip(x - 0.5, middle - 2, middle + 2)
    rows = np.repeat((200 * cover)[:, None, :, None], SIZE, axis=1)
    return np.rint(np.repeat(rows, 3, axis=3)).astype(np.uint8)


def moments(rows):
    """Mean and standard deviation of the light's place along each row of [H, W]."""
    light, x = rows.astype(float), np.arange(rows.shape[1])
    mean = light @ x / light.sum(1)
    return mean, np.sqrt(light @ x**2 / light.sum(1) - mean**2)


def textured(seed=0, size=(96, 128)):
    coarse = np.random.default_rng(seed).uniform(60, 190, (9, 12, 3)).astype(np.float32)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("levels", [0.0, 1.5, 4.0])
def test_noise_has_the_stated_deviation_and_no_bias(levels):
    left = noise(levels)(np.full((200, 200, 3), 120, np.uint8), np.random.default_rng(1)).astype(float) - 120
    expected = np.sqrt(levels**2 + (1 / 12 if levels else 0))
    assert left.std() == pytest.approx(expected, rel=0.01)
    assert abs(left.mean()) < 4 * expected / np.sqrt(left.size) + 1e-12
    neighbours = np.mean(left[1:] * left[:-1]), np.mean(left[..., 0] * left[..., 1])
    assert np.abs(neighbours).max() < 0.03 * max(levels, 1e-12) ** 2 + 1e-12


def test_blur_is_as_long_as_the_way_during_the_exposure():
    exposure = 0.05
    sharp, blurred = bar(np.zeros(1))[0, :, :, 0], exposed(bar, exposure, 20)(np.zeros(1))[0, :, :, 0]
    (middle, width), (moved, wider) = moments(sharp), moments(blurred)
    np.testing.assert_allclose(moved, middle, atol=0.05)  # the stamp is the exposure's middle
    length = np.sqrt(12 * (wider**2 - width**2))  # of a uniform smear
    np.testing.assert_allclose(length, SPEED * exposure, rtol=0.02)


def test_a_rolling_shutter_shears_by_speed_times_the_row_time():
    readout = 0.04
    middle, _ = moments(rolling(bar, readout, SIZE)(np.zeros(1))[0, :, :, 0])
    slope = np.polyfit(np.arange(SIZE), middle, 1)[0]
    assert slope == pytest.approx(SPEED * readout / SIZE, rel=0.01)
    assert np.interp((SIZE - 1) / 2, np.arange(SIZE), middle) == pytest.approx(20, abs=0.02)
    assert rolling(bar, 0.0) is bar and exposed(bar, 0.0) is bar


def test_undistorting_takes_the_lens_back():
    matrix, coefficients = matrix_of((96, 128), 120.0), (-0.2, 0.05, 0.002, -0.001, 0.0)
    points = RNG.uniform((5, 5), (122, 90), (50, 2))
    seen = distorted_points(points, matrix, coefficients)
    assert 1 < np.abs(seen - points).max() < 12
    np.testing.assert_allclose(ideal_points(seen, matrix, coefficients), points, atol=1e-6)
    picture = textured()
    through = lens(matrix, coefficients)(picture, RNG)
    back = cv2.undistort(through, matrix, np.array(coefficients))
    inner = np.s_[12:-12, 12:-12]
    assert np.abs(through.astype(int) - picture)[inner].mean() > 5 * np.abs(back.astype(int) - picture)[inner].mean()
    assert np.abs(back.astype(int) - picture)[inner].max() <= 4


def test_a_dot_is_seen_where_the_lens_puts_it():
    matrix, coefficients = matrix_of((96, 128), 120.0), (-0.2, 0.05, 0.0, 0.0, 0.0)
    y, x = np.mgrid[:96, :128]
    dot = np.exp(-((x - 100) ** 2 + (y - 20) ** 2) / 8) * 240
    seen = lens(matrix, coefficients)(np.repeat(dot[..., None], 3, 2).astype(np.uint8), RNG)[..., 0].astype(float)
    place = [np.sum(seen * x) / seen.sum(), np.sum(seen * y) / seen.sum()]
    expected = distorted_points(np.array([[100.0, 20.0]]), matrix, coefficients)[0]
    np.testing.assert_allclose(place, expected, atol=0.1)
    assert np.linalg.norm(expected - (100, 20)) > 1


def test_a_file_has_about_the_asked_bit_rate_and_fewer_bits_are_worse():
    still = textured(2, (128, 128))
    rng, times = np.random.default_rng(3), np.arange(60) / 30
    clip = np.stack([noise(6.0)(np.roll(still, 2 * i, 1), rng) for i in range(60)])
    worse = []
    for bits in (2e6, 8e5, 2e5):
        data = encode(clip, times, bits)
        assert 8 * len(data) / (60 / 30) == pytest.approx(bits, rel=0.25)
        stamps, back = decode(data)
        np.testing.assert_allclose(stamps, times, atol=2e-5)
        worse.append(10 * np.log10(255**2 / np.mean((back.astype(float) - clip) ** 2)))
    assert worse[0] > worse[1] + 0.5 > worse[2] + 1
    assert encode(clip[:9], times[:9], 2e5) == encode(clip[:9], times[:9], 2e5)


def test_a_clip_gives_the_same_bytes_whatever_the_memory_held_before():
    """Textured 96 x 96 px: with x264's AVX-512 code, 30 of 40 calls gave bytes of their own."""
    times, (y, x) = np.arange(24) / 30, np.mgrid[:96, :96]
    waves = [110 + 60 * np.sin((x + 3 * t) / 7) + 40 * np.cos((y - 2 * t) / 5) for t in range(24)]
    rng = np.random.default_rng(3)
    clip = np.clip(np.stack(waves)[..., None] + rng.normal(0, 8, (24, 96, 96, 3)), 0, 255).astype(np.uint8)
    found, kept = set(), []
    for _ in range(12):
        kept += [np.full(rng.integers(100, 3_000_000), rng.integers(255), np.uint8) for _ in range(6)]
        kept = [block for block in kept if rng.random() < 0.5]
        found.add(encode(clip, times, 70_000))
    assert len(found) == 1


def test_uneven_time_stamps_survive_the_file():
    times = np.array([0.0, 0.1, 0.13, 0.3, 0.35, 0.5])
    stamps, frames = decode(encode(bar(0.2 * times), times, 5e5))
    np.testing.assert_allclose(stamps, times, atol=2e-5)
    assert np.abs(frames.astype(float) - bar(0.2 * times)).mean() < 6


def test_lost_frames_are_left_out_or_shown_twice():
    kept = kept_frames(4000, 0.2, np.random.default_rng(0))
    assert kept[0] == 0 and len(kept) == pytest.approx(3200, abs=4 * np.sqrt(4000 * 0.16))
    np.testing.assert_array_equal(repeated_frames(np.array([0, 1, 4]), 6), [0, 1, 1, 1, 4, 4])
    times = np.arange(40) / 300
    stamps, frames = Camera(dropped=0.3).film(bar, times, 5)
    np.testing.assert_array_equal(frames, bar(stamps))
    assert len(stamps) < 40 and set(stamps) <= set(times)
    stamps, shown = Camera(dropped=0.3, repeats=True).film(bar, times, 5)
    np.testing.assert_array_equal(stamps, times)
    assert 0 < np.sum([(a == b).all() for a, b in itertools.pairwise(shown)]) == 40 - len(frames)


def test_a_film_is_pure_in_its_arguments_and_the_default_camera_changes_nothing():
    times = np.arange(6) / 50
    np.testing.assert_array_equal(Camera().film(bar, times, 0)[1], bar(times))
    camera = Camera(0.01, 0.01, (-0.05, 0.0, 0.0, 0.0, 0.0), 1.0, 3.0, 0.2, True, 4e5)
    one, two, other = (camera.film(bar, times, seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_effects_on_pictures_fit_the_sensor_of_the_scenes():
    bare = SceneRenderer(get_scene("ballistic"), Gravity.constant(9.81))
    sensor = Sensor(bare, Camera(noise=4.0, distortion=(-0.1, 0, 0, 0, 0)).effects((24, 32)))
    where = (np.zeros(1), np.array([[0.0, 5.0]]), np.array([[-8.0, 0.0, 2.0]]), (24, 32))
    np.testing.assert_array_equal(sensor.render(3, *where), sensor.render(3, *where))
    assert (sensor.render(3, *where) != bare.render(3, *where)).mean() > 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: noise(-1.0),
        lambda: exposed(bar, -0.1),
        lambda: rolling(bar, float("nan")),
        lambda: kept_frames(5, 1.0, RNG),
        lambda: encode(bar(np.zeros(2)), np.zeros(2), 1e5),
        lambda: encode(bar(np.zeros(2))[:, :63], np.arange(2.0), 1e5),
        lambda: encode(bar(np.zeros(2)), np.arange(2.0), 0),
        lambda: lens(matrix_of((64, 64), 20.0), (-2.0, 0, 0, 0, 0))(bar(np.zeros(1))[0], RNG),
    ],
)
def test_wrong_settings_are_one_line(wrong):
    with pytest.raises(UsageError, match=r"^[^\n]+$"):
        wrong()
