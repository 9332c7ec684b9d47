"""Discs tracked in a film: to a fraction of a pixel, whatever else is in the picture; and tracks as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from o2t_jax import media
from o2t_jax.data.recorded.discs import Look, Seen, find_discs, learn_look, track_discs
from o2t_jax.data.recorded.film import Film
from o2t_jax.data.recorded.outlines import outline
from o2t_jax.data.recorded.track_file import read_tracks, tracks_text
from o2t_jax.errors import UsageError
from tests.disc_recordings import RATE, Collision, clock, draw_film

RADIUS, SIZE = 8.0, (96, 176)


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> tuple[Path, np.ndarray, np.ndarray]:
    """A film at 30 frames/s of what happened at `RATE`, its places [T, 2, 2] px and the camera's shake [T, 2] px."""
    truth = Collision(radius=RADIUS, at=(70.0, 40.0), offset=0.4, speed=600.0, friction=900.0)
    places = truth.places(clock(20, 40))
    shake = np.random.default_rng(4).normal(size=(len(places), 2)) * 0.15
    path = tmp_path_factory.mktemp("film") / "discs.mp4"
    path.write_bytes(media.mp4(draw_film(places, RADIUS, SIZE, shake), 30.0))
    return path, places, shake


@pytest.fixture(scope="module")
def tracked(shown) -> list[Seen]:
    return track_discs(Film(shown[0], fps=RATE))


def test_centres_are_found_to_a_fraction_of_a_pixel(shown, tracked):
    places, seen = shown[1], tracked
    assert len(seen) == 2
    for disc, truth in zip(seen, np.moveaxis(places, 1, 0), strict=True):
        np.testing.assert_allclose(disc.times, np.arange(len(truth)) / RATE, atol=1e-9)
        error = disc.places - truth
        # A shift that all frames share, such as that of the first one, moves no velocity.
        assert np.abs(error.mean(axis=0)).max() < 0.15
        assert np.std(error - error.mean(axis=0)) < 0.08
        assert np.median(disc.radii) == pytest.approx(RADIUS, abs=0.25)


def test_the_camera_s_shake_is_taken_away(shown, tracked):
    _, places, shake = shown
    resting = tracked[1].places[:19] - places[:19, 1]
    assert np.std(resting - resting.mean(axis=0)) < 0.5 * np.std(shake)


def test_times_are_the_frames_own_unless_a_rate_is_given(shown):
    own, given = ([time for time, _ in Film(shown[0], fps=fps).frames()] for fps in (None, RATE))
    np.testing.assert_allclose(own, np.arange(60) / 30.0, atol=1e-3)
    np.testing.assert_allclose(given, np.arange(60) / RATE)


def test_a_part_of_film_and_picture(shown):
    path, places, _ = shown
    seen = track_discs(Film(path, 10 / RATE, 40 / RATE, RATE, roi=(10, 8, 150, 80)))
    assert [len(disc.times) for disc in seen] == [31, 31]
    np.testing.assert_allclose(seen[1].places[5], places[15, 1] - (10, 8), atol=0.3)


def test_a_hand_and_a_lamp_are_no_discs(shown):
    path, places, shake = shown
    film = Film(path, fps=RATE)
    look = learn_look(film)
    assert look.sign == 1.0 and look.radius == pytest.approx(RADIUS, rel=0.1)
    for number, (_, grey) in enumerate(film.frames()):
        if number % 4:
            continue
        centres = sorted((disc.x, disc.y) for disc in find_discs(grey, look))
        np.testing.assert_allclose(centres, sorted(map(tuple, places[number] + shake[number])), atol=0.6)


def test_dark_discs_on_a_light_table(tmp_path):
    places = Collision(radius=RADIUS, at=(70.0, 40.0)).places(clock(16, 16))
    path = tmp_path / "dark.mp4"
    path.write_bytes(media.mp4(255 - draw_film(places, RADIUS, SIZE), 30.0))
    seen = track_discs(Film(path, fps=RATE))
    assert learn_look(Film(path)).sign == -1.0
    np.testing.assert_allclose(seen[0].places, places[:, 0], atol=0.4)


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 0.75])
def test_an_outline_s_centre_does_not_stick_to_pixels(shift):
    y, x = np.mgrid[:40, :40] + 0.5
    centre = np.array([20 + shift, 19 - shift])
    contrast = (100 * np.clip(7.3 - np.hypot(x - centre[0], y - centre[1]) + 0.5, 0, 1)).astype(np.float32)
    disc = outline(contrast, 21.0, 20.0, 7.0)
    assert disc is not None
    np.testing.assert_allclose((disc.x, disc.y), centre, atol=0.03)
    assert disc.radius == pytest.approx(7.3, abs=0.05) and disc.share > 0.95


