"""experiments.studies.recorded_states: from files to a table, finished recordings skipped, bad input in one line."""

from __future__ import annotations

import json

import pytest

from o2t_jax.commands.studies import recorded_states
from tests import recorded_files


def test_a_recording_becomes_a_table_and_is_not_computed_twice(tmp_path, capsys):
    recorded_files.pendulum_lengths(tmp_path / "data")
    arguments = [f"--data={tmp_path / 'data'}", f"--out={tmp_path / 'out'}", "--only=pendulum_lengths", "--draws=20"]
    assert recorded_states.main(arguments) == 0
    found = json.loads((tmp_path / "out" / "pendulum_lengths.json").read_text())
    values = {law["law"]: law["value"] for law in found["laws"]}
    # The film is a pure cosine of 0.2 rad: a true pendulum of that period would have g larger by 0.2^2 / 8.
    assert values["g, small swings, ball as a point"] == pytest.approx(9.81, rel=2e-4)
    assert values["g, ball as a point"] == pytest.approx(9.81 * (1 + 0.2**2 / 8), rel=3e-4)
    assert "g, small swings, ball as a point: 9.81" in capsys.readouterr().out
    (tmp_path / "data" / "pendulum_lengths" / "50_t.csv").unlink()
    assert recorded_states.main(arguments) == 0
    assert "min" not in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--data=x"], "--out is missing"),
        (["--out=x"], "--data is missing"),
        (["--data=nowhere", "--out=x", "--only=spring"], "--data=nowhere has no folder schmidt_lipson"),
        (["--data=nowhere", "--out=x", "--only=sprung"], "did you mean 'spring'"),
        (["--data=nowhere", "--out=x", "--draws=0"], "draws"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, arguments, line):
    monkeypatch.chdir(tmp_path)
    assert recorded_states.main(arguments) == 2
    error = capsys.readouterr().err
    assert line in error and error.count("\n") == 1
    assert not (tmp_path / "x").exists()
