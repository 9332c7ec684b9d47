"""experiments.rollouts: its rows are the evaluator's, its films show what was predicted; bad input is one line.

Also experiments.preview of a scene of discs.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from typing import Any

import av
import jax
import numpy as np
import pytest
from PIL import Image

from o2t_jax.commands import preview, rollouts
from o2t_jax.commands._config import load_config
from o2t_jax.config import put
from o2t_jax.errors import UsageError
from o2t_jax.systems import discs_compared, discs_films, toy_config
from o2t_jax.systems.discs import Discs
from o2t_jax.systems.discs_tests import DiscTests
from o2t_jax.training import workdir as folders
from o2t_jax.training.checkpoint import Checkpoints
from o2t_jax.training.contract import Plan
from o2t_jax.training.state import TrainState

STEPS, SCENES = 10, 8
TINY = ["--scenes=8", "--steps=10", "--film_steps=4", "--device=cpu", "--cpu_tuning=off"]


def smoke(**changed):
    _, config = load_config("discs/cpu:smoke")
    config = config.copy_and_resolve_references()
    for name, value in {"env.speed": 600.0, "env.discs": 2, "rounds": 1, "compilation_cache": "off", **changed}.items():
        put(config, name.replace("__", "."), value)
    return config


@pytest.fixture(scope="module")
def states() -> dict[str, TrainState]:
    """Untrained parameters, and those of a model that never pushes: constant velocity."""
    shapes, _ = jax.eval_shape(Discs(smoke()).init, jax.random.key(0))
    drawn = np.random.default_rng(0)
    weak = jax.tree.map(lambda x: 0.1 * drawn.normal(size=x.shape).astype(x.dtype), shapes)
    params = {"idle": jax.tree.map(np.zeros_like, weak), "weak": weak}
    return {name: TrainState(np.array(7, np.int32), x, {}, {}, np.zeros(2, np.uint32)) for name, x in params.items()}


@pytest.fixture(scope="module")
def home(states, tmp_path_factory):
    """Runs of both, one of an older version, one of another world, and one of another system."""
    home = tmp_path_factory.mktemp("runs")
    old = states["weak"].replace(params={"impulses": {"bias": np.zeros(3, np.float32)}})
    for name, state in {**states, "old": old}.items():
        with Checkpoints(home / name, keep_latest=1) as checkpoints:
            meta = {"system": "discs", "data": {}, "plan": Plan(0, 4, 1, 1).saved(), "window": {}}
            checkpoints.save(7, state, config=smoke(), meta=meta)
        folders.write_json(home / name / folders.CONFIG, smoke().to_dict())
    for name, config in (("slow", smoke(env__speed=60.0)), ("toy", toy_config.default())):
        (home / name).mkdir()
        folders.write_json(home / name / folders.CONFIG, config.to_dict())
    return home


@pytest.fixture(scope="module")
def written(home):
    """The command on both runs: its folder, its JSON, and what it compared."""
    out, kept = home / "out", []

    def compare(*arguments):
        kept.append(made(*arguments))
        return kept[0]

    flags = [f"--workdir={home / name}" for name in ("idle", "weak")]
    with pytest.MonkeyPatch.context() as patch:
        made = discs_compared.compare
        patch.setattr(discs_compared, "compare", compare)
        assert rollouts.main([*flags, *TINY, "--films=2", f"--out={out}", f"--json={home / 'out.json'}"]) == 0
    return out, json.loads((home / "out.json").read_text()), kept[0]


def test_rows_are_those_of_the_evaluator(written, states) -> None:
    with (written[0] / "rollouts.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {(row["method"], row["measure"], int(row["frames ahead"])): row for row in rows}
    wanted = {"idle", "weak", "constant velocity"}
    assert {method for method, _, _ in found if not method.startswith("ceiling")} == wanted
    tests = DiscTests(Discs(smoke()))
    results: dict[str, Any] = dict(tests.test(states["weak"]))
    for result, measure in (("cosine", "cosine"), ("magnitude", "speed error")):
        mine = [found["weak", measure, t + 1] for t in range(STEPS)]
        for column, numbers in (("mean", results[result].y), ("low", results[result].low)):
            np.testing.assert_allclose([float(row[column]) for row in mine], numbers, rtol=1e-6)
    (own,) = (row for row in written[1]["methods"] if row["method"] == "weak")
    assert own["cosine share"] == pytest.approx(results["cosine_share"].value, abs=1e-9)
    assert own["mse ratio"] == pytest.approx(results["mse_ratio"].value)
    assert own["hits in order"] == results["hits_in_order"].value
    # The evaluator's film shows the same scene, beside the one model.
    film, mine = results["film"].frames, written[2].film(0, STEPS)
    assert len(film) == STEPS + 1 and results["film"].fps == 10
    np.testing.assert_array_equal(film[:, 36:, 4:324], mine[:, 36:, 4:324])
    np.testing.assert_array_equal(film[:, 36:, 328:648], mine[:, 36:, 652:972])


def test_a_model_that_never_pushes_is_constant_velocity(written) -> None:
    out, numbers, _ = written
    rows = {row["method"]: row for row in numbers["methods"]}
    assert rows["idle"]["cosine share"] == pytest.approx(0.0, abs=1e-6)
    assert rows["idle"]["mse ratio"] == pytest.approx(1.0)
    assert rows["idle"]["cosine t+10"] == pytest.approx(rows["constant velocity"]["cosine t+10"])
    assert rows["constant velocity"]["cosine share"] is None
    assert numbers["runs"]["weak"]["step"] == 7 and numbers["scenes"] == SCENES
    assert (out / "rollouts.png").read_bytes().startswith(b"\x89PNG")


def test_films_show_the_positions_that_were_predicted(written) -> None:
    out, _, found = written
    scenes, (width, height) = found.held.pool.scenes, (320, 240)
    number = int(np.flatnonzero(scenes["hits"][:, 1:5].any(axis=(1, 2, 3)))[0])
    film = found.film(number, 4)
    truth, model = film[:, -height - 4 : -4, 4 : 4 + width], film[:, -height - 4 : -4, 8 + width : 8 + 2 * width]
    scene, position = discs_films.scene_of(scenes, number), scenes["position"][number, 1:6]
    np.testing.assert_array_equal(truth, discs_films.pictures(scene, position, (800.0, 600.0)))
    straight = position[0] + 0.1 * np.arange(5)[:, None, None] * scenes["velocity"][number, 1]
    drawn = discs_films.pictures(scene, straight.astype(np.float32), (800.0, 600.0))
    assert np.max(np.abs(model.astype(int) - drawn)) <= 2
    np.testing.assert_array_equal(model[0], truth[0])
    assert np.any(model[-1] != truth[-1])
    for number in range(2):
        with av.open(str(out / f"rollout_scene{number}.mp4")) as file:
            stream = file.streams.video[0]
            assert stream.average_rate == 10
            shape = (4 + 3 * (width + 4), 18 + 18 + height + 4)  # with margins, names, and a line for the time
            assert [(x.width, x.height) for x in file.decode(stream)] == [shape] * 5


def test_a_preview_shows_a_scene_of_the_config(tmp_path, capsys) -> None:
    config = ["--config=discs/cpu:smoke", "--config.env.speed=600", "--config.env.discs=2", "--config.cpu_tuning=off"]
    config += ["--config.compilation_cache=off"]
    out = tmp_path / "scene.gif"
    assert preview.main([*config, f"--out={out}", "--steps=11", "--size=30", "--seed=5"]) == 0
    source = dataclasses.replace(Discs(smoke()).scenes, seed=5)
    scenes = source.make("train", np.arange(1))
    frames = discs_films.pictures(discs_films.scene_of(scenes, 0), scenes["position"][0], (800.0, 600.0), 30)
    with Image.open(out) as film:
        assert (getattr(film, "n_frames", 1), film.size, film.info["duration"]) == (12, (40, 30), 100)
        film.seek(7)
        assert np.mean(np.abs(np.asarray(film.convert("RGB")).astype(int) - frames[7])) < 8  # 256 colours
    for flags, message in (
        ([*config, "--dt=0.2"], "--dt belongs to worlds without a config"),
        (["--config=toy"], "a config of system 'toy' has no preview"),
        ([*config, "--config.env.discs=60"], "do not fit"),
    ):
        assert preview.main([*flags, f"--out={tmp_path}/b.gif"]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["scene.gif"]


def test_another_world_and_other_numbers_reach_all_models(home, tmp_path, monkeypatch, capsys) -> None:
    seen = {}

    def stop(models, steps):
        seen.update(models=models, steps=steps)
        raise UsageError("seen")

    monkeypatch.setattr(discs_compared, "compare", stop)
    more = ["--set=env.speed=60", "--set=env.room=L", "--set=env.masses=1,5,25", "--scenes=3", "--films=1"]
    flags = [f"--workdir={home / name}" for name in ("idle", "weak")]
    assert rollouts.main([*flags, *more, "--steps=70", "--names=a,b", f"--out={tmp_path}"]) == 2
    assert list(seen["models"]) == ["a", "b"] and seen["steps"] == 70
    for config, _ in seen["models"].values():
        assert (config.env.speed, config.env.room, tuple(config.env.masses)) == (60.0, "L", (1, 5, 25))
        assert (config.test_scenes, config.rollout_steps, config.frames) == (3, 70, 72)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--workdir is missing"),
        (["--workdir=idle"], "--out is missing"),
        (["--workdir=toy", "--out=x"], "toy is a run of system 'toy': give runs of 'discs'"),
        (["--workdir=idle", "--workdir=slow", "--out=x"], "different worlds: env.speed is 60.0 and 600.0"),
        (["--workdir=slow", "--out=x"], "slow holds no checkpoint"),
        (["--workdir=idle", "--workdir=weak", "--out=x", "--names=a"], "1 names for 2 runs"),
        (["--workdir=idle", "--out=x", "--scenes=0"], "--scenes=0 must be at least 1"),
        (["--workdir=idle", "--out=x", "--film_steps=0"], "--film_steps=0 must be at least 1"),
        (["--workdir=idle", "--out=x", "--scenes=3", "--films=4"], "--films=4 of --scenes=3"),
        (["--workdir=idle", "--out=x", "--step=77"], "no checkpoint of step 77"),
        (["--workdir=old", "--out=x"], "the checkpoint of relative does not fit this config: impulses/bias is"),
        (["--workdir=idle", "--out=x", "--set=env.sped=1"], "did you mean 'env.speed'"),
        (["--workdir=idle", "--out=x", "--set=lr=1"], "fields that can be changed are env."),
        (["--workdir=idle", "--out=x", "--set=env.room=M"], "room"),
        (["--workdir=idle", "--out=x", "--set=env.discs=60"], "do not fit"),
    ],
)
def test_bad_input_is_one_line_and_no_file(home, monkeypatch, capsys, flags, message) -> None:
    monkeypatch.chdir(home)
    assert rollouts.main(flags) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not (home / "x").exists()
