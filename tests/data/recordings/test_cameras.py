"""Calibration files give the cameras that wrote them, and two views the places in space."""

from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest

from o2t_jax.commands.studies.recording_cameras import cameras, write_pair
from o2t_jax.data.recordings.calibration import read_cameras
from o2t_jax.data.recordings.tracks import Track
from o2t_jax.data.recordings.triangulation import plane_of, triangulated
from o2t_jax.errors import UsageError

BENT = np.array([-0.35, 0.1, 0.001, -0.001, 0.0])
PAIR = [dataclasses.replace(camera, distortion=BENT) for camera in cameras(np.random.default_rng(4))]
TIMES = np.arange(30) / 60


def thrown():
    """A throw in a plane oblique to both cameras, m, y down."""
    return np.stack([-0.5 + 2 * TIMES, 0.2 - 2.0 * TIMES + 0.5 * 9.81 * TIMES**2, 2.8 + 0.8 * TIMES], axis=1)


def track_of(points, times=TIMES):
    ones = np.ones(len(times))
    return Track(times, points, ones, ones, 0.1 * ones, ones > 0, 5.0, 1.0)


def seen_by(camera, places):
    turn = cv2.Rodrigues(camera.turn)[0]
    return cv2.projectPoints(places, turn, camera.shift, camera.matrix, camera.distortion)[0][:, 0]


def write_json(path, pair):
    entries = [
        {"K": c.matrix.tolist(), "distortion": c.distortion.tolist(), "R": c.turn.tolist(), "t": c.shift.tolist()}
        for c in pair
    ]
    path.write_text(json.dumps({"cameras": entries}))


@pytest.mark.parametrize("name", ["pair.yml", "pair.xml", "pair.json"])
def test_a_file_gives_its_cameras(tmp_path, name):
    path = tmp_path / name
    write_json(path, PAIR) if path.suffix == ".json" else write_pair(path, *PAIR)
    for found, true in zip(read_cameras([path]), PAIR, strict=True):
        for field in ("matrix", "distortion", "turn", "shift"):
            assert np.allclose(getattr(found, field), getattr(true, field)), field
        assert found.size == (None if path.suffix == ".json" else true.size)


def test_three_files_are_one_pair(tmp_path):
    for name, camera in zip("ab", PAIR, strict=True):
        file = cv2.FileStorage(str(tmp_path / f"{name}.xml"), cv2.FILE_STORAGE_WRITE)
        file.write("camera_matrix", camera.matrix)
        file.write("distortion_coefficients", camera.distortion)
        file.release()
    file = cv2.FileStorage(str(tmp_path / "both.xml"), cv2.FILE_STORAGE_WRITE)
    file.write("R", PAIR[1].turn)
    file.write("T", PAIR[1].shift)
    file.release()
    found = read_cameras([tmp_path / f"{name}.xml" for name in ("a", "b", "both")])
    assert np.allclose(found[1].turn, PAIR[1].turn) and np.allclose(found[1].shift, PAIR[1].shift)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", "cannot be read as JSON"),
        ("3", "holds no camera"),
        ('{"focal": 3}', "holds no camera"),
        ('[{"K": [1, 2]}]', "must be 3 x 3 numbers"),
        ('[{"K": [1,0,0,0,1,0,0,0,1], "distortion": [1]}]', "distortion has 1 numbers"),
        ('[{"K": [1,0,0,0,1,0,0,0,1], "R": [1,0,0,0,2,0,0,0,1]}]', "R is no rotation"),
        ('[{"K": [1,0,0,0,1,0,0,0,1]}, {"K": [1,0,0,0,1,0,0,0,1]}]', "camera 2: R must be"),
    ],
)
def test_a_file_that_is_no_calibration_is_one_line(tmp_path, text, line):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=line):
        read_cameras([path])


