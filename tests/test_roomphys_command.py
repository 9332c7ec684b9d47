"""`experiments.roomphys`: the whole command on a module that prints its law, the submission files, the score."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import numpy as np
import pytest

from o2t_jax.commands import _close_ups, _submission, roomphys
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t import close_ups, refined_law
from o2t_jax.evaluation.o2t.sights import Sightings
from o2t_jax.geometry.camera import intrinsics_for, project, world_to_camera
from o2t_jax.models.o2t import law_finetune
from o2t_jax.training.checkpoint import open_workdir

ROOT = Path(__file__).resolve().parent.parent
MARKER = "THE-LAW-IS-9.4321"

# Our own room behind the plug-in interface. It shouts at import and at every render, in all ways there are.
CHATTY = f"""
    import logging, os, sys, warnings
    sys.path.insert(0, {str(ROOT)!r})

    def shout():
        print("{MARKER}", flush=True)
        print("{MARKER}", file=sys.stderr, flush=True)
        sys.__stdout__.write("{MARKER}")
        os.write(1, b"{MARKER}")
        os.write(2, b"{MARKER}")
        os.system("echo {MARKER}; echo {MARKER} >&2")
        logging.error("{MARKER}")
        warnings.warn("{MARKER}")
        with open(__file__ + ".shouts", "a") as file:
            file.write("!")

    shout()
    import numpy as np
    from o2t_jax.physics.gravity import Gravity
    from o2t_jax.render.opencv.renderer import SceneRenderer
    from o2t_jax.render.scenes import get_scene

    renderer = SceneRenderer(get_scene("room"), Gravity.hyperbolic(9.4, 3.0))

    def render_scene_loud(seed_setup, times, angles, observer_pos=(0, 0, 2), image_size=(512, 512)):
        shout()
        places = np.tile(observer_pos, (len(times), 1))
        return list(renderer.render(seed_setup, np.array(times), np.array(angles), places, image_size[::-1]))
