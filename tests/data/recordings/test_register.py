"""Seeing by the object's own picture: a ball half of which looks like the wall, and one that rests."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.data.recordings.background import cleared, find_background
from o2t_jax.data.recordings.register import register
from o2t_jax.data.recordings.tracks import find_tracks
from o2t_jax.errors import UsageError

SIZE, RADIUS = (70, 130), 9.0
WALL, STRIPE, BLUE = np.array([200.0, 190, 180]), np.array([120.0, 110, 90]), np.array([30.0, 60, 160])


def film(centres, light=0.0, turns=None):
    """A ball before a wall with a stripe; its upper half is of the wall's colour. Drawn at four times the size."""
    rng = np.random.default_rng(0)
    y, x = (np.indices((SIZE[0] * 4, SIZE[1] * 4)) + 0.5) / 4 - 0.5
    room = np.where((np.abs(x - 70) < 14)[..., None], STRIPE, WALL)
    for number, (cx, cy) in enumerate(centres):
        inside = (x - cx) ** 2 + (y - cy) ** 2 < RADIUS**2
        angle = 0.0 if turns is None else turns[number]
        lower = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle) > 0
        ball = np.where(lower[..., None], BLUE, WALL)
        picture = np.where(inside[..., None], ball, room).reshape(SIZE[0], 4, SIZE[1], 4, 3).mean(axis=(1, 3))
        yield number / 30, np.clip(picture + light + rng.normal(0, 1.5, picture.shape), 0, 255).astype(np.uint8)


def swing(count=45):
    t = np.arange(count) / 30
    return np.stack([64 + 42 * np.sin(4.2 * t), 34 + 4 * np.sin(4.2 * t) ** 2], 1)


def test_the_own_picture_finds_the_centre_that_a_blob_misses():
    centres, turns = swing(), 0.15 * np.sin(4.2 * np.arange(45) / 30)
    background = find_background(film(centres, turns=turns))
    (track, *_) = find_tracks(film(centres, turns=turns), background)
    found = register(lambda: film(centres, turns=turns), background, track)
    rows = np.round(track.times * 30).astype(int)

    def error(points):
        away = points - centres[rows]
        return np.std(away[found.track.whole], axis=0).max()

    assert found.track.whole.mean() > 0.9
    assert error(track.points) > 0.5  # the wall-coloured half is seen before the stripe only
    assert error(found.track.points) < 0.06
    assert found.likeness.radius() == pytest.approx(RADIUS, rel=0.06)
    aside = np.mean(found.track.points - centres[rows], axis=0)
    assert np.abs(aside).max() < 0.15  # of the whole ball, not of its blue half
    turned = found.angles - turns[rows]
    assert np.std(turned[found.track.whole]) < 0.02


def test_what_an_object_hides_most_of_the_time_is_cleared():
    centres = np.concatenate([np.full((30, 2), 40.0), np.stack([np.linspace(40, 110, 20), np.full(20, 40.0)], 1)])
    centres[:30, 1] = 40.0
    background = find_background(film(centres))
    times = np.arange(50) / 30
    clean = cleared(background, film(centres), times, centres, RADIUS + 3)
    assert np.linalg.norm(background.picture[45, 40] - WALL) > 100
    assert np.linalg.norm(clean.picture[45, 40] - WALL) < 5


def test_what_has_no_picture_of_its_own_is_refused():
    centres = swing(12)
    background = find_background(film(centres))
    (track, *_) = find_tracks(film(centres), background)
    empty = background.picture.round().astype(np.uint8)
    with pytest.raises(UsageError, match="no picture of its own"):
        register(lambda: ((time, empty) for time in track.times), background, track)
