"""experiments.recording with --root, --calibration and --audit: tables, cameras and verdicts; bad input in one line."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from o2t_jax.commands import _recording_table, _recordings, recording
from o2t_jax.commands.studies import recording_audit
from o2t_jax.commands.studies.recording_cameras import draw
from o2t_jax.errors import UsageError
from tests.recording_films import flight, frames, write_film


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A throw of g = 9.81 at 100 px/m as a track, and a file that is no track."""
    folder = tmp_path_factory.mktemp("root")
    rng = np.random.default_rng(0)
    points = flight() + rng.normal(0, 0.1, (30, 2))
    rows = [f"{i / 60:.5f},{x:.3f},{y:.3f}" for i, (x, y) in enumerate(points)]
    (folder / "one.csv").write_text("\n".join(["t,x,y", *rows]))
    (folder / "broken.csv").write_text("no track")
    lines = [
        "file,law,known,truth",
        "broken.csv,free flight,,g=9.81",
        'one.csv,free flight,"--scale=0,0,100,0:1",g=9.81',
    ]
    (folder / "table.csv").write_text("\n".join(lines))
    return folder


def test_a_folder_is_one_table_and_finished_clips_are_skipped(root, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    command = [f"--root={root}", f"--table={root / 'table.csv'}", f"--out={out}", "--audit", "--tilt=0"]
    assert recording.main(command) == 0
    text = capsys.readouterr().out
    assert "broken.csv: failed" in text and "needs columns t, x, y" in text
    with (out / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["row"]) for row in rows] == [
        ("broken.csv", "failed"),
        ("one.csv", "found"),
        ("one.csv", "start value"),
    ]
    one, start = rows[1], rows[2]
    assert float(one["value"]) == pytest.approx(9.81, rel=0.05) and one["holds"] == "True" and one["audit"] == "pass"
    assert float(start["error_percent"]) == pytest.approx(100 * (10 / 9.81 - 1))
    assert json.loads((out / "table.json").read_text())[1]["quantity"] == "g"
    told = json.loads((out / "one_csv" / "result.json").read_text())
    assert told["audit"]["verdict"] == "pass" and "Is it lawful?" in (out / "one_csv" / "report.html").read_text()
    monkeypatch.setattr(recording, "measured", lambda *given: pytest.fail("a finished clip is measured again"))
    monkeypatch.setattr(_recording_table, "_result", skip_broken(_recording_table._result))
    before = (out / "table.csv").read_text()
    assert recording.main(command) == 0
    assert (out / "table.csv").read_text().splitlines()[2:] == before.splitlines()[2:]


def skip_broken(result):
    """`result`, for clips other than the broken one, which is tried again."""

    def wrapped(clip, *given):
        if clip.file == "broken.csv":
            raise UsageError("broken")
        return result(clip, *given)

    return wrapped


def test_what_follows_no_law_is_audited_too(root, tmp_path, capsys, monkeypatch):
    def none(*given):
        raise UsageError("follows none of the forms")

    monkeypatch.setattr(_recordings, "fit_objects", none)
    out = tmp_path / "out"
    assert recording.main([f"--track={root / 'one.csv'}", f"--out={out}", "--audit"]) == 0
    text = capsys.readouterr().out
    assert "follows none of the forms" in text and "audit: pass" in text
    assert json.loads((out / "result.json").read_text())["law"] == "none of these"
    assert recording.main([f"--track={root / 'one.csv'}", f"--out={tmp_path / 'x'}"]) == 2


