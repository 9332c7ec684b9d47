"""Films as phones and editors write them: turned, at a changing rate, with frames missing, with a header that lies."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from o2t_jax.commands._recordings import see
from o2t_jax.data.recorded.film import Film
from o2t_jax.errors import UsageError
from o2t_jax.render.effects.h264 import encode
from tests.recording_films import HEIGHT, WIDTH, flight, frames, write_film


def turned(data: bytes) -> bytes:
    """The same mp4, which says that it is to be shown a quarter turn clockwise (the matrix of its tkhd box)."""
    at = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    return data[:at] + struct.pack(">9i", 0, one, 0, -one, 0, 0, HEIGHT * one, 0, 1 << 30) + data[at + 36 :]


def write_stamped(path, pictures, stamps):
    """Frames with their own time stamps, ms; by one thread of the encoder, so that the bytes are always the same."""
    path.write_bytes(encode(pictures, stamps / 1000, 2e6))
    return path


def test_a_film_that_a_phone_turned_is_upright(tmp_path):
    path = write_film(tmp_path / "film.mp4", frames(flight(6)))
    straight = next(Film(path).colours())[1]
    path.write_bytes(turned(path.read_bytes()))
    found = next(Film(path).colours())[1]
    assert found.shape == (WIDTH, HEIGHT, 3)
    assert np.abs(found.astype(float) - np.rot90(straight, -1)).mean() < 1  # clockwise


def test_each_frame_has_its_own_time_at_a_changing_rate_and_where_some_are_missing(tmp_path):
    stamps = np.cumsum([0, *([17, 16, 17] * 6), *([33, 34] * 4)])
    stamps = np.delete(stamps, [7, 8, 15])
    times = stamps / 1000
    path = write_stamped(tmp_path / "film.mp4", frames(flight(len(times))), stamps)
    assert np.allclose([t for t, _ in Film(path).frames()], times, atol=1e-4)
    # A ball at a constant speed is seen at one, only with the frames' own times.
    points = np.stack([20 + 200 * times, np.full(len(times), 60.0)], axis=1)
    path = write_stamped(tmp_path / "even.mp4", frames(points), stamps)
    seen = see(Film(path))
    track = seen.tracks[0]
    left = track.points[:, 0] - np.polyval(np.polyfit(track.times, track.points[:, 0], 1), track.times)
    assert np.std(left) < 0.3
    assert any("off the usual" in note for note in seen.notes)


def test_what_a_header_says_of_the_count_of_frames_is_not_used(tmp_path, monkeypatch):
    path = write_film(tmp_path / "film.mp4", frames(flight(12)))
    monkeypatch.setattr(Film, "header", lambda self: {"frames": 99, "rate": 7.0})
    seen = see(Film(path))
    assert "99 frames, 12 decode" in seen.notes[0]
    assert seen.tracks[0].times[-1] == pytest.approx(11 / 60, abs=1e-3)


def test_a_gif_says_how_coarse_its_clock_is(tmp_path):
    seen = see(Film(write_film(tmp_path / "film.gif", frames(flight(12)), 25)))
    assert "whole hundredths" in seen.notes[-1] and seen.clock.spread > 0.05


def test_time_that_goes_back_is_two_clocks(tmp_path, monkeypatch):
    stamps = [0.0, 0.1, 0.05]
    monkeypatch.setattr(Film, "_stamped", lambda self, form: iter([(t, np.zeros((4, 4))) for t in stamps]))
    with pytest.raises(UsageError, match="two clocks"):
        list(Film(tmp_path / "film.mp4").frames())


@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "concat:other.mp4"])
def test_a_file_that_names_other_files_opens_none_of_them(tmp_path, monkeypatch, name: str):
    """FFmpeg itself plays other.mp4 for each of these."""
    monkeypatch.chdir(tmp_path)
    write_film(Path("other.mp4"), frames(flight(4)))
    lists = {
        "list.mp4": "ffconcat version 1.0\nfile other.mp4\n",
        "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.5,\nother.mp4\n#EXT-X-ENDLIST\n",
        "concat:other.mp4": "no film",
    }
    Path(name).write_text(lists[name])
    with av.open(name, "r") as file:
        assert sum(1 for _ in file.decode(video=0)) == 4
    with pytest.raises(UsageError, match=r"is no film of a kind|cannot be read as a film"):
        next(Film(Path(name)).frames())
