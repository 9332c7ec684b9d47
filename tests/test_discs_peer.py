"""benchmarks.discs_peer: PyTorch's networks compute what ours do, sides take turns, bad input is one line."""

from __future__ import annotations

import importlib.util

import jax
import numpy as np
import pytest

from benchmarks import discs_peer
from benchmarks.dynamics import differences

SIZES = {"classic": {}, "modern": {"msg_dim": 16, "enc_blocks": 1, "dec_blocks": 1}}
parts = pytest.mark.parametrize("part", SIZES)


@pytest.fixture(scope="module")
def cases():
    return {part: discs_peer.DiscCase(part, threads=1, batch=16, sizes=sizes) for part, sizes in SIZES.items()}


@parts
def test_pytorch_gives_the_same_velocities_loss_and_gradient_with_our_weights(part, cases) -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.peers.discs_torch import DiscTrainer, Predictor
    from benchmarks.peers.weights import gradients

    case = cases[part]
    trainer = DiscTrainer("discs_eager", case.fields, case.params, case.batch)
    assert sum(x.numel() for x in trainer.network.parameters()) == case.size
    ours = jax.jit(case.model(True).apply)({"params": case._start}, case.frames(case.batch, 0)).velocity
    with torch.no_grad():
        predictor = Predictor(trainer.network, discs_peer.ROOM, discs_peer.SPEED, case.fields["reach"])
        theirs = predictor(*trainer.data(0)[:3]).numpy()
    own = np.asarray(ours) / discs_peer.SPEED
    assert np.abs(own).max() > 0.3
    assert np.abs(theirs - own).max() < 1e-5
    loss = trainer.matched()
    assert max(differences("discs_eager", case.own(), (loss, gradients(trainer.network))).values()) < 1e-4


@parts
def test_both_sides_make_the_same_steps(part, cases) -> None:
    pytest.importorskip("torch")
    from benchmarks.peers.discs_torch import DiscTrainer

    case = cases[part]
    trainer = DiscTrainer("discs_eager", case.fields, case.params, case.batch)
    run, (state, data), _ = case.compiled(True)
    for step in range(3 if part == "modern" else 1):
        state, found = run(state, data)
        for batch, loss in enumerate(np.asarray(found)[:8]):
            # PyTorch counts through all batches that there are, ours through those of a dispatch.
            trainer.made = batch
            assert trainer.step() == pytest.approx(float(loss), rel=1e-3), (step, batch)


def test_discs_do_not_overlap_and_one_pair_of_five_matters() -> None:
    found = discs_peer.windows(500, seed=3)
    place = found["position"][:, 1]
    apart = np.linalg.norm(place[:, :, None] - place[:, None], axis=-1) + 1e9 * np.eye(4)
    assert apart.min() >= 2 * discs_peer.RADIUS
    near = (apart <= discs_peer.REACH * discs_peer.RADIUS).sum() / (500 * 12)
    assert near == pytest.approx(0.21, abs=0.03)
    assert (found["position"] >= 50).all() and (found["position"] <= [750, 550]).all()


def test_sides_take_turns_and_times_are_means_of_blocks() -> None:
    order = []

    def side(name: str, seconds: float):
        def turn(count: int) -> list[tuple[float, float]]:
            order.append((name, count))
            return [(seconds * (1 + i % 2), 2 * seconds) for i in range(count)]

        return turn

    taken = discs_peer.take_turns({"ours": side("ours", 0.1), "other": side("other", 0.5)}, seconds=1e-9, block=2)
    turns = [("ours", 3), ("other", 3), *[("ours", order[2][1]), ("other", order[3][1])] * 3]
    assert order == turns and order[2][1] > order[3][1] > 0
    assert np.allclose(taken["ours"], [0.15, 0.2]) and np.allclose(taken["other"], [0.75, 1.0])


def test_an_unknown_part_is_one_line(capsys) -> None:
    assert discs_peer.main(["--parts=classic,moderm"]) == 2
    error = capsys.readouterr().err
    assert "choose from classic, modern" in error and error.count("\n") == 1


def test_a_missing_peer_names_the_extra(monkeypatch, capsys) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else known(name))
    assert discs_peer.main([]) == 2
    error = capsys.readouterr().err
    assert 'torch: pip install "o2t_jax[bench]"' in error and error.count("\n") == 1
