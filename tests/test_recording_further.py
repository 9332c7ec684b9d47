"""experiments.recording on what places alone do not tell: a collision, a roll, motion towards the camera."""

from __future__ import annotations

import json

import numpy as np
import pytest

from o2t_jax.commands import recording
from o2t_jax.commands._recording_further import further
from o2t_jax.commands._recordings import Wanted, see
from o2t_jax.data.recorded.film import Film
from o2t_jax.data.recordings.register import register
from o2t_jax.render.effects.h264 import encode
from tests.recording_motions import drawn

YELLOW, BLUE = (240.0, 200.0, 40.0), (40.0, 60.0, 230.0)


def film(tmp_path, shapes, times):
    path = tmp_path / "film.mp4"
    path.write_bytes(encode(drawn(shapes), times, 2e6))
    return path


def told(tmp_path, shapes, times, wanted):
    """Without the laws of places."""
    return further([], see(Film(film(tmp_path, shapes, times))), wanted)


def holds(entry, true, factor=1.7):
    """A 99.9 % interval, so that no seed decides."""
    low, high = (entry["value"] + factor * (entry[side] - entry["value"]) for side in ("low", "high"))
    assert low < true < high, (entry, true)


def test_two_discs_that_collide_tell_restitution_and_masses(tmp_path):
    e, mass, radius = 0.7, 1.5, 10.0
    place, velocity = np.array([[145.0, 120.0], [163.0, 128.7]]), np.array([[260.0, 10.0], [-140.0, -180.0]])
    normal = (place[1] - place[0]) / np.linalg.norm(place[1] - place[0])
    push = (1 + e) * ((velocity[0] - velocity[1]) @ normal) / (1 + 1 / mass)
    then = velocity + np.array([-push * normal, push / mass * normal])
    times = np.arange(36) / 60
    since = times - 0.304
    shapes = [
        [(*(place[i] + (velocity if t < 0 else then)[i] * t), radius, None, (YELLOW, BLUE)[i]) for i in (0, 1)]
        for t in since
    ]
    (entry,) = told(tmp_path, shapes, times, Wanted(objects=2))
    assert entry["law"] == "collision of two discs" and sorted(entry["tracks"]) == [0, 1]
    holds(entry["parameters"]["restitution"], e)
    ratio = entry["parameters"]["mass_ratio"]
    holds(ratio, mass if ratio["value"] > 1 else 1 / mass)
    assert ratio["high"] - ratio["low"] < 0.3 * ratio["value"]


@pytest.mark.slow
@pytest.mark.parametrize(("rolling", "acceleration"), [(1.0, 9.81 * np.sin(0.3) / 1.5), (0.0, 1.6)])
def test_a_marked_disc_rolls_or_slides(tmp_path, capsys, rolling, acceleration):
    radius, px = 14.0, 240.0
    t = np.arange(56) / 60  # so that it is at no place half of the time; of 48 frames its own picture is a close call
    way = px * (0.1 * t + 0.5 * acceleration * t**2)
    shapes = [[(40 + s * np.cos(0.3), 60 + s * np.sin(0.3), radius, 0.4 + rolling * s / radius, YELLOW)] for s in way]
    path, out = film(tmp_path, shapes, t), tmp_path / "out"
    assert recording.main([f"--video={path}", f"--out={out}", "--scale=0,0,240,0:1", "--level", "--objects=1"]) == 0
    assert "by place and turn: roll down a slope" in capsys.readouterr().out
    assert "by place and turn" in (out / "report.html").read_text()
    (entry,) = json.loads((out / "result.json").read_text())["further"]
    assert entry["law"] == "roll down a slope"
    holds(entry["parameters"]["acceleration"], acceleration)
    if rolling:
        holds(entry["parameters"]["rolling"], 1.0)
        holds(entry["parameters"]["inertia"], 0.5)
    else:
        assert entry["parameters"]["rolling"]["high"] < 0.1
        holds(entry["parameters"]["friction"], np.tan(0.3) - acceleration / (9.81 * np.cos(0.3)))


def test_a_ball_that_comes_nearer_tells_time_to_contact_and_with_its_distance_metres(tmp_path):
    t = np.arange(40) / 60
    distance = 4.0 - 0.5 * t - 0.5 * 9.81 * t**2
    shapes = [[(40 + 340 * s, 110 + 20 * s, 32 / z, None, YELLOW)] for s, z in zip(t, distance, strict=True)]
    (entry,) = told(tmp_path, shapes, t, Wanted(objects=1, known={"distance": 4.0}))
    assert entry["law"] == "motion towards the camera"
    holds(entry["parameters"]["time_to_contact"], (-0.5 + np.sqrt(0.25 + 2 * 9.81 * 4.0)) / 9.81)
    holds(entry["parameters"]["acceleration"], 9.81)
    assert entry["parameters"]["acceleration"]["unit"] == "m/s²"


def test_a_disc_that_turns_too_fast_for_its_marks_tells_no_wrong_angle(tmp_path):
    """0.7 rad a frame: the own picture may be the mean of turned ones, and what that tells is no turn at all."""
    t = np.arange(36) / 45
    way = 240 * (0.1 * t + 0.5 * 9.81 * np.sin(0.3) / 1.5 * t**2)
    shapes = [[(40 + s * np.cos(0.3), 60 + s * np.sin(0.3), 12.0, 0.4 + s / 12, YELLOW)] for s in way]
    seen = see(Film(film(tmp_path, shapes, t)))
    assert seen.film is not None and seen.background is not None
    found = register(seen.film.colours, seen.background, seen.tracks[0])
    told = np.isfinite(found.angle_sigma)
    assert not told.any() or np.ptp(found.angles) == pytest.approx(way[-1] / 12, rel=0.02)


def test_two_that_pass_each_other_do_not_collide(tmp_path):
    t = np.arange(36) / 60
    shapes = [[(40 + 300 * s, 90, 10, None, YELLOW), (250 - 300 * s, 128, 10, None, BLUE)] for s in t]
    assert told(tmp_path, shapes, t, Wanted(objects=2)) == []