"""
TINY = {
    "camera_size": 512,
    "render_size": 32,
    "num_setups": 2,
    "setups_at_once": 1,
    "survey_times": 7,
    "batch": 2,
    "train_steps": 2,
    "pool_size": 4,
    "initial_fill": 2,
    "eval_samples": 3,
    "eval_every": 2,
    "checkpoint_every": 2,
    "log_every": 1,
    "latent_dim": 12,
}


@pytest.mark.slow
def test_nothing_a_module_prints_reaches_the_program_or_its_files(tmp_path, monkeypatch, capfd):
    (tmp_path / "module").mkdir()
    module = tmp_path / "module" / "render_scene_loud.py"
    module.write_text(textwrap.dedent(CHATTY))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    real, asked = refined_law.measure_sightings, []

    def measure_sightings(network, windows, camera_size):
        """Runs the network, which two steps taught nothing, and answers for it with where the blobs are."""
        asked.append(real(network, windows, camera_size))
        rotation = world_to_camera(windows.para[:, 4], windows.para[:, 5])
        lens = intrinsics_for(camera_size, camera_size)
        pixels, _ = project(windows.position, windows.para[:, 1:4], rotation, lens)
        return Sightings(pixels, np.ones(len(pixels), bool))

    real_close_ups = close_ups.measure_close_ups

    def measure_close_ups(network, renderer, planned, workers):
        asked.append(real_close_ups(network, renderer, planned, workers))
        lens = intrinsics_for(planned.size, planned.size)
        rotation = world_to_camera(planned.para[:, 4], planned.para[:, 5])
        pixels, _ = project(planned.position, planned.para[:, 1:4], rotation, lens)
        return Sightings(pixels, np.ones(len(pixels), bool))

    monkeypatch.setattr(refined_law, "measure_sightings", measure_sightings)
    monkeypatch.setattr(close_ups, "measure_close_ups", measure_close_ups)
    monkeypatch.setattr(close_ups, "PICTURE_PX", 64)
    monkeypatch.setattr(law_finetune, "ITERATIONS", 2)
    command = [
        f"--module={module}",
        "--out=answer/submit.txt",
        "--zooms=17",
        *(f"--config.{name}={value}" for name, value in TINY.items()),
    ]
    code = roomphys.main(command)
    said = capfd.readouterr()
    logs = "".join(path.read_text() for path in work.rglob("*.log"))
    assert code == 0, said.out + said.err + logs
    assert "loud" in said.out and "not used" in said.out and "refined g0" in said.out

    record = json.loads((work / "answer/submit.txt.runs/loud.json").read_text())
    refined, weights = (
        _submission.read(work / "answer/submit.txt"),
        _submission.read(work / "answer/submit-weights.txt"),
    )
    assert refined["loud"]["g0"] == pytest.approx(record["refined"]["g0"], abs=1e-6)
    assert weights["loud"]["g0"] == pytest.approx(record["weights"]["g0"], abs=1e-6)
    assert refined["loud"] != weights["loud"], "two answers"
    assert len(asked) == 2, "the survey's windows and the close-ups"
    (kept,) = (work / "answer/submit.txt.runs").glob(f"loud-*{_close_ups.SUFFIX}")
    layer = open_workdir(kept).state.params["layer"]
    assert record.get("zoom_error") is None and record["weights"] != record["weights_survey"]
    before = open_workdir(kept.with_name(kept.name.removesuffix(_close_ups.SUFFIX))).state.params
    assert layer["g0"] != before["layer"]["g0"], "trained on the close-ups"
    np.testing.assert_array_equal(
        layer["nn_branch"]["Dense_0"]["kernel"], before["layer"]["nn_branch"]["Dense_0"]["kernel"]
    )
    assert len(asked[0].pixels) == record["refined_survey"]["pictures_found"]
    assert len(asked[1].pixels) == record["zooms"] == 16
    # The sharper of the two answers: sightings as rough as these leave open which.
    assert record["refined"]["pictures_found"] in (16, record["refined_survey"]["pictures_found"])
    assert record["describe"] is False and record["rendered"] == 2 * 4 * 7 + 16

    assert roomphys.main(command) == 0  # finished before: nothing runs
    said_again = capfd.readouterr()
    assert "finished before" in said_again.out and "training" not in said_again.out and len(asked) == 2

    for text in (said.out, said.err, said_again.out, said_again.err):
        assert MARKER not in text
    files = [path for path in work.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert len((tmp_path / "module" / "render_scene_loud.py.shouts").read_text()) > 5, "it did shout"
    for path in files:
        assert MARKER.encode() not in path.read_bytes(), path
        assert MARKER not in str(path)


def test_the_score_by_hand(tmp_path):
    truth = (9.5, 4.0)
    assert _submission.score({"g0": 9.5, "alpha": 4.0}, truth) == 0.0
    # A constant error of g0: 0.7 * 0.1 + 0.3 * 0.1 / 9.5.
    assert _submission.score({"g0": 9.6, "alpha": 4.0}, truth) == pytest.approx(0.07 + 0.03 / 9.5)
    # Of alpha, by 1: the mean of 1 / (z + 10) over 201 heights, and 1 / 4.
    mean = sum(1.0 / (10.0 + 0.1 * i) for i in range(201)) / 201
    assert _submission.score({"g0": 9.5, "alpha": 3.0}, truth) == pytest.approx(0.7 * mean + 0.3 / 4.0)
    # A small alpha counts as 0.1.
    assert _submission.score({"g0": 9.5, "alpha": 0.0}, (9.5, 0.05)) == pytest.approx(0.7 * 0.05 * mean + 0.3 * 0.5)
    assert _submission.score({"g0": 9.5}, truth) == _submission.score({}, truth) == 10.0

    keys = []
    for name, gravity in (("a1x", "9.500000 + 4.000000"), ("b2y", "9.000000 + -7.250000")):
        key = tmp_path / f"key_{name}.txt"
        key.write_text(f"Competition Answer Key\nFunction ID : {name}\nGravity     : g(z) = {gravity} / (z + 10)\n")
        keys.append(key)
    assert _submission.read_key(keys[1]) == ("b2y", (9.0, -7.25))
    _submission.write(tmp_path / "s.txt", {"a1x": (9.6, 4.0), "other": (1.0, 1.0)}, "x")
    scores = _submission.score_file(tmp_path / "s.txt", keys)
    assert scores == pytest.approx({"a1x": 0.07 + 0.03 / 9.5, "b2y": 10.0, "mean": 5.0 + 0.5 * (0.07 + 0.03 / 9.5)})


def test_submissions_read_back_as_the_benchmark_reads_them(tmp_path):
    path = tmp_path / "submit.txt"
    _submission.write(path, {"a1b": (9.7812345, -1.25), "c3f": (9.5, 3.0)}, "a comment")
    lines = path.read_text().splitlines()
    assert lines[0] == "# a comment" and "[a1b]" in lines and "g0 = 9.781235" in lines and "alpha = -1.250000" in lines
    assert _submission.read(path) == {"a1b": {"g0": 9.781235, "alpha": -1.25}, "c3f": {"g0": 9.5, "alpha": 3.0}}
    path.write_text("    [a1b]\n    g0 = 9.78\n    alpha = 1 # one\n")
    assert _submission.read(path) == {"a1b": {"g0": 9.78}}
    assert _submission.beside(Path("x/submit.txt")) == Path("x/submit-weights.txt")


def test_score_alone_scores_both_files_and_tells_no_truth(tmp_path, capsys):
    out, key = tmp_path / "submit.txt", tmp_path / "key.txt"
    key.write_text("Function ID : a1x\nGravity : g(z) = 9.123456 + -3.654321 / (z + 10)\n")
    _submission.write(out, {"a1x": (9.1, -3.6)}, "x")
    _submission.write(_submission.beside(out), {"a1x": (9.0, -3.0)}, "x")
    assert roomphys.main([f"--out={out}", f"--score={key}"]) == 0
    said = capsys.readouterr().out
    assert said.count("a1x") == 2 and "9.1234" not in said and "3.654" not in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--out is missing"),
        (("--out=x.txt",), "nothing to do"),
        (("--out=.", "--worlds=9"), "is a folder"),
        (("--out=x.txt", "--worlds=nine"), "'nine' is neither g0 nor g0:alpha"),
        (("--out=x.txt", "--worlds=9", "--module=y.py"), "both given"),
        (("--out=x.txt", "--module=nowhere.py"), "no such file"),
        (("--out=x.txt", "--score=nowhere.txt"), "cannot be read"),
        (("--out=x.txt", "--score=pyproject.toml"), "not an answer key"),
        (("--out=x.txt", "--worlds=9", "--config=cpu"), "needs sampler=flights"),
        (("--out=x.txt", "--worlds=9", "--config.world.g0=3"), "set by this command itself"),
        (("--out=x.txt", "--worlds=9", "--config.num_setups=0"), "num_setups=0"),
        (("--out=x.txt", "--worlds=9", "--refine_setups=-1"), "refine_setups"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, monkeypatch, arguments, says):
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.chdir(tmp_path)
    assert roomphys.main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and says in error
    assert not list(tmp_path.glob("x.txt*"))


def test_a_key_that_is_none_is_not_quoted(tmp_path):
    key = tmp_path / "key.txt"
    key.write_text(f"Function ID : a1x\n{MARKER}\n")
    with pytest.raises(UsageError) as caught:
        _submission.read_key(key)
    assert MARKER not in str(caught.value)
