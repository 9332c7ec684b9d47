"""benchmarks.dynamics: sides take turns, PyTorch's versions compute what ours does, bad input is one line."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from benchmarks import dynamics
from benchmarks.dynamics_cases import Euler, OneStep, PictureCase, StateCase
from benchmarks.peers.dynamics_worker import make_trainer
from o2t_jax.commands.configs.dynamics import pictures
from o2t_jax.physics.envs.pendulum import Pendulum, PendulumState


def test_sides_take_turns_and_ratios_are_theirs_over_ours() -> None:
    order = []

    def side(name: str, seconds: float):
        def turn(count: int) -> list[tuple[float, float]]:
            order.append((name, count))
            return [(100.0, 100.0), *[(seconds, 2 * seconds)] * (count - 1)]

        return turn

    taken = dynamics.interleave({"ours": side("ours", 0.1), "other": side("other", 0.3)}, repeats=2, steps=3)
    assert order == [("ours", 4), ("other", 4)] * 2
    ours, other = dynamics.rows_of("states", taken, {"other": {"parameters": 7}})
    assert (ours["ratio"], other["steps"], other["parameters"]) == (1.0, 6, 7)
    assert other["ratio"] == other["ratio_of_fastest"] == other["ratio_of_cpu"] == pytest.approx(3.0)


def test_the_command_measures_our_side(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(dynamics.sys.modules, "gymnax", None)
    where = tmp_path / "found.json"
    given = ["--parts=states,world", "--repeats=1", "--steps=1", "--batch=2", f"--json={where}"]
    assert dynamics.run(dynamics.parsed(given)) == 0
    found = json.loads(where.read_text())
    assert [(row["part"], row["side"]) for row in found["rows"]] == [
        ("states", "ours"),
        *[("world", name) for name in ("ours", "one rk4", "one euler")],
    ]
    # 4 inputs (velocity, cosine, sine, torque), two layers of 64, 2 rates
    assert found["rows"][0]["parameters"] == 5 * 64 + 65 * 64 + 65 * 2
    assert found["gymnax"].startswith("does not import")


def test_cheap_steps_are_of_the_same_world() -> None:
    state, action = PendulumState(np.float32(1.0), np.float32(0.5)), np.array([2.0], np.float32)
    world, h = Pendulum(), 1e-3
    truth = np.asarray(world.step(state, action, h, world.params))
    for cheap in (OneStep(), Euler()):
        found = np.asarray(cheap.step(state, action, h, world.params))
        assert np.abs(found - truth).max() < 20 * h**2


def test_an_unknown_part_is_one_line(capsys) -> None:
    assert dynamics.main(["--parts=states,worlds"]) == 2
    error = capsys.readouterr().err
    assert "choose from states, pictures, world" in error and error.count("\n") == 1


def test_a_missing_peer_names_the_extra(monkeypatch, capsys) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torchdiffeq" else known(name))
    assert dynamics.main(["--peer"]) == 2
    error = capsys.readouterr().err
    assert 'torchdiffeq: pip install "o2t_jax[bench]"' in error and error.count("\n") == 1


def agreement(name: str, case, own) -> dict[str, float]:
    from benchmarks.peers.weights import gradients

    trainer = make_trainer(name, case.fields, case.params, case.batch)
    assert sum(x.numel() for x in trainer.network.parameters()) == case.size
    loss = trainer.matched()
    return dynamics.differences(name, own, (loss, gradients(trainer.network)))


def test_pytorch_shoots_as_ours() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("torchdiffeq")
    case = StateCase(1)
    own = case.own()
    assert max(agreement("loop", case, own).values()) < 1e-4
    assert agreement("torchdiffeq", case, own)["loss_difference"] < 1e-3  # another rk4, also of fourth order
    case.params = {**case.params, "MLP_0/Dense_2/bias": case.params["MLP_0/Dense_2/bias"] + 0.1}
    with pytest.raises(RuntimeError, match="differs from ours"):
        agreement("loop", case, own)


def test_pytorch_has_the_same_loss_and_gradient_of_pictures() -> None:
    pytest.importorskip("torch")
    config = pictures.get_config("smoke")
    config.update({"consistency": 1.0, "free_bits": 0.1})
    case = PictureCase(1, config)
    own = case.own()
    assert max(agreement("channels_last", case, own).values()) < 1e-3