def test_an_outline_with_a_part_covered_and_none():
    y, x = np.mgrid[:40, :40] + 0.5
    contrast = (100 * np.clip(7.5 - np.hypot(x - 20, y - 20), 0, 1)).astype(np.float32)
    contrast[:, 26:] = 100  # another thing, of the same brightness, over the right edge
    disc = outline(contrast, 19.0, 20.5, 7.0)
    assert disc is not None and disc.share < 0.95
    np.testing.assert_allclose((disc.x, disc.y), (20, 20), atol=0.15)
    assert outline(np.zeros((40, 40), np.float32), 20, 20, 7.0) is None


def test_touching_discs_are_two():
    y, x = np.mgrid[:60, :80] + 0.5
    grey = np.full((60, 80), 40.0)
    for cx in (30.0, 46.0):
        grey = np.maximum(grey, 40 + 160 * np.clip(8.5 - np.hypot(x - cx, y - 30), 0, 1))
    look = Look(np.full((60, 80), 40, np.float32), 1.0, 50.0, 8.0)
    found = sorted(find_discs(grey.astype(np.uint8), look))
    np.testing.assert_allclose([disc[:2] for disc in found], [(30, 30), (46, 30)], atol=0.3)


def still(tmp_path: Path) -> Path:
    path = tmp_path / "still.mp4"
    path.write_bytes(media.mp4(np.full((20, 64, 64, 3), 90, np.uint8), 30.0))
    return path


@pytest.mark.parametrize(
    ("make", "discs", "line"),
    [
        (lambda folder: Film(folder / "none.mp4"), 2, "is no file"),
        (lambda folder: Film(broken(folder)), 2, "cannot be read as a film"),
        (lambda folder: Film(still(folder)), 2, "nothing round that moves"),
        (lambda folder: Film(still(folder), start=9.0), 2, "no frame from 9"),
        (lambda folder: Film(still(folder), roi=(0, 0, 99, 9)), 2, "not inside the picture of 64 x 64"),
    ],
)
def test_a_film_that_cannot_be_tracked_is_one_line(tmp_path, make, discs, line):
    with pytest.raises(UsageError, match=line):
        track_discs(make(tmp_path), discs)


def test_fewer_discs_than_wanted_is_one_line(shown):
    with pytest.raises(UsageError, match=r"2 discs of radius .* were found, 3 are wanted"):
        track_discs(Film(shown[0]), 3)


def broken(folder: Path) -> Path:
    path = folder / "broken.mp4"
    path.write_bytes(b"this is no film" * 100)
    return path


def test_tracks_are_read_as_they_were_written(tmp_path):
    tracks = {"1": np.array([[0.0, 1, 2, 8], [0.5, 3, 4, 8]]), "b c": np.array([[0.25, 5, 6, 7]])}
    path = tmp_path / "tracks.csv"
    path.write_text(tracks_text(tracks))
    again = read_tracks(path)
    assert list(again) == ["1", "b c"]
    for name, rows in tracks.items():
        np.testing.assert_allclose(again[name], rows)


def test_columns_may_come_in_any_order_and_without_a_radius(tmp_path):
    path = tmp_path / "tracks.csv"
    path.write_text("\ufeffID, Y, X, T, note\na,2,1,0,x\n\na,3,2,1,y\n")
    rows = read_tracks(path)["a"]
    np.testing.assert_allclose(rows[:, :3], [[0, 1, 2], [1, 2, 3]])
    assert np.isnan(rows[:, 3]).all()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("t,id,x\n0,a,1\n", "no column y"),
        ("", "no column t, id, x, y"),
        ("t,id,x,y\n", "has no rows"),
        ("t,id,x,y\n0,a,1,1\n0,a,1,1\n", "line 3: time 0 of id a is not after 0"),
        ("t,id,x,y\n0,a,nan,1\n", "line 2: 'nan' is no finite number"),
        ("t,id,x,y\n0,a,,1\n", "line 2: '' is no finite number"),
        ("t,id,x,y\n0,a,1\n", "line 2: 3 cells"),
        ("t,id,x,y\n" + "".join(f"0,{i},1,1\n" for i in range(60)), "more than 50 ids"),
    ],
)
def test_a_damaged_table_is_one_line(tmp_path, text, line):
    path = tmp_path / "tracks.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=line) as error:
        read_tracks(path)
    assert "\n" not in str(error.value)
