"""Several seeds in one program, parts of another run, frozen parts: by the command, on the template system."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest

import o2t_jax
from o2t_jax.commands import evaluate, report, sweep, train
from o2t_jax.errors import UsageError
from o2t_jax.training import checkpoint
from o2t_jax.training.loop import _check_finite
from o2t_jax.training.reporter import _means, _of_seeds

SHORT = ["--config=toy", "--config.train_steps=6", "--config.batch=4", "--config.horizon=3", "--config.width=8"]
SHORT += ["--config.eval_every=6", "--config.checkpoint_every=3", "--config.compilation_cache=off"]


def run(workdir, *fields: str) -> int:
    return train.main([*SHORT, f"--workdir={workdir}", *fields])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Seeds 4 and 5 side by side, and seed 5 alone."""
    root = tmp_path_factory.mktemp("seeds")
    assert run(root / "both", "--config.seed=4", "--config.seeds=2") == 0
    assert run(root / "alone", "--config.seed=5") == 0
    return root


def test_each_seed_is_its_single_run(runs) -> None:
    both, alone = o2t_jax.load(runs / "both", seed=1), o2t_jax.load(runs / "alone")
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), both.state.params, alone.state.params
    )
    np.testing.assert_array_equal(both.state.key, alone.state.key)
    assert both.readouts["spring"]["stiffness_per_mass"] == pytest.approx(
        alone.readouts["spring"]["stiffness_per_mass"], rel=1e-3, abs=1e-3
    )
    other = o2t_jax.load(runs / "both", seed=0)
    assert not np.allclose(*(jax.tree.leaves(x.state.params)[1] for x in (both, other)))
    batch = {"states": np.ones((2, 4, 2), np.float32), "actions": np.zeros((2, 3, 1), np.float32)}
    assert both.predict(batch).shape == (2, 3, 2)


def test_results_of_several_seeds_are_means_with_intervals(runs) -> None:
    error = json.loads((runs / "both" / "results.json").read_text())["test/error"]
    assert error["low"] < error["value"] < error["high"]
    alone = json.loads((runs / "alone" / "results.json").read_text())["test/error"]
    assert alone["low"] is None and set(error["baselines"]) == {"hold the first state", "constant velocity"}
    assert error["baselines"] == pytest.approx(alone["baselines"])
    result = json.loads((runs / "both" / "result.json").read_text())
    assert len(result["readouts"]["spring"]["stiffness_per_mass"]) == 2
    saved = checkpoint.read_tree(checkpoint.find_step(runs / "both"), "spring")
    np.testing.assert_array_equal(saved["stiffness_per_mass"], result["readouts"]["spring"]["stiffness_per_mass"])


def test_evaluate_and_report_show_a_run_of_several_seeds(runs, capsys) -> None:
    assert evaluate.main([f"--workdir={runs / 'both'}", "--json=-", "--device=cpu"]) == 0
    found = json.loads(capsys.readouterr().out)
    stored = json.loads((runs / "both" / "result.json").read_text())
    assert found["test"]["error"] == pytest.approx(stored["eval"]["test/error"], rel=1e-6)
    assert report.main([f"--workdir={runs / 'both'}", f"--out={runs / 'page.html'}"]) == 0
    mean = np.mean(stored["readouts"]["spring"]["stiffness_per_mass"])
    assert f"{mean:.5g}" in (runs / "page.html").read_text()


def test_a_seed_without_a_number_does_not_hide_the_others() -> None:
    merged = _of_seeds([{"g": 1.0}, None, {"g": 3.0, "alpha": None}])
    assert merged == {"g": [1.0, None, 3.0], "alpha": [None, None, None]} and _means(merged) == {"g": 2.0}
    assert _of_seeds([None, None]) is None


def test_a_seed_whose_loss_is_not_finite_is_named() -> None:
    with pytest.raises(UsageError, match="loss of the seed at position 1 is nan at step 3"):
        _check_finite(3, {"loss": np.array([1.0, np.nan]), "grad_norm": np.ones(2)})


def test_only_a_run_of_several_seeds_has_means_of_lists() -> None:
    """A read-out of one seed may hold lists, such as the range of heights."""
    readouts = {"law": {"g0": [9.0, None, 10.0], "name": ["a", "b", "c"]}}
    record = {"fields": {}, "seed": 0, "status": "finished", "result": {"train": {}, "eval": {}, "readouts": readouts}}
    assert sweep.table([record], seeds=3)[0]["law/g0"] == 9.5 and "law/name" not in sweep.table([record], seeds=3)[0]
    assert not any(name.startswith("law/") for name in sweep.table([record])[0])


@pytest.mark.parametrize("wrong", [["--fields=seeds=2,3"], ["--config.seeds=2", "--seeds=2"]])
def test_a_sweep_refuses_seeds_of_two_kinds(wrong, tmp_path, capsys) -> None:
    assert sweep.main(["--config=toy", f"--out={tmp_path}", *wrong]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_several_seeds_resume_bit_for_bit(runs, tmp_path) -> None:
    import shutil

    shutil.copytree(runs / "both", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "6")
    (tmp_path / "cut" / "result.json").unlink()
    assert run(tmp_path / "cut", "--config.seed=4", "--config.seeds=2") == 0
    whole, cut = (checkpoint.open_workdir(path).state for path in (runs / "both", tmp_path / "cut"))
    jax.tree.map(np.testing.assert_array_equal, whole.params, cut.params)


def test_parts_of_another_run_are_a_start_and_frozen_parts_stay(runs, tmp_path) -> None:
    source, part = o2t_jax.load(runs / "alone").state.params, "MLP_0.Dense_0"
    start = f"--config.init_from={runs / 'alone'}"
    assert run(tmp_path / "new", start, f"--config.init_parts={part}", f"--config.freeze={part}") == 0
    new = o2t_jax.load(tmp_path / "new").state.params
    jax.tree.map(np.testing.assert_array_equal, new["MLP_0"]["Dense_0"], source["MLP_0"]["Dense_0"])
    assert not np.allclose(new["MLP_0"]["Dense_1"]["kernel"], source["MLP_0"]["Dense_1"]["kernel"])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (["--config.freeze=MLP_1"], ("freeze='MLP_1' is not a part of the model", "did you mean 'MLP_0'")),
        (["--config.init_parts=MLP_0"], ("init_parts=('MLP_0',)", "--config.init_from")),
        (["--config.seeds=0"], ("seeds=0 must be at least 1",)),
        ([f"--config.seed={2**31 - 1}", "--config.seeds=2"], (f"seed={2**31 - 1}", "--config.seed")),
        (["--config.env.stiffness=-1.0"], ("stiffness",)),
        (["--config.core=newtonain"], ("core='newtonain' is unknown", "did you mean 'newtonian'")),
        (["--config.dt=0.0"], ("dt=0",)),
    ],
)
def test_mistakes_are_one_line(fields, words, tmp_path, capsys) -> None:
    assert run(tmp_path / "run", *fields) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and all(word in error for word in words), error
    assert not (tmp_path / "run").exists()


def test_seeds_need_samples_made_in_jax(tmp_path, capsys) -> None:
    assert train.main(["--config=smoke", "--config.seeds=2", f"--workdir={tmp_path / 'run'}"]) == 2
    assert "makes its samples outside JAX" in capsys.readouterr().err
