"""Rendered recordings: motions obey the laws they say, the ball is drawn where its path is, and all is reproducible."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.data.recorded.film import Film
from o2t_jax.data.recordings import motions
from o2t_jax.data.recordings.background import find_background
from o2t_jax.data.recordings.motions import LAWFUL, OUTSIDE
from o2t_jax.data.recordings.rendered import SIZE, Stage, make_recording, make_scene, make_stage
from o2t_jax.data.recordings.tracks import find_tracks
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.recordings import LAWS
from o2t_jax.evaluation.recordings.law import Stretch
from o2t_jax.render.effects.camera import Camera


def rates(motion, t, h=1e-3):
    """Velocity and acceleration [T, 2] by differences of fourth order."""
    h *= motion.duration
    a, b, c, d, e = (motion.place(t + k * h) for k in (-2, -1, 0, 1, 2))
    return (a - 8 * b + 8 * d - e) / (12 * h), (-a + 16 * b - 30 * c + 16 * d - e) / (12 * h**2)


def grid(motion):
    return np.linspace(0.05, 0.95, 12) * motion.duration


DOWN = np.array([0.0, -1.0])


@pytest.mark.parametrize("seed", range(3))
def test_flights_fall_with_g_and_drag_is_along_the_path(seed):
    for make in (motions.free_flight, motions.flight_with_drag):
        motion = make(np.random.default_rng(seed))
        v, a = rates(motion, grid(motion))
        drag = motion.truth.get("drag", 0.0) * np.linalg.norm(v, axis=1, keepdims=True) * v
        np.testing.assert_allclose(a, motion.truth["g"] * DOWN - drag, rtol=2e-3, atol=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_pendulum_spring_and_slope_obey_their_equations(seed):
    motion = motions.pendulum(np.random.default_rng(seed))
    t, length = grid(motion), motion.truth["length"]
    x, (v, a) = motion.place(t), rates(motion, t)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), length, rtol=1e-9)
    along = np.stack([-x[:, 1], x[:, 0]], axis=1) / length  # of growing angle
    pull = length * motion.truth["g_over_length"] * DOWN - motion.truth["damping"] * v
    np.testing.assert_allclose(np.sum(a * along, 1), np.sum(pull * along, 1), atol=5e-3 * np.abs(a).max())

    motion = motions.damped_spring(np.random.default_rng(seed))
    t, w = grid(motion), 2 * np.pi / motion.truth["period"]
    x, (v, a) = motion.place(t), rates(motion, t)
    np.testing.assert_allclose(a, -(w**2) * x - motion.truth["damping"] * v, atol=1e-3 * np.abs(a).max())

    motion = motions.slope(np.random.default_rng(seed))
    v, a = rates(motion, grid(motion))
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), motion.truth["acceleration"], rtol=1e-3)
    angle = np.degrees(np.arctan(a[:, 1] / a[:, 0]))
    np.testing.assert_allclose(angle, motion.truth["slope"], atol=0.1)


def test_names_and_values_are_those_of_the_registry_and_outside_ones_are_not():
    for make in LAWFUL:
        motion = make(np.random.default_rng(0))
        law = LAWS.get(motion.law)
        values = np.ones((1, len(law.names)))
        assert set(motion.truth) <= set(law.quantities(values, Stretch(np.ones(1), np.ones(1))))
    assert not {make(np.random.default_rng(0)).law for make in OUTSIDE} & set(LAWS)


def test_views_keep_the_ball_in_the_picture_and_tilts_are_seen_in_perspective():
    for index in range(18):
        stage, times = make_scene(3, index, LAWFUL + OUTSIDE)
        seen, larger = stage.seen(times)
        assert (seen - stage.radius * larger[:, None] > 0).all()
        assert (seen + stage.radius * larger[:, None] < SIZE - 1).all()
        assert np.ptp(seen, axis=0).max() > 80
    still = motions.Motion("", {}, 1.0, lambda t: np.stack([t, 0 * t], axis=1))
    black, wall = np.zeros(3), np.zeros((SIZE, SIZE, 3))
    stage = Stage(still, 100.0, 256.0, (0.1, 0.0), 0.0, np.zeros(2), 5.0, black, wall)
    x = (stage.seen(np.array([-1.0, 0.0, 1.0]))[0] - (SIZE - 1) / 2)[:, 0]
    # A point 100 px along a plane turned by 0.1 rad is 100 sin 0.1 px nearer or farther, of 256.
    expected = [256 * k * 100 * np.cos(0.1) / (256 - k * 100 * np.sin(0.1)) for k in (-1, 0, 1)]
    np.testing.assert_allclose(x, expected, rtol=1e-9)


def test_the_ball_is_drawn_at_its_path():
    stage, times = make_scene(0, 0)
    pictures = stage.render(times[::10]).astype(float)
    path, larger = stage.seen(times[::10])
    rows, columns = np.mgrid[:SIZE, :SIZE]
    contrast = stage.colour - stage.wall
    for picture, place, factor in zip(pictures, path, larger, strict=True):
        # The share that is covered, by the difference in colour from the wall.
        cover = np.sum((picture - stage.wall) * contrast, -1) / np.sum(contrast**2, -1)
        centre = np.array([np.sum(cover * columns), np.sum(cover * rows)]) / cover.sum()
        np.testing.assert_allclose(centre, place, atol=0.03)
        assert cover.sum() == pytest.approx(np.pi * (factor * stage.radius) ** 2, rel=0.02)


def test_a_recording_is_pure_in_seed_and_index_and_its_file_is_followed(tmp_path):
    def camera(step):
        return Camera(exposure=0.2 * step, noise=2.0)

    recording, again = (make_recording(0, 5, camera) for _ in range(2))
    np.testing.assert_array_equal(recording.frames, again.frames)
    assert make_scene(1, 5)[0].scale != recording.stage.scale == make_scene(0, 5)[0].scale
    path = tmp_path / "clip.mp4"
    path.write_bytes(recording.mp4(4e6))
    film = Film(path)
    track = find_tracks(film.colours(), find_background(film.colours()))[0].kept()
    assert len(track.times) > 0.9 * len(recording.times)
    true = np.stack([np.interp(track.times, recording.times, column) for column in recording.path.T], axis=1)
    assert np.sqrt(np.mean((track.points - true) ** 2)) < 0.4


def test_a_motion_without_extent_is_one_line():
    resting = motions.Motion("rest", {}, 1.0, lambda t: np.zeros((len(t), 2)))
    with pytest.raises(UsageError, match=r"^[^\n]*extent[^\n]*$"):
        make_stage(resting, np.random.default_rng(0))