def test_a_damaged_opencv_file_is_one_line(tmp_path):
    path = tmp_path / "bad.yml"
    path.write_text("%YAML:1.0\n---\nK: !!opencv-matrix\n   rows: [")
    with pytest.raises(UsageError, match="--calibration"):
        read_cameras([path])


@pytest.mark.parametrize(
    "text",
    [
        "%YAML:1.0\n---\n   ...\n - 1\n",
        "%YAML:1.0\n---\n      K: 1\nngv-[a\n   rows: 1\n",
        "%YAML:1.0\n# x\n      D: [1.]\n   a:1\n- - 1\n   x\nb: 2\n",
        "K: 1\n...\n - 1\n",
    ],
)
def test_a_file_that_opencv_would_read_for_ever_is_refused(tmp_path, monkeypatch, text):
    """Found by atheris. The reader is not reached: it could not be interrupted."""
    monkeypatch.setattr(cv2, "FileStorage", lambda *_: pytest.fail("given to OpenCV"))
    path = tmp_path / "endless.yml"
    path.write_text(text)
    with pytest.raises(UsageError, match="no list of names and values"):
        read_cameras([path])


@pytest.mark.parametrize("text", ["%YAML 1.2\n---\n# two\nK: 1\n...\n", "\ufeff%YAML:1.0\nK: 1\n", "K: 1\r\n"])
def test_other_yaml_of_one_document_is_given_to_opencv(tmp_path, monkeypatch, text):
    monkeypatch.setattr(cv2, "FileStorage", lambda *_: pytest.fail("given to OpenCV"))
    path = tmp_path / "one.yml"
    path.write_text(text)
    with pytest.raises(pytest.fail.Exception, match="given to OpenCV"):
        read_cameras([path])


def test_two_views_give_places_and_the_plane_of_motion():
    places = thrown()
    noise = np.random.default_rng(0)
    views = [[track_of(seen_by(camera, places) + noise.normal(0, 0.1, (30, 2)))] for camera in PAIR]
    space = triangulated(views, PAIR, ["left", "right"])
    assert np.abs(space.points - places).max() < 0.005 and space.missed < 0.2
    plane = plane_of(space, PAIR[0])
    fall = np.polyfit(TIMES, plane.points / plane.per_metre, 2)[0]
    assert 2 * fall[1] == pytest.approx(-9.81, rel=0.02) and abs(fall[0]) < 0.15
    # Lenses taken for straight ones put the same sightings elsewhere.
    ideal = [dataclasses.replace(camera, distortion=np.zeros(5)) for camera in PAIR]
    bent = triangulated(views, ideal, ["left", "right"])
    across = [np.abs(each.points - places)[:, :2].max() for each in (space, bent)]
    assert across[1] > 3 * across[0]


def test_the_object_that_both_see_is_found_among_others():
    rng = np.random.default_rng(1)
    other = rng.uniform(50, 300, (30, 2))
    views = [[track_of(other), track_of(seen_by(PAIR[0], thrown()))], [track_of(seen_by(PAIR[1], thrown()))]]
    assert triangulated(views, PAIR, ["left", "right"]).chosen == (1, 0)


def test_two_clocks_and_views_of_different_things_are_refused():
    left = [track_of(seen_by(PAIR[0], thrown()))]
    right = seen_by(PAIR[1], thrown())
    for times, line in ((TIMES * 2, "two clocks"), (TIMES + 0.5 / 60, "taken between")):
        with pytest.raises(UsageError, match=line):
            triangulated([left, [track_of(right, times)]], PAIR, ["left", "right"])
    with pytest.raises(UsageError, match="no object is seen by all"):
        triangulated([left, [track_of(right + np.array([0, 40]))]], PAIR, ["left", "right"])


def test_a_calibration_of_another_size_is_refused():
    with pytest.raises(UsageError, match="480 x 360 px, film has 640 x 480"):
        PAIR[0].check((640, 480), "film")
    with pytest.raises(UsageError, match="another picture size"):
        dataclasses.replace(PAIR[0], size=None).check((1920, 1080), "film")
