"""Recordings read from files: columns, units, and one line for what is missing or damaged."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.fuzz.recordings import daf, daf_numbers
from o2t_jax.data.recorded import RECORDINGS, load
from o2t_jax.errors import UsageError
from tests import recorded_files as files


def test_the_spring_has_its_acceleration_before_its_velocity(tmp_path):
    files.schmidt_lipson(tmp_path)
    track = load("spring", tmp_path).tracks[0]
    assert track.accelerations is not None
    np.testing.assert_allclose(track.accelerations[:, 0], -4 * track.states[:, 0], atol=1e-6)
    np.testing.assert_allclose(np.gradient(track.states[:, 0], track.times)[1:-1], track.states[1:-1, 1], atol=8.0)


def test_trials_of_the_double_pendulum_are_tracks(tmp_path):
    files.schmidt_lipson(tmp_path)
    recording = load("double_pendulum", tmp_path)
    assert [track.name for track in recording.tracks] == ["0", "1"]
    np.testing.assert_allclose(recording.track("1").states[0], [3, 0, 1, 40])
    with pytest.raises(UsageError, match="no track '2': it has 0, 1"):
        recording.track("2")


def test_markers_of_the_double_pendulum_give_angles_from_hanging_down(tmp_path):
    truth = files.ibm(tmp_path)
    recording = load("ibm_double_pendulum", tmp_path)
    track = recording.tracks[0]
    # Angles are known up to whole turns.
    np.testing.assert_allclose(np.exp(1j * track.states[:, :2]), np.exp(1j * truth), atol=1e-4)
    np.testing.assert_allclose(track.states[:, 2:], [[6.0, -3.0]] * 400, atol=1e-2)
    assert track.values["arm 1, px"] == pytest.approx(120, abs=1e-3)
    assert np.abs(np.diff(track.states[:, :2], axis=0)).max() < 0.1


def test_pendulums_of_two_lengths(tmp_path):
    files.pendulum_lengths(tmp_path)
    recording = load("pendulum_lengths", tmp_path)
    assert [track.values["length"] for track in recording.tracks] == [0.5, 0.8]
    assert recording.tracks[1].states[0] == pytest.approx([500 + 480 * np.sin(0.2), 480 * np.cos(0.2), 40])


def test_a_workbook_with_the_wrong_suffix_is_read(tmp_path):
    files.ball_drops(tmp_path)
    (track,) = load("ball_drops", tmp_path).tracks
    assert track.name == "Yellow Whiffle Ball 1"
    assert track.states[15] == pytest.approx([48 - 4.9, -9.8])
    assert track.values == pytest.approx({"mass": 1.5 * 0.0283495, "radius": 0.29 / (2 * np.pi)}, rel=1e-5)


def test_an_old_workbook_needs_xlrd(tmp_path, monkeypatch):
    files.ball_drops(tmp_path)
    path = tmp_path / "ball_drops" / "Ball_drops_data.xls"
    path.write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    monkeypatch.setitem(sys.modules, "xlrd", None)
    with pytest.raises(UsageError, match=r"o2t_jax\[bench\]"):
        load("ball_drops", tmp_path)
    monkeypatch.undo()
    pytest.importorskip("xlrd")
    with pytest.raises(UsageError, match="damaged Excel file"):
        load("ball_drops", tmp_path)


def test_planets_go_round_the_sun():
    pytest.importorskip("jplephem")
    pytest.importorskip("skyfield_data")
    recording = load("planets", "")
    earth = recording.track("earth")
    year = np.linalg.norm(earth.states[365, :3] - earth.states[0, :3]) / 1.496e11
    assert year < 0.01
    assert np.linalg.norm(earth.states[:, :3], axis=1).mean() == pytest.approx(1.496e11, rel=1e-3)
    np.testing.assert_allclose(np.diff(earth.states[:50, 0]) / 86400, earth.states[:49, 3], atol=500)


@pytest.mark.parametrize("missing", ["jplephem.spk", "skyfield_data"])
def test_planets_need_the_extra(monkeypatch, missing):
    pytest.importorskip("jplephem")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=r"o2t_jax\[bench\]"):
        load("planets", "")


def test_a_damaged_kernel_is_refused(tmp_path):
    pytest.importorskip("jplephem")
    (tmp_path / "planets").mkdir()
    (tmp_path / "planets" / "de421.bsp").write_bytes(b"not a kernel" * 200)
    with pytest.raises(UsageError, match="is not a whole SPK kernel"):
        load("planets", tmp_path)


def test_a_kernel_whose_list_is_a_circle_or_of_other_sizes_is_refused(tmp_path):
    pytest.importorskip("jplephem")
    good = daf([(target, daf_numbers(target)) for target in range(1, 11)])
    (tmp_path / "planets").mkdir()
    circle = good[:1024] + np.float64(2).tobytes() + good[1032:]
    sizes = good[:12] + b"\xff\xff\xff\x7f" + good[16:]
    for data in (circle, sizes):
        (tmp_path / "planets" / "de421.bsp").write_bytes(data)
        with pytest.raises(UsageError, match="its list of planets"):
            load("planets", tmp_path)


def _spoil(path, change):
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "file", "change", "line"),
    [
        ("spring", "tracks/schmidt_lipson/real_linear_a_1.txt", lambda b: b + b"1 2 x 4 5\n", "line 92: expected 5"),
        ("spring", "tracks/schmidt_lipson/real_linear_a_1.txt", lambda b: b[:150], "expected 5 numbers|1 rows"),
        ("spring", "tracks/schmidt_lipson/real_linear_a_1.txt", lambda b: b + b"0 1 2 3 4\n", "time does not increase"),
        ("spring", "tracks/schmidt_lipson/real_linear_a_1.txt", lambda b: b + b"0 9 nan 3 4\n", "not finite"),
        ("ibm_double_pendulum", "ibm_double_pendulum/0.csv.xz", lambda b: b[: len(b) // 2], "not a whole .xz"),
        ("pendulum_lengths", "pendulum_lengths/50_x.csv", lambda b: b[:300], "differ in length|expected 1 numbers"),
        ("ball_drops", "ball_drops/Ball_drops_data.xls", lambda b: b[:400], "damaged Excel file"),
        ("ball_drops", "ball_drops/Ball_drops_data.xls", lambda b: b"<html>", "neither an .xls nor"),
        ("ball_drops", "ball_drops/balls.txt", lambda b: b[:20], "has no line of name, weight"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, name, file, change, line):
    for write in (files.schmidt_lipson, files.ibm, files.pendulum_lengths, files.ball_drops):
        write(tmp_path)
    _spoil(tmp_path / file, change)
    with pytest.raises(UsageError, match=line) as raised:
        load(name, tmp_path)
    assert "\n" not in str(raised.value)


def test_missing_folders_and_files_are_one_line(tmp_path):
    for name in RECORDINGS:
        if name != "planets":
            with pytest.raises(UsageError, match="has no folder"):
                load(name, tmp_path)
    with pytest.raises(UsageError, match="give --data=DIR"):
        load("spring", "")
    (tmp_path / "schmidt_lipson").mkdir()
    with pytest.raises(UsageError, match="is --data the right folder"):
        load("spring", tmp_path)
    with pytest.raises(UsageError, match="planets"):
        load("planet", tmp_path)
