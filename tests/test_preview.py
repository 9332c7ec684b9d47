"""experiments.preview: the files it writes show the world's motion; bad input is one line and writes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from o2t_jax.commands import preview
from o2t_jax.commands._config import load_config
from o2t_jax.geometry.para import LEFT_1
from o2t_jax.physics.envs import get_environment
from o2t_jax.systems.base import build_system


def run(*flags: str) -> int:
    return preview.main(["--cpu_tuning=off", "--size=24", "--steps=5", *flags])


def test_a_film_shows_every_step_at_the_speed_of_the_motion(tmp_path, capsys):
    out = tmp_path / "pendulum.gif"
    assert run("--env=pendulum", f"--out={out}", "--dt=0.2", "--params=length=0.8,damping=0") == 0
    assert str(out) in capsys.readouterr().out
    with Image.open(out) as film:
        assert (film.n_frames, film.size, film.info["duration"]) == (6, (24, 24), 200)
    out.with_suffix(".mp4").write_bytes(b"old")
    assert run("--env=pendulum", f"--out={out.with_suffix('.mp4')}") == 0
    assert b"ftyp" in out.with_suffix(".mp4").read_bytes()[:16]
    assert {path.name for path in tmp_path.iterdir()} == {"pendulum.gif", "pendulum.mp4"}


def test_a_row_of_pictures_is_what_the_seed_gives(tmp_path):
    out = tmp_path / "row.png"
    assert run("--env=spring", f"--out={out}", "--seed=7") == 0
    frames = preview.frames_of(get_environment("spring"), 7, 5, 0.1, 24)
    np.testing.assert_array_equal(np.asarray(Image.open(out)), np.concatenate(list(frames), axis=1))
    still = preview.frames_of(get_environment("spring"), 7, 5, 0.1, 24, still=True)
    np.testing.assert_array_equal(still[0], frames[0])
    assert not np.array_equal(still[-1], frames[-1])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--env=pendulm", "--out=a.gif"], "did you mean 'pendulum'"),
        (["--out=a.gif"], "--env is missing"),
        (["--env=pendulum"], "--out is missing"),
        (["--env=pendulum", "--out=a.avi"], "the ending '.avi' is unknown"),
        (["--env=pendulum", "--out=nowhere/a.gif"], "nowhere does not exist"),
        (["--env=pendulum", "--out=a.gif", "--dt=0"], "above 0, at most 0.5"),
        (["--env=pendulum", "--out=a.gif", "--size=3"], "--size=3 px"),
        (["--env=pendulum", "--out=a.gif", "--size=4096", "--steps=100"], "1 to 20 at --size=4096"),
        (["--env=pendulum", "--out=a.gif", "--steps=0"], "--steps=0"),
        (["--env=pendulum", "--out=a.gif", "--seed=-1"], "--seed=-1"),
        (["--env=pendulum", "--out=a.gif", "--params=lenght=1"], "did you mean 'length'"),
        (["--env=pendulum", "--out=a.gif", "--params=length"], "is not name=number"),
    ],
)
def test_bad_input_is_one_line_and_no_file(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    assert run(*flags) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not list(tmp_path.iterdir())


def test_a_scene_of_o2t_is_seen_as_its_training_sees_it(tmp_path):
    """The first picture is a training sample's own, of the renderer; then the ball moves and the rest stands still."""
    out = tmp_path / "scene.png"
    flags = ["--config=experiments/configs/cpu.py", f"--out={out}", "--steps=3", "--size=64", "--seed=4"]
    assert preview.main([*flags, "--config.cpu_tuning=off"]) == 0
    row = np.asarray(Image.open(out)).reshape(64, 4, 64, 3).swapaxes(0, 1)
    system: Any = build_system(load_config("cpu")[1])
    sample = system.source("train", 4, system.ahead)
    np.testing.assert_array_equal(row[0], sample.pictures[LEFT_1])
    moved = np.any(row[1:] != row[0], axis=-1).mean(axis=(1, 2))
    assert np.all((moved > 0) & (moved < 0.2))


def test_a_scene_that_is_misspelt_is_one_line(tmp_path, capsys):
    flags = ["--config=experiments/configs/cpu.py", "--config.scene=balistic", f"--out={tmp_path / 'a.gif'}"]
    assert preview.main([*flags, "--steps=3"]) == 2
    error = capsys.readouterr().err
    assert "did you mean 'ballistic'" in error and error.count("\n") == 1 and not list(tmp_path.iterdir())
