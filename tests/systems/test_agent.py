"""System `agent`: it leaves its world model alone, sees pictures only, collects clips that obey the law."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest

from o2t_jax.commands import agent as command
from o2t_jax.commands._config import load_config
from o2t_jax.data.stored import open_set
from o2t_jax.errors import UsageError
from o2t_jax.physics.video import pusher
from o2t_jax.physics.video.pushes import scene_of
from o2t_jax.systems import agent_config, base_config, video_config
from o2t_jax.systems.agent import WORLD
from o2t_jax.systems.base import build_system


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sets": "pendulum"}, "an agent acts in pusher or cartpole"),
        ({"sets": "cartpole", "simulator": True}, "no gradient comes through its true world"),
        ({"rounds": 0}, "rounds=0 must be at least 1"),
        ({"gamma": 1.5}, "gamma=1.5 must be 0 to 1"),
        ({"range_decay": 1.0}, "range_decay=1 must be 0 to below 1"),
        ({"batch": 512}, "batch=512 times dream_steps=8 is above 1024"),
        ({"noise": -1.0}, "noise=-1 must not be negative"),
        ({"context": 1}, "context=1 must be at least 2"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(fields, words) -> None:
    config = agent_config.default()
    config.update(fields)
    with pytest.raises(UsageError) as error:
        build_system(config)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_the_world_models_config_is_the_agents() -> None:
    config = agent_config.default()
    config.update({"hidden": 40, "seed": 3})
    found = agent_config.world(config, dataset="a,b")
    base_config.validate(found, video_config.FIELDS)
    video_config.validate(found)
    assert (found.hidden, found.seed, found.sets, found.dataset) == (40, 3, "pusher", "a,b")
    assert (found.train_steps, found.batch) == (config.world_steps, config.world_batch)


def test_the_set_is_in_no_mix_by_itself() -> None:
    assert "pusher" not in video_config.mix_of("all") and video_config.mix_of("pusher") == {"pusher": 1.0}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two rounds of the smallest config, by the command: the folder, the numbers."""
    folder = tmp_path_factory.mktemp("agent")
    arguments = ["--config=video/agent:smoke", f"--workdir={folder / 'run'}", f"--json={folder / 'numbers.json'}"]
    assert command.main(arguments) == 0
    return folder / "run", json.loads((folder / "numbers.json").read_text())


@pytest.mark.slow
def test_the_command_reports_scores_beside_rows_that_learn_nothing(finished) -> None:
    folder, numbers = finished
    rows = {(row["tasks"], row["policy"]): row for row in numbers["returns"]}
    for tasks in ("fixed", "random"):
        assert np.isfinite(numbers[f"score_{tasks}"])
        assert rows[tasks, "nothing"]["score"] == 0.0 and rows[tasks, "PD"]["score"] == 1.0
        assert rows[tasks, "agent"]["score"] == numbers[f"score_{tasks}"]
    assert rows["fixed", "nothing"]["return"] == pytest.approx(-25.0)
    assert rows["fixed", "best sequence"]["score"] >= 1.0
    assert numbers["real_steps"] == (8 + 4) * 7  # clips of both rounds, 8 frames each
    assert len(numbers["looks"]) > 5 and {"clips1", "world1", "agent1"} <= set(numbers["seconds"])
    assert any(path.suffix in (".mp4", ".gif") for path in (folder / "evaluation").iterdir())


@pytest.mark.slow
def test_nothing_pushed_is_a_ball_that_stays_where_it_is(finished) -> None:
    rows = [row for row in finished[1]["constant_pushes"] if row["push"] == "0, 0"]
    assert all(row["true"] == pytest.approx(32.0) for row in rows)


@pytest.mark.slow
def test_an_actor_is_trained_and_its_world_model_is_not(finished) -> None:
    import o2t_jax

    world, agent = (o2t_jax.load(finished[0] / name) for name in ("world0", "agent0"))
    for part in WORLD:
        same = jax.tree.map(np.array_equal, world.state.params[part], agent.state.params[part])
        assert all(jax.tree.leaves(same)), part
    np.testing.assert_array_equal(world.state.extra["codebook"]["codes"], agent.state.extra["codebook"]["codes"])
    for part in ("actor", "critic"):
        assert any(np.any(x) for x in jax.tree.leaves(agent.state.params[part]["pooled"]["out"])), part


