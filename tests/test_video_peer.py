"""benchmarks.video: PyTorch's world model computes what ours does, with its codebook; bad input is one line."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from benchmarks import video
from benchmarks.dynamics import TOLERANCE, differences
from benchmarks.peers.dynamics_worker import VIDEO_PEERS, make_trainer

layouts = pytest.mark.parametrize("name", VIDEO_PEERS)


@pytest.fixture(scope="module")
def found():
    """A tiny case, our loss and gradient, and our parameters and codebook after a step."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from benchmarks.dynamics_cases import by_path
    from benchmarks.video_cases import WorldCase, without_heads
    from o2t_jax.commands.configs.video import cpu

    config, rng = cpu.get_config("smoke"), np.random.default_rng(0)
    b, length = config.batch, config.context + config.horizon
    # Noise of very different brightness: many codes are in use, and some start again.
    bright = rng.uniform(0, 256, (b, length, 1, 1))
    batch = {
        "pictures": (bright * rng.random((b, length, 32, 32))).astype(np.uint8),
        "actions": rng.normal(size=(b, length - 1, 2)).astype(np.float32),
        "weight": rng.uniform(0.5, 2.0, b).astype(np.float32),
    }
    case = WorldCase(1, config, batch)
    case.compile()
    own = case.own()
    loss = float(case.step()["loss"])
    return case, own, loss, without_heads(by_path(case._state.params)), by_path(case._state.extra["codebook"])


@layouts
def test_pytorch_gives_the_same_loss_and_gradient_with_our_weights(name, found) -> None:
    from benchmarks.peers.weights import gradients

    case, own, *_ = found
    trainer = make_trainer(name, case.fields, case.params, case.batch)
    assert sum(x.numel() for x in trainer.network.parameters()) == case.size
    assert TOLERANCE[name] == 1e-4
    loss = trainer.matched()
    assert max(differences(name, own, (loss, gradients(trainer.network))).values()) < 1e-4
    assert min(np.abs(x).max() for x in own[1].values()) > 0.0  # every parameter matters


@layouts
def test_a_step_moves_parameters_and_codebook_as_ours(name, found) -> None:
    from benchmarks.peers.weights import parameters

    case, _, loss, after, codebook = found
    trainer = make_trainer(name, case.fields, case.params, case.batch)
    assert trainer.step(given=True) == pytest.approx(loss, rel=1e-5)
    theirs = parameters(trainer.network)
    for path, x in after.items():
        moved = theirs[path].reshape(x.shape) - case.params[path]
        assert np.abs(moved).max() > 0.5 * case.fields["lr"], path
        assert moved == pytest.approx(x - case.params[path], abs=1e-2 * case.fields["lr"]), path
    started = codebook["weights"] == 0.5 * 64 * len(case.batch["pictures"]) * 5 / len(codebook["codes"])
    assert 0 < started.sum() < len(started)
    for key, x in codebook.items():
        assert trainer.memory[key].numpy() == pytest.approx(x, rel=1e-4, abs=1e-4), key


def test_later_steps_draw_anew_and_stay_finite(found) -> None:
    import torch

    case = found[0]
    torch.manual_seed(0)
    trainer = make_trainer(VIDEO_PEERS[0], case.fields, case.params, case.batch)
    first, second = trainer.draw(), trainer.draw()
    assert {key: x.shape for key, x in first.items()} == {key: x.shape for key, x in trainer.given.items()}
    assert not torch.equal(first["gumbel"], second["gumbel"]) and not torch.equal(first["order"], second["order"])
    for row in first["recon"].tolist():
        assert len(set(row)) == len(row) and min(row) >= 0 and max(row) < 5
    assert int(first["dream"].max()) < 3
    losses = [trainer.step() for _ in range(5)]
    assert np.isfinite(losses).all()
    assert trainer.memory["codes"].isfinite().all()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--parts=model,frames"], "--parts=frames is unknown: choose from model, agent, frame"),
        (["--peer", "--parts=agent"], "--parts=agent has nothing for --peer: add model"),
    ],
)
def test_bad_input_is_one_line(given, said, capsys) -> None:
    assert video.main(given) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_missing_peer_names_the_extra(monkeypatch, capsys) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else known(name))
    assert video.main(["--peer"]) == 2
    error = capsys.readouterr().err
    assert 'torch: pip install "o2t_jax[bench]"' in error and error.count("\n") == 1
