"""An object that stands for half of the film or more: its place is no background, and a thing put down is no ghost."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.commands import _recordings
from o2t_jax.data.recorded.film import Film
from o2t_jax.data.recordings.background import find_background
from o2t_jax.data.recordings.ghosts import find_ghosts, without_ghosts
from o2t_jax.data.recordings.register import register
from o2t_jax.data.recordings.tracks import follow, tracks_of
from tests.recording_films import flight, frames, room, write_film

FPS = 60


def timed(path):
    """The film of a ball in memory, 34 frames or more."""
    pictures = frames(path)
    return lambda: ((number / FPS, picture) for number, picture in enumerate(pictures))


def standing(first, last):
    """A ball's flight of 24 frames, before and after which it stands for so many frames."""
    way = flight(24)
    return np.concatenate([np.repeat(way[:1], first, 0), way, np.repeat(way[-1:], last, 0)])


@pytest.mark.parametrize(("first", "last"), [(36, 0), (0, 36)])
def test_the_empty_place_of_what_stood_there_is_a_ghost_and_is_taken_anew(first, last):
    path = standing(first, last)
    film = timed(path)
    background = find_background(film())
    (ghost,) = find_ghosts(follow(film(), background), background)
    place = path[0] if first else path[-1]
    assert np.hypot(ghost.x - place[0], ghost.y - place[1]) < 1.0
    clean = without_ghosts(background, film(), [ghost])
    wall = room(np.random.default_rng(0))
    y, x = np.indices(wall.shape[:2])
    near = np.hypot(x - place[0], y - place[1]) < 7
    assert np.abs(background.picture - wall)[near].mean() > 40
    assert np.abs(clean.picture - wall)[near].mean() < 3
    assert not find_ghosts(follow(film(), clean), clean)
    track = tracks_of(follow(film(), clean))[0]
    rows = np.round(track.times * FPS).astype(int)
    assert len(rows) == len(path) and np.abs(track.points - path[rows]).max() < 0.5


def test_what_arrives_or_leaves_in_the_other_half_is_no_ghost():
    for path in (standing(0, 16), standing(16, 0), standing(8, 8)):
        film = timed(path)
        background = find_background(film())
        assert find_ghosts(follow(film(), background), background) == []


def test_the_own_picture_of_what_stands_most_of_the_time_is_learnt_from_where_it_moves():
    path = standing(60, 0)
    film = timed(path)
    background = find_background(film())
    background = without_ghosts(background, film(), find_ghosts(follow(film(), background), background))
    found = register(film, background, tracks_of(follow(film(), background))[0])
    rows = np.round(found.track.times * FPS).astype(int)
    assert found.track.whole.all() and found.likeness.radius() == pytest.approx(5.0, rel=0.04)
    assert np.abs(found.track.points - path[rows]).max() < 0.35


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    path = write_film(tmp_path_factory.mktemp("film") / "rest.mp4", frames(standing(36, 0)))
    return _recordings.see(Film(path))


def test_the_command_says_that_something_stands(seen):
    assert [note for note in seen.notes if "an object stands at (20, 70) px for half of the film or more" in note]
    assert len(seen.tracks[0].times) > 55


@pytest.mark.slow
def test_the_law_of_what_stood_most_of_the_time_is_named_by_its_own_picture(seen):
    (found, *_) = _recordings.fit_objects(seen, _recordings.Wanted())
    assert found.analysis.part.naming.verdict == "free flight" and found.seen_by == "its own picture"