def test_a_folder_of_films_needs_no_table(tmp_path):
    assert not _recording_table.is_clips(tmp_path)
    write_film(tmp_path / "a.mp4", frames(flight(6)))
    assert _recording_table.is_clips(tmp_path)
    assert [clip.file for clip in _recording_table.clips_of(tmp_path)] == ["a.mp4"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name\na\n", "needs the columns file"),
        ("file\n../a.mp4\n", "below --root"),
        ("file,truth\na.mp4,g\n", "must be such as g=9.81"),
        ("file,known\na.mp4,--fps=240 --out=/\n", "line 2: known '--out=/' must be"),
        ("file,known\na.mp4,flagfile=other\n", "must be --name=value of"),
        ("file,known\na.mp4,--fps\n", "must be --name=value of"),
    ],
)
def test_a_bad_table_is_one_line(tmp_path, capsys, text, line):
    (tmp_path / "table.csv").write_text(text)
    arguments = [f"--root={tmp_path}", f"--table={tmp_path / 'table.csv'}", f"--out={tmp_path / 'x'}"]
    assert recording.main(arguments) == 2
    assert line in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_a_row_says_what_the_interval_misses_and_what_has_no_scale():
    clip = _recording_table.Clip("a.mp4", "pendulum", (), {"g": 9.81, "length": 0.5})
    entry = {"value": 19.62, "low": 19, "high": 20, "unit": "m/s²"}
    result = {"law": "free flight", "parameters": {"g": entry}, "refused": []}
    rows = _recording_table.rows_of(clip, result, 1.0)
    assert rows[0]["error_percent"] == pytest.approx(100) and rows[0]["holds"] is False
    assert "no length" in rows[2]["message"]
    text = _recording_table.format_rows(rows)
    assert "expected: pendulum" in text and "the interval misses it" in text
    result["parameters"]["g"] = {**entry, "unit": "px/s²"}
    assert _recording_table.rows_of(clip, result, 1.0)[0]["message"] == "no scale: not compared"


def test_a_file_that_comes_twice_has_two_folders(tmp_path):
    folders = []
    clips = [_recording_table.Clip("a.mp4"), _recording_table.Clip("a.mp4", known=("--fps=240",))]
    result = {"law": "free flight", "parameters": {}, "refused": [], "seconds": {}}
    _recording_table.run_table(
        clips, tmp_path, tmp_path / "x", [], lambda argv, out: folders.append(out.name) or result
    )
    assert folders == ["a_mp4", "a_mp4_2"]


def test_start_values_are_those_of_a_fit_that_begins_at_ten():
    clip = _recording_table.Clip("a.gif", known=("--fps=10", "--known=g:9.81"))
    assert _recording_table.start_value("length", clip) == pytest.approx(0.981)
    assert _recording_table.start_value("g", clip) == 10
    assert _recording_table.start_value("period", clip) is None


@pytest.mark.slow
def test_two_calibrated_films_give_g_in_metres(tmp_path):
    command = draw(tmp_path / "films", seed=5)
    assert recording.main([*command, f"--out={tmp_path / 'out'}"]) == 0
    found = json.loads((tmp_path / "out" / "result.json").read_text())
    g = found["parameters"]["g"]
    assert g["value"] == pytest.approx(9.81, rel=0.005) and g["low"] < 9.81 < g["high"] and g["unit"] == "m/s²"
    assert (tmp_path / "out" / "space.csv").read_text().startswith("t,x,y,z")


def test_cameras_that_do_not_fit_are_one_line(tmp_path, capsys):
    film = write_film(tmp_path / "a.mp4", frames(flight(8)))
    matrix = [160, 0, 80, 0, 160, 60, 0, 0, 1]
    (tmp_path / "one.json").write_text(json.dumps([{"K": matrix, "size": [320, 240]}]))
    two = [f"--video={film}", f"--video={film}"]
    for arguments, line in (
        (two, "give --calibration=FILE"),
        ([*two, f"--calibration={tmp_path / 'one.json'}"], "has 1 and --video 2"),
        ([*two, f"--calibration={tmp_path / 'absent.json'}"], "is no file"),
        ([two[0], f"--calibration={tmp_path / 'one.json'}"], "of pictures of 320 x 240 px, a.mp4 has 160 x 120"),
        (["--table=a.csv"], "give --root=DIR"),
        (["--root=absent"], "is no folder"),
    ):
        assert recording.main([*arguments, f"--out={tmp_path / 'x'}"]) == 2
        told = capsys.readouterr().err.splitlines()
        errors = [text for text in told if not text.startswith(("reading ", "following "))]
        assert len(errors) == 1 and line in errors[0], errors
    assert not (tmp_path / "x").exists()


def test_the_study_counts_what_passes_and_what_is_caught(tmp_path, capsys):
    assert recording_audit.main([f"--out={tmp_path}", "--n=1", "--rendered=0", "--seed=11"]) == 0
    text = capsys.readouterr().out
    assert "lawful, all: 1 of 1 pass" in text and "tampered, all: 1 of 1 caught" in text
    assert recording_audit.main([f"--out={tmp_path}", "--n=1", "--rendered=0", "--seed=11"]) == 0
    assert len((tmp_path / "clips_11.jsonl").read_text().splitlines()) == 2
