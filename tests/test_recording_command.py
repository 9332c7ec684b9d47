"""experiments.recording: from a film to a law with its interval; bad input in one line, nothing overwritten."""

from __future__ import annotations

import json

import numpy as np
import pytest

from o2t_jax.commands import law, recording, report
from o2t_jax.commands.studies import recordings
from tests.recording_films import flight, frames, write_film


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("film") / "thrown.mp4", frames(flight()), 60)


def test_a_thrown_ball_becomes_g_with_an_interval_that_holds_it(film, tmp_path, capsys):
    out = tmp_path / "out"
    assert recording.main([f"--video={film}", f"--out={out}", "--diameter=0.1"]) == 0
    found = json.loads((out / "result.json").read_text())
    assert found["law"] == "free flight"
    g = found["parameters"]["g"]
    assert g["unit"] == "m/s²" and g["low"] < 9.81 < g["high"] and g["high"] - g["low"] < 5
    assert "free flight" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} >= {"result.json", "track.csv", "report.html"}
    assert "free flight" in (out / "report.html").read_text()
    before = (out / "result.json").read_bytes()
    assert recording.main([f"--video={film}", f"--out={out}"]) == 2
    assert "is there already" in capsys.readouterr().err and (out / "result.json").read_bytes() == before
    for command in (report, law):
        assert command.main([f"--workdir={out}"]) == 2
        error = capsys.readouterr().err
        assert f"its report is {out / 'report.html'}" in error and error.count("\n") == 1
    # Its own track as input, without a scale: the same motion in px, and no metres.
    again = tmp_path / "again"
    assert recording.main([f"--track={out / 'track.csv'}", f"--out={again}"]) == 0
    found = json.loads((again / "result.json").read_text())
    assert found["parameters"]["g"]["unit"] == "px/s²"
    assert found["parameters"]["g"]["value"] == pytest.approx(981, rel=0.03)
    assert any("no scale" in reason for reason in found["refused"])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--out=x"], "give --video=FILE"),
        (["--video=FILM"], "--out is missing"),
        (["--video=absent.mp4", "--out=x"], "no such file"),
        (["--video=.", "--out=x"], "have no clock: give --fps"),
        (["--video=FILM", "--out=x", "--scale=1,2,3:1"], "must be 4 numbers"),
        (["--video=FILM", "--out=x", "--scale=1,2,3,4"], "x1,y1,x2,y2:METRES"),
        (["--video=FILM", "--out=x", "--diameter=0.1", "--speed=2"], "each fix the scale"),
        (["--video=FILM", "--out=x", "--known=mass:1"], "no quantity that can be known"),
        (["--video=FILM", "--out=x", "--known=g=9.81"], "--known=g=9.81 must be NAME:NUMBER, such as g:9.81"),
        (["--video=FILM", "--out=x", "--known=rope"], "such as g:9.81"),
        (["--video=FILM", "--out=x", "--diameter=6cm"], "--diameter=6cm: must be a number of metres, such as 0.06"),
        (["--video=FILM", "--out=x", "--angle=30"], "give its --speed"),
        (["--video=FILM", "--out=x", "--diameter=-1"], "must be above 0"),
        (["--video=FILM", "--out=x", "--start=3", "--end=2"], "must be before"),
        (["--video=FILM", "--out=x", "--start=30"], "no frame from 30"),
        (["--track=absent.csv", "--out=x"], "cannot be read"),
        (["--track=absent.csv", "--out=x", "--diameter=1"], "give --scale"),
    ],
)
def test_bad_input_is_one_line(film, tmp_path, monkeypatch, capsys, arguments, line):
    monkeypatch.chdir(tmp_path)
    assert recording.main([argument.replace("FILM", str(film)) for argument in arguments]) == 2
    errors = [text for text in capsys.readouterr().err.splitlines() if not text.startswith(("reading ", "following "))]
    assert len(errors) == 1 and line in errors[0]
    assert not (tmp_path / "x").exists()


def test_a_film_in_which_nothing_moves_is_refused(tmp_path, capsys):
    path = write_film(tmp_path / "still.mp4", frames(np.tile([[80.0, 60.0]], (12, 1))))
    assert recording.main([f"--video={path}", f"--out={tmp_path / 'x'}"]) == 2
    assert "nothing moves" in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_the_study_names_what_is_missing(tmp_path, capsys):
    assert recordings.main([f"--root={tmp_path}", f"--out={tmp_path / 'x'}"]) == 2
    assert "holds none of the films" in capsys.readouterr().err
    assert recordings.main(["--out=x"]) == 2
    found = recordings.judged(
        recordings.CASES["toss"],
        {"law": "free flight", "parameters": {"g": {"value": 9.9, "low": 9.7, "high": 10.1, "unit": "m/s²"}}},
    )
    assert found["rows"][0]["reached"] and found["rows"][0]["holds"]
    text = recordings.format_table([{"film": "toss", "seconds": 1.0, "result": {}, **found}])
    assert "+0.92 %" in text and "start value 10: +1.94 %" in text
