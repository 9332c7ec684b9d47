"""The refined law: from exact and noisy directions of whole flights, wrong sightings included."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t.refined_law import as_tracks, measure_sightings, refine
from o2t_jax.evaluation.o2t.sights import Sightings
from o2t_jax.geometry.camera import intrinsics_for, look_at, project, world_to_camera
from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.integrators import rkn4_step, semi_implicit_euler_step
from o2t_jax.systems.o2t_sights import O2TSights
from tests.defaults import o2t_model

SIZE = 1024
INTRINSICS = intrinsics_for(SIZE, SIZE)
LAW = (9.4, -6.5)
STEP = 0.5e-3


def height(gravity, z, v, until, euler):
    step, h = (semi_implicit_euler_step, STEP) if euler else (rkn4_step, 0.01)
    for _ in range(round(until / h)):
        z, v = step(gravity.g, z, v, h)
    return z


def flights(seed, count=40, noise=0.0, euler=False, law=LAW):
    """Windows of `count` flights as a static rig sees them; some cameras miss some moments."""
    rng, gravity = np.random.default_rng(seed), Gravity.hyperbolic(*law)
    bearing = np.radians([-127.0, -53.0, 53.0, 127.0])
    cameras = np.stack([35 * np.cos(bearing), 35 * np.sin(bearing), np.full(4, 2.0)], axis=-1)
    angles = np.stack(look_at(cameras, np.array([0.0, 0.0, 9.0])), axis=-1)
    rows = []
    for flight in range(count):
        start = np.array([rng.uniform(-9, 9), rng.uniform(-5, 5), rng.uniform(2, 16)])
        velocity = np.array([*rng.uniform(-3, 3, 2), rng.uniform(-1, 6)])
        for moment in range(int(rng.integers(4, 7))):
            t = 0.2 * moment
            z = height(gravity, start[2], velocity[2], t, euler)
            place = np.array([*(start[:2] + velocity[:2] * t), z])
            for camera in np.flatnonzero(rng.random(4) < 0.8):
                para = np.array([0.1 + t, *cameras[camera], *angles[camera]])
                rows.append((para, flight, camera, moment, place))
    para, flight, camera, moment, position = (np.stack(column) for column in zip(*rows, strict=True))
    windows = SimpleNamespace(para=para, flight=flight, camera=camera, moment=moment, position=position)
    pixels, _ = project(position, para[:, 1:4], world_to_camera(para[:, 4], para[:, 5]), INTRINSICS)
    pixels = pixels + noise * rng.standard_normal(pixels.shape)
    return windows, Sightings(pixels, np.ones(len(pixels), bool))


def test_exact_directions_give_the_law_exactly():
    windows, sightings = flights(0)
    found = refine(windows, sightings, INTRINSICS)
    np.testing.assert_allclose(found.fit.values, LAW, atol=1e-4)
    assert found.fit.converged and found.flights == found.flights_found == 40
    assert found.pictures == found.pictures_found == len(windows.flight)


def test_the_benchmarks_integrator_moves_the_law_by_nothing():
    # Semi-implicit Euler is the exact motion with another start velocity, which the fit leaves free.
    found = refine(*flights(1, count=20, euler=True), INTRINSICS)
    np.testing.assert_allclose(found.fit.values, LAW, atol=2e-3)
    assert found.fit.noise < 1e-3


def test_pulls_are_what_the_covariance_says():
    pulls, noises = [], []
    for seed in range(16):
        found = refine(*flights((2, seed), count=20, noise=0.06), INTRINSICS)
        error = found.fit.values - LAW
        pulls.append(error / np.sqrt(np.diag(found.covariance)))
        noises.append(found.fit.noise)
    # 16 draws: the mean square of a pull is 1 +- 0.35, less what "the wider of two" costs.
    assert np.all(np.mean(np.square(pulls), axis=0) < 2.1) and np.all(np.mean(np.square(pulls), axis=0) > 0.2)
    assert np.all(np.abs(np.mean(pulls, axis=0)) < 0.8)
    assert np.mean(noises) == pytest.approx(0.06, rel=0.05)


def test_wrong_sightings_and_touched_flights_are_left_out():
    windows, sightings = flights(3, noise=0.05)
    rng, pixels = np.random.default_rng(4), sightings.pixels.copy()
    wrong = rng.random(len(pixels)) < 0.05
    pixels[wrong] += rng.choice([-1.0, 1.0], (wrong.sum(), 2)) * rng.uniform(0.6, 2.5, (wrong.sum(), 2))
    touched = (windows.flight == 7) & (windows.moment >= 2)
    pixels[touched, 1] += 0.8 * (windows.moment[touched] - 1)
    seen = sightings.seen.copy()
    seen[::97] = False
    pixels[~seen] = np.nan
    pixels[5] += 300.0
    clean = refine(windows, sightings, INTRINSICS)
    found = refine(windows, Sightings(pixels, seen), INTRINSICS)
    assert np.all(np.abs(found.fit.values - LAW) < 3.0 * np.sqrt(np.diag(found.covariance)))
    assert np.all(found.half_width < 2.0 * clean.half_width)
    assert found.fit.noise == pytest.approx(0.05, rel=0.1)
    assert found.flights < 40 and found.pictures < len(pixels) - wrong.sum()


def test_errors_that_a_flights_pictures_share_widen_the_intervals():
    windows, sightings = flights(5, noise=0.02)
    # A ball's own error grows with time, alike in all cameras: to the pixels it looks like motion.
    share = np.random.default_rng(6).normal(0, 0.5, 40)[windows.flight] * (windows.para[:, 0] - 0.1) ** 2
    found = refine(windows, Sightings(sightings.pixels + share[:, None] * [0.0, 1.0], sightings.seen), INTRINSICS)
    assert found.covariance[1, 1] > 3.0 * found.fit.covariance[1, 1]
    assert np.all(np.abs(found.fit.values - LAW) < 3.0 * np.sqrt(np.diag(found.covariance)))


def test_errors_that_a_flights_camera_keeps_are_separated_from_noise():
    rng = np.random.default_rng(8)
    errors, widths = [], []
    for seed in range(6):
        windows, sightings = flights((9, seed), count=30, noise=0.004)
        kept = rng.normal(0, 0.05, (30, 4, 2))[windows.flight, windows.camera]
        moved = Sightings(sightings.pixels + kept, sightings.seen)
        aware, blind = (refine(windows, moved, INTRINSICS, camera_errors=flag) for flag in (True, False))
        assert aware.fit.noise == pytest.approx(0.004, rel=0.1) and aware.pictures > 0.97 * aware.pictures_found
        errors.append([np.abs(law.fit.values[1] - LAW[1]) for law in (aware, blind)])
        widths.append(aware.half_width[1])
    aware, blind = np.mean(errors, axis=0)
    assert aware < 0.3 * blind and aware < np.mean(widths)
    # Where there are none, nothing changes.
    windows, sightings = flights(10, noise=0.01)
    plain, aware = (refine(windows, sightings, INTRINSICS, camera_errors=flag) for flag in (False, True))
    np.testing.assert_allclose(aware.fit.values, plain.fit.values, atol=0.5 * plain.half_width.min())
    np.testing.assert_allclose(aware.half_width, plain.half_width, rtol=0.15)


def test_a_flight_that_one_camera_sees_does_not_count():
    windows, sightings = flights(11, count=12, noise=0.02)
    seen = sightings.seen & ((windows.flight != 4) | (windows.camera == 1))
    found = refine(windows, sightings._replace(seen=seen), INTRINSICS)
    assert found.flights == 11 and 4 not in found.paths.flight
    for number, first, last in zip(found.paths.flight, found.paths.first, found.paths.last, strict=True):
        times = windows.para[windows.flight == number, 0]
        assert times.min() <= first < last <= times.max()


def test_tracks_of_unequal_length_are_padded():
    windows, sightings = flights(0, count=5)
    keep = windows.flight != 2
    tracks, rows = as_tracks(windows, sightings.pixels, keep)
    assert len(rows) == 4 and np.all(np.diff(tracks.times, axis=1) >= 0)
    assert sorted(rows[rows >= 0]) == list(np.flatnonzero(keep))
    for row, numbers in enumerate(rows):
        there = numbers >= 0
        np.testing.assert_array_equal(tracks.times[row, there], windows.para[numbers[there], 0])
        np.testing.assert_array_equal(tracks.position[row, there], windows.para[numbers[there], 1:4])
    assert np.all(np.isfinite(tracks.times)) and np.any(rows < 0)


def test_nothing_seen_is_one_line():
    windows, sightings = flights(0, count=3)
    for seen in (np.zeros(len(windows.flight), bool), np.arange(len(windows.flight)) < 3):
        with pytest.raises(UsageError, match=r"of 3 flights in .* windows the network sees the ball in too few"):
            refine(windows, sightings._replace(seen=seen), INTRINSICS)


def test_the_networks_sightings_come_back_as_pixels_of_the_full_picture():
    from o2t_jax.models.o2t.network import O2TModel
    from o2t_jax.models.o2t.stereo import Sighting

    class Bright(O2TModel):
        """Its tower is replaced by brightness, so that no training is needed."""

        def sight(self, pictures, para, window=None):
            from o2t_jax.models.o2t.stereo import camera_poses, locate

            mask = (pictures.mean(axis=-1) > 0.5).astype(np.float32)
            _, rotation = camera_poses(para)
            sighting: Sighting = locate(mask, rotation, self.lens(*mask.shape[-2:], window))
            return sighting

    pictures, corners = np.zeros((3, 32, 32, 3), np.uint8), np.array([[10.0, 900.0], [500.0, 480.0], [900.0, 7.0]])
    for picture in pictures[:2]:
        picture[12:17, 14:19] = 255
    windows = SimpleNamespace(pictures=pictures, window=corners)
    usual = o2t_model(camera_size=SIZE)
    fields = {name: getattr(usual, name) for name in Bright.__dataclass_fields__ if name not in ("parent", "name")}
    found = measure_sightings(O2TSights(Bright(**fields), {}), windows, SIZE, batch=2)
    assert found.seen.tolist() == [True, True, False]
    np.testing.assert_allclose(found.pixels[:2], corners[:2] + np.array([16.5, 14.5]), atol=0.02)
