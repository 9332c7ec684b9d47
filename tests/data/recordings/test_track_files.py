"""Tracks in CSV files: our own, Tracker's and DeepLabCut's; what is no track is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.data.recordings.track_files import read_tracks, write_tracks
from o2t_jax.errors import UsageError

TIMES = np.arange(8) / 30
POINTS = np.stack([10 + 50 * TIMES, 20 - 30 * TIMES], 1)


def rows(*columns, scale=1.0):
    return "\n".join(",".join(str(x) for x in row) for row in zip(*columns, strict=True))


def test_our_own_file_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "track.csv"
    path.write_text("t,id,x,y\n" + rows(TIMES, [0] * 8, POINTS[:, 0], POINTS[:, 1]))
    (track,) = read_tracks(path)
    assert np.allclose(track.points, POINTS) and np.allclose(track.times, TIMES)
    path.write_text(write_tracks([track, track]).replace("nan", "0"))
    assert [np.allclose(each.points, POINTS, atol=1e-3) for each in read_tracks(path)] == [True, True]


def test_trackers_export_has_y_up_and_blank_cells(tmp_path):
    path = tmp_path / "tracker.csv"
    path.write_text("mass A,,\nt,x,y\n0.5,,\n" + rows(TIMES + 1, POINTS[:, 0], -POINTS[:, 1]))
    (track,) = read_tracks(path)
    assert np.allclose(track.points, POINTS) and track.times[0] == 1


def test_deeplabcuts_export_has_frames_and_likelihoods(tmp_path):
    path = tmp_path / "dlc.csv"
    head = "scorer,net,net,net\nbodyparts,ball,ball,ball\ncoords,x,y,likelihood\n"
    path.write_text(head + rows(range(8), POINTS[:, 0], POINTS[:, 1], [0.9] * 7 + [0.1]))
    (track,) = read_tracks(path, fps=30)
    assert len(track.times) == 7 and np.allclose(track.points, POINTS[:7]) and track.times[1] == pytest.approx(1 / 30)
    with pytest.raises(UsageError, match="--fps"):
        read_tracks(path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "needs columns t, x, y"),
        ("a,b\n1,2\n", "needs columns t, x, y"),
        ("t,x,y\n0,1,2\n", "has 1 sightings"),
        ("t,x,y\n" + rows([0, 1, 2, 2, 3, 4], range(6), range(6)), "two clocks"),
        ("t,x,y\n0,1,two\n", "line 2"),
    ],
)
def test_what_is_no_track_is_refused(tmp_path, text, line):
    path = tmp_path / "track.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=line):
        read_tracks(path)


def test_a_second_clock_is_refused(tmp_path):
    path = tmp_path / "track.csv"
    path.write_text("t,x,y\n" + rows(TIMES, *POINTS.T))
    with pytest.raises(UsageError, match="second clock"):
        read_tracks(path, fps=30)


def test_tabs_and_semicolons_are_read(tmp_path):
    path = tmp_path / "tracker.txt"
    for mark in "\t;":
        text = "mass A,,\nt,x,y\n" + rows(TIMES, POINTS[:, 0], -POINTS[:, 1])
        path.write_text(text.replace(",", mark))
        (track,) = read_tracks(path)
        assert np.allclose(track.points, POINTS)


def test_a_damaged_deeplabcut_export_is_one_line(tmp_path):
    path = tmp_path / "dlc.csv"
    head = "scorer,net,net,net\nbodyparts,ball,ball,ball\ncoords,x,y,likelihood\n"
    for row in ("0,1,two,0.9\n", "0,1,2,0.9\n1,2\n"):
        path.write_text(head + row)
        with pytest.raises(UsageError, match="same count of numbers"):
            read_tracks(path, fps=30)
