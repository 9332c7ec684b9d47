"""The command from a sentence to a film, run once whole, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from o2t_jax.commands import scene
from o2t_jax.data.motion.bvh import read_bvh


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    pytest.importorskip("mujoco")
    out = tmp_path_factory.mktemp("scene")
    arguments = ["a shiny red ball falls next to a box", f"--out={out}", "--seconds=1", "--cpu_tuning=off"]
    assert scene.main(arguments) == 0
    return out


@pytest.mark.slow
def test_all_files_are_written(made):
    import av

    record = json.loads((made / "scene.json").read_text())
    assert record["scene"]["unknown"] == ["shiny"]
    assert set(record["seconds"]) == {"parse", "plan", "motion", "simulate", "render", "finish", "all"}
    assert max(row["missed_m"] for row in record["layout"]["relations"]) < 0.01
    assert (made / "layout.png").read_bytes()[:4] == b"\x89PNG"
    with av.open(str(next(made.glob("film.*")))) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == 21
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 60  # the ball has moved


@pytest.mark.slow
def test_the_simulated_ball_falls_to_the_floor(made):
    track = np.load(made / "simulation.npz")
    ball = track["position"][:, list(track["bodies"]).index("ball"), 2]
    assert ball[0] > 1.0 and ball[-1] < 0.05


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "sentence is missing"),
        (["", "--out=never"], "empty"),
        (["a ball", "--seconds=100"], "--seconds=100"),
        (["a ball"], "--out"),
        (["a ball above a box and the box above the ball", "--out=never"], "cannot all hold"),
        (["a ball in a tree", "--out=never"], "not open above"),
        (["a ball", "--objects=none.json", "--out=never"], "none.json"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_exit_code_2(arguments, part, capsys):
    assert scene.main([*arguments, "--cpu_tuning=off"]) == 2
    error = capsys.readouterr().err.strip()
    assert part in error and "\n" not in error


@pytest.mark.slow
def test_a_person_s_motion_is_a_bvh_file_that_reads_back(tmp_path):
    out = tmp_path / "scene"
    arguments = ["a person waves", f"--out={out}", "--nosimulate", "--seconds=1", "--cpu_tuning=off"]
    assert scene.main(arguments) == 0
    made, read = np.load(out / "motion.npz"), read_bvh(out / "motion.bvh")
    assert read.rate == pytest.approx(float(made["rate"])) and len(read.values) == len(made["root"]) > 10
    assert read.values[:, :3] == pytest.approx(100 * made["root"], abs=0.1)
