"""Films become tracks: where a ball is, to a part of a px; what does not move by itself is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.data.recordings.background import find_background
from o2t_jax.data.recordings.blobs import find_blobs
from o2t_jax.data.recordings.tracks import find_tracks, noise_of
from o2t_jax.errors import UsageError
from tests.recording_films import flight, frames


def film(pictures, fps=60.0):
    return [(i / fps, picture) for i, picture in enumerate(pictures)]


def test_a_ball_is_found_to_a_tenth_of_a_px_and_its_noise_is_told():
    path = flight()
    seen = film(frames(path))
    (track, *others) = find_tracks(seen, find_background(seen))
    assert not others
    assert len(track.times) == 30 and track.whole.all()
    error = track.points - path
    assert np.sqrt(np.mean((error - error.mean(0)) ** 2)) < 0.1
    assert np.abs(error.mean(0)).max() < 0.2
    assert 0.01 < noise_of(track.times, track.points) < 0.1
    assert track.radius == pytest.approx(5, abs=0.6)


def test_a_rope_does_not_pull_the_centre():
    path = flight()
    pictures = frames(path)
    seen = film(pictures)
    background = find_background(seen)
    with_rope = pictures[12].copy()
    x, y = np.round(path[12]).astype(int)
    with_rope[: y - 3, x : x + 2] = 20
    free, tied = (find_blobs(each, background)[0] for each in (pictures[12], with_rope))
    assert np.hypot(free.x - tied.x, free.y - tied.y) < 0.5


def test_two_balls_that_cross_keep_their_names():
    t = np.linspace(0, 1, 40)
    pictures = frames(np.stack([20 + 110 * t, 40 + 30 * t], 1))
    other = frames(np.stack([140 - 110 * t, 75 - 30 * t], 1), radius=4)
    both = np.where(np.abs(other.astype(int) - np.median(other, 0)).max(-1, keepdims=True) > 30, other, pictures)
    seen = film(both.astype(np.uint8))
    tracks = find_tracks(seen, find_background(seen))
    assert len(tracks) >= 2
    assert sorted(np.sign(np.diff(track.points[[0, -1], 0])[0]) for track in tracks[:2]) == [-1, 1]


def test_a_still_film_a_moving_camera_and_a_short_film_are_refused():
    still = film(frames(np.tile([[80.0, 60.0]], (12, 1))))
    with pytest.raises(UsageError, match="nothing moves"):
        find_tracks(still, find_background(still))
    swept = film(frames(flight(), shift=lambda number: 0.8 * number))
    with pytest.raises(UsageError, match="the camera moves"):
        find_background(swept)
    with pytest.raises(UsageError, match="4 frames"):
        find_background(still[:4])