@pytest.mark.slow
def test_no_gradient_reaches_the_world_model(finished) -> None:
    import o2t_jax

    run = o2t_jax.load(finished[0] / "agent1")
    system, state = run.system, run.state
    spec = system.sample_spec or {}
    random = np.random.default_rng(0)
    batch = {name: random.integers(0, 2, (4, *x.shape)).astype(x.dtype) for name, x in spec.items()}
    keys = jax.random.split(jax.random.key(0), 4)
    gradient = jax.jit(jax.grad(lambda params: system.loss(params, state.extra, batch, keys, state.step)[0]))
    found = {
        name: sum(float(np.abs(x).sum()) for x in jax.tree.leaves(tree))
        for name, tree in gradient(state.params).items()
    }
    assert found["actor"] > 0.0 and found["critic"] > 0.0
    assert all(found[part] == 0.0 for part in WORLD)


@pytest.mark.slow
def test_the_actors_own_clips_obey_the_law(finished) -> None:
    with open_set(finished[0] / "clips1") as stored:
        clips = stored.read("train", np.arange(stored.size("train")))
    scenes = scene_of(clips["states"])
    after = pusher.advance(jax.tree.map(lambda x: x[:, :-1], scenes), clips["actions"])
    np.testing.assert_allclose(after.position, scenes.position[:, 1:], atol=1e-3)
    assert not np.any(scenes.velocity[:, 0]) and np.abs(clips["actions"]).max() <= 1.0
    assert np.any(clips["actions"] != 0.0)
    starts = {tuple(x) for x in scenes.position[:, 0].round(3)}
    assert not starts & {tuple(x) for x in pusher.random_tasks().position.astype(np.float32).round(3)}


@pytest.mark.slow
def test_an_agent_plays_the_pole_in_gymnasium_as_in_our_own_world(tmp_path) -> None:
    pytest.importorskip("gymnasium")
    arguments = ["--config=video/agent:cartpole_smoke", "--config.rounds=1", "--compare=gymnasium"]
    numbers = tmp_path / "numbers.json"
    assert command.main([*arguments, f"--workdir={tmp_path / 'run'}", f"--json={numbers}"]) == 0
    rows = {(row["tasks"], row["policy"]): row for row in json.loads(numbers.read_text())["returns"]}
    assert rows["Gymnasium", "linear"]["return"] == rows["random", "linear"]["return"] == 500.0
    assert 15.0 < rows["Gymnasium", "random"]["return"] < 30.0
    # An actor of two updates: other resets of the same law, so about the same return.
    ours, theirs = (rows[tasks, "agent"] for tasks in ("random", "Gymnasium"))
    assert theirs["return"] == pytest.approx(ours["return"], abs=3.0 * (ours["interval"] + theirs["interval"]) + 2.0)


def test_the_command_refuses_in_a_line(capsys, tmp_path) -> None:
    for arguments, words in (
        (["--config=toy", f"--workdir={tmp_path}"], "of system 'toy'"),
        (["--config=video/agent:smoke"], "--workdir is missing"),
        (["--config=video/agent:smoke", f"--workdir={tmp_path}", "--compare=all"], "--compare=all is unknown"),
        (["--config=video/agent:smoke", f"--workdir={tmp_path}", "--config.rounds=0"], "rounds=0"),
        (["--config=video/agent:smoke", f"--workdir={tmp_path}", "--compare=gymnasium"], "pusher is no world of Gym"),
        (
            ["--config=video/agent:cartpole", f"--workdir={tmp_path}", "--compare=simulator"],
            "no gradient comes through",
        ),
    ):
        assert command.main(arguments) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1


def test_the_configs_are_valid() -> None:
    for name in ("video/agent", "video/agent:cartpole", "video/pusher"):
        build_system(load_config(name)[1])
