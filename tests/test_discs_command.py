"""experiments.discs: from tracks or a film to findings, a table and a picture; bad input in one line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from o2t_jax import media
from o2t_jax.commands import discs
from o2t_jax.data.recorded.track_file import tracks_text
from tests.disc_recordings import RATE, Collision, clock, draw_film, noise


def write_tracks(path, collision: Collision, count: int = 2) -> None:
    times = clock(24, 40)
    places = collision.places(times) + noise(np.random.default_rng(0), (64, 2, 2), 0.05)
    radius = np.full(64, collision.radius)
    rows = {name: np.column_stack([times + 1.0, places[:, i], radius]) for i, name in enumerate(("1", "2"))}
    path.write_text(tracks_text(dict(list(rows.items())[:count])))


def test_tracks_become_findings_and_a_picture(tmp_path, capsys):
    write_tracks(tmp_path / "tracks.csv", Collision(mass_ratio=0.8))
    out, plot = tmp_path / "found.json", tmp_path / "found.png"
    arguments = [f"--infer={tmp_path / 'tracks.csv'}", f"--json={out}", f"--plot={plot}", "--scale=0.002"]
    assert discs.main(arguments) == 0
    found = json.loads(out.read_text())
    assert set(found["parameters"]) == {"mass_ratio", "restitution", "friction", "friction_coefficient"}
    for name, truth in (("mass_ratio", 0.8), ("restitution", 0.8), ("friction", 1000.0)):
        assert found["parameters"][name]["low"] <= truth <= found["parameters"][name]["high"]
    assert found["refused"] == [] and len(found["encounters"]) == 1
    assert plot.read_bytes().startswith(b"\x89PNG")
    text = capsys.readouterr().out
    assert "collision of 1 and 2 at 1.00" in text and "mass_ratio: 0." in text


def test_a_film_becomes_tracks_and_findings(tmp_path, capsys):
    truth = Collision(radius=8.0, at=(70.0, 40.0), speed=600.0, mass_ratio=1.0)
    film, table = tmp_path / "film.mp4", tmp_path / "tracks.csv"
    film.write_bytes(media.mp4(draw_film(truth.places(clock(24, 40)), 8.0, (96, 176)), 30.0))
    assert discs.main([f"--track={film}", f"--out={table}", f"--fps={RATE}"]) == 0
    assert "64 of disc 1, 64 of disc 2" in capsys.readouterr().out
    found = {}
    for source in (film, table):
        assert discs.main([f"--infer={source}", f"--fps={RATE}", "--json=-"]) == 0
        found[source] = json.loads(capsys.readouterr().out)
    told, again = found[film]["parameters"], found[table]["parameters"]
    assert told["mass_ratio"]["low"] <= 1 <= told["mass_ratio"]["high"] < told["mass_ratio"]["low"] + 0.15
    assert told["restitution"]["low"] <= 0.8 <= told["restitution"]["high"]
    assert again["mass_ratio"]["value"] == pytest.approx(told["mass_ratio"]["value"], rel=1e-2)
    assert found[film]["clock"] == "240 frames/s"


def test_what_is_not_told_is_refused_with_a_reason(tmp_path, capsys):
    path = tmp_path / "tracks.csv"
    times = np.arange(60) / RATE
    rows = {
        name: np.column_stack([times, 300 * sign * times + 40 * sign, 0 * times + 30 * sign, 9 + 0 * times])
        for name, sign in (("1", 1.0), ("2", -1.0))
    }
    path.write_text(tracks_text(rows))
    assert discs.main([f"--infer={path}", "--json=-"]) == 0
    streams = capsys.readouterr()
    found = json.loads(streams.out)
    assert found["parameters"] == {} and "the discs do not meet" in found["refused"][0]["reason"]
    assert "mass_ratio: refused: no collision" in streams.err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "give one of --infer=FILE"),
        (["--infer=a.csv", "--track=b.mp4"], "give one of --infer=FILE"),
        (["--track=b.mp4"], "--out is missing"),
        (["--infer=none.csv"], "none.csv is no file"),
        (["--infer=none.mp4"], "none.mp4 is no file"),
        (["--infer=one.csv"], "the tracks hold 1 object"),
        (["--infer=two.csv", "--scale=-1"], "scale -1 m per unit"),
        (["--infer=two.csv", "--table=2"], "table 2 must be from 0"),
        (["--infer=two.csv", "--plot=found.pdf"], "ends in .png"),
        (["--infer=two.csv", "--json=nowhere/found.json"], "the folder nowhere does not exist"),
        (["--infer=film.mp4", "--fps=0"], "--fps=0 must be above 0"),
        (["--infer=film.mp4", "--start=2", "--end=1"], "0 <= start < end"),
        (["--infer=film.mp4", "--roi=1,2,3"], "give x,y,width,height"),
        (["--infer=film.mp4", "--discs=0"], "--discs=0"),
        (["--infer=film.mp4"], "cannot be read as a film"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, arguments, line):
    monkeypatch.chdir(tmp_path)
    write_tracks(tmp_path / "one.csv", Collision(), 1)
    write_tracks(tmp_path / "two.csv", Collision())
    (tmp_path / "film.mp4").write_bytes(b"no film" * 50)
    before = sorted(tmp_path.iterdir())
    assert discs.main(arguments) == 2
    error = capsys.readouterr().err
    assert line in error and error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
