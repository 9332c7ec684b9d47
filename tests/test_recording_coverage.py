"""The study of intervals on rendered films: it runs, goes on where it stopped, and counts what it should."""

from __future__ import annotations

import json

import numpy as np
import pytest

from o2t_jax.commands.studies import recording_coverage as study
from o2t_jax.commands.studies._rendered_recordings import IMPERFECTIONS, g_error, is_named, is_right, usual
from o2t_jax.data.recordings.motions import free_flight
from o2t_jax.data.recordings.rendered import make_recording


def test_two_films_run_and_are_not_run_again(tmp_path, capsys, monkeypatch):
    flags = [f"--out={tmp_path / 'films'}", "--n=2", "--only=coverage", "--seed=3"]
    assert study.main(flags) == 0
    text = capsys.readouterr().out
    files = sorted((tmp_path / "films").glob("*.json"))
    found = [json.loads(path.read_text()) for path in files]
    assert [each["law"] for each in found] == ["free flight", "free flight with drag"]
    assert all(each["error_px"] < 1 and each["verdict"] for each in found) and "free flight: intervals hold" in text

    def fails(task, seed):
        raise AssertionError("run again")

    monkeypatch.setattr(study, "run_task", fails)
    assert study.main(flags) == 0
    assert study.main([*flags[:3], "--seed=4"]) == 2  # other films are not mixed in
    assert "--seed=4" in capsys.readouterr().err


def test_g_of_a_clean_flight_is_right():
    recording = make_recording(1, 0, lambda step: usual(step, bits=0.0, noise=0.0), (free_flight,))
    assert abs(g_error(recording)) < 0.02


def test_every_part_has_its_films_and_names_of_files_differ():
    names = [task.name for part in study.PARTS for task in study.tasks(part, 200)]
    assert len(set(names)) == len(names)
    count = {part: len(list(study.tasks(part, 200))) for part in study.PARTS}
    strengths = sum(len(each) for each, _ in IMPERFECTIONS.values())
    assert count == {
        "coverage": 200,
        "imperfections": 20 * len(IMPERFECTIONS),
        "strengths": 8 * (1 + strengths),
        "outside": 20,
        "tracks": 200,
    }


@pytest.mark.parametrize("wrong", ["--only=nothing", "--n=0"])
def test_wrong_flags_are_one_line(tmp_path, capsys, wrong):
    assert study.main([f"--out={tmp_path / 'x'}", wrong]) == 2
    assert wrong in capsys.readouterr().err and not (tmp_path / "x").exists()


def film(law, verdict, candidates=(), lead=np.inf, holds=(), part="coverage"):
    intervals = [{"quantity": "g", "true": 1.0, "low": 0.9, "high": 1.1, "holds": each} for each in holds]
    return {
        "part": part, "law": law, "verdict": verdict, "candidates": list(candidates), "expected_lead": lead,
        "intervals": intervals, "seconds": 1.0, "error_px": 0.1, "error_memory": 1.0,
    }  # fmt: skip


def test_naming_is_counted_as_it_is_said():
    both = ("pendulum with drag", "pendulum")
    assert is_right(film("pendulum", "pendulum with drag", both))
    assert not is_right(film("pendulum", "pendulum with drag", both[:1]))
    assert not is_right(film("free flight with drag", "free flight", ("free flight", "free flight with drag")))
    assert not is_named(film("free flight", "cannot tell")) and not is_right(film("attraction 1/r²", "pendulum"))
    films = [
        film("free flight", "free flight", holds=(True, True)),
        film("free flight", "cannot tell", lead=1.0),
        film("free flight", "uniform motion", holds=(False,)),
    ]
    text = study.format_tables(films)
    assert "intervals hold 2/3 = 66.7 %" in text
    assert "named where the expected lead is 5 or more 1/2" in text and "wrongly named 1/3" in text
    open_ = film("free flight with drag", "free flight", ("free flight", "free flight with drag"))
    films += [open_, film("pendulum", "free flight", ("free flight",))]
    said = "wrongly named 2/5 = 40.0 %; another form named, the true one not ruled out 1/5 = 20.0 %"
    faults = [{**each, "part": "imperfections", "fault": "noise", "strength": 8.0} for each in films]
    assert said in study.format_tables(films)
    assert f"noise 8: intervals hold 2/3 = 66.7 %; no form named 1/5 = 20.0 %; {said}" in study.format_tables(faults)
    assert "none of these: 1/2" in study.format_tables(
        [film("spiral", v, part="outside") for v in ("none of these", "pendulum")]
    )
