"""`experiments.law` and `experiments.evaluate` on a saved run of a toy system."""

from __future__ import annotations

import json
import sys
import types
from typing import ClassVar

import cv2
import numpy as np
import pytest
from ml_collections import ConfigDict

from o2t_jax.commands import evaluate, law, report
from o2t_jax.evaluation.o2t.law import LAW_KEYS, params_sha256, read_out
from o2t_jax.evaluation.o2t.prediction import PredictionEvaluator
from o2t_jax.geometry.para import DIS, TARGET
from o2t_jax.training import workdir as folders
from o2t_jax.training.checkpoint import Checkpoints
from o2t_jax.training.contract import Plan
from o2t_jax.training.state import TrainState

PARAMS = {"phys": {"g0": np.float32(9.5), "alpha": np.zeros(25, np.float32)}}
META = {"system": "toy_law", "data": {}, "plan": Plan(0, 4, 1, 1).saved(), "window": {}}


class ToySystem:
    """Its law is a weight and 8 / (z + 10); it predicts the target, a little darker."""

    headline_scores = ()
    headline_tables: ClassVar = {}

    def __init__(self, held_out=None, lawless=False):
        self.lawless = lawless
        self.evaluators = {}
        if held_out is not None:
            self.evaluators["test"] = PredictionEvaluator(held_out, self.predict, batch=2, num_pictures=2)
        self.readouts = {"law": self.read_law}

    def init(self, key):
        return PARAMS, {}

    def digests(self):
        return {}

    def predict(self, state, batch):
        return batch["pictures"][:, TARGET] / 255.0 * (state.params["phys"]["g0"] / 10.0)

    def read_law(self, state):
        if self.lawless:
            return None
        g0, step = float(state.params["phys"]["g0"]), int(state.step)
        return read_out(lambda z: g0 + 8.0 / (z + 10.0), (0.0, 10.0), g0, np.zeros(25), step, state.params)


@pytest.fixture
def run(tmp_path, monkeypatch, discs, flat):
    """A workdir with checkpoints of steps 10 and 20, and metrics."""
    config = ConfigDict({"system": "toy_law_system:build", "seed": 0, "lawless": False, "compilation_cache": "off"})
    still = [discs.sample((14.5, 40.5), (4, -1), (0, 0.2), 2, n, flat, spare=(-9, 20)) for n in (3, 7)]
    held_out = discs.held_out_of(*still, discs.sample((14.5, 40.5), (4, -1), (0, 0), 2, 0, flat, DIS, spare=(-9, 20)))
    module = types.ModuleType("toy_law_system")
    module.build = lambda config: ToySystem(held_out, config.lawless)
    monkeypatch.setitem(sys.modules, "toy_law_system", module)
    with Checkpoints(tmp_path, keep_latest=2) as checkpoints:
        for step, g0 in ((10, 7.0), (20, 9.5)):
            params = {"phys": {**PARAMS["phys"], "g0": np.float32(g0)}}
            state = TrainState(np.int32(step), params, {}, {}, np.zeros(2, np.uint32))
            checkpoints.save(step, state, config=config, meta=META, readouts={"law": ToySystem().read_law(state)})
    (tmp_path / folders.METRICS).write_text('{"step": 10, "train/g0": 7.0}\n{"step": 20, "train/g0": 9.5}\n')
    folders.write_json(tmp_path / folders.TRUTH, {"g0": 9.6, "alpha": 8.0})
    return tmp_path


def test_law_prints_plots_and_writes(run, capsys):
    assert law.main([f"--workdir={run}", f"--json={run / 'law.json'}"]) == 0
    printed = capsys.readouterr()
    assert "g0     9.5000" in printed.out and "alpha  8.0000" in printed.out and not printed.err
    numbers = json.loads((run / "law.json").read_text())
    assert tuple(numbers) == LAW_KEYS
    assert numbers["g0"] == pytest.approx(9.5) and numbers["alpha"] == pytest.approx(8.0) and numbers["step"] == 20
    assert numbers["params_sha256"] == params_sha256(PARAMS)
    assert len(numbers["g_of_z"]) == 101
    assert cv2.imread(str(run / "law.png")).shape[1] > 600


def test_json_on_standard_output_stands_alone(run, capsys):
    assert law.main([f"--workdir={run}", "--step=10", "--json=-", f"--plot={run / 'other.png'}"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["g0_weight"] == 7.0
    assert "weight 7.0000" in printed.err and (run / "other.png").exists() and not (run / "law.png").exists()


def test_evaluate_prints_the_table_and_writes_pictures(run, capsys):
    assert evaluate.main([f"--workdir={run}", "--device=cpu", f"--json={run / 'numbers.json'}"]) == 0
    out = capsys.readouterr().out
    for word in ("FUTURE", "DIS", "O2T", "repeat PIC1", "background only", "constant velocity", "centroid_px", "loss"):
        assert word in out
    numbers = json.loads((run / "numbers.json").read_text())
    # The target times 0.95: its error is 5% of it.
    row = next(r for r in numbers["test"]["table"] if (r["mode"], r["n"], r["method"]) == ("FUTURE", "all", "O2T"))
    assert 0.03 < row["l1"] < 0.05 and row["centroid_px"] < 0.5
    assert numbers["step"] == 20 and np.isfinite(numbers["test"]["loss"])
    pictures = list((run / "evaluation").glob("*pictures*.png"))
    assert len(pictures) == 1 and cv2.imread(str(pictures[0])).shape[0] > 2 * 128
    assert (run / "evaluation" / "test_table.csv").read_text().startswith("mode,n,method,")
    assert np.isfinite(numbers["test"]["loss/background only"])


@pytest.mark.parametrize("command", [law, evaluate])
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "--workdir is missing"),
        (["--workdir=/nowhere"], "no checkpoint"),
        (["--workdir={run}", "--step=15"], "no checkpoint of step 15"),
        (["--workdir={run}", "--json={run}/no/where.json"], "cannot be written"),
        (["--workdir={run}", "stray"], "unknown argument"),
    ],
)
def test_bad_input_is_one_line_and_code_2(run, capsys, command, arguments, reason):
    assert command.main([a.format(run=run) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1


def test_a_run_of_an_older_version_is_one_line(run, capsys, monkeypatch):
    older = {"phys": {**PARAMS["phys"], "alpha": np.zeros(24, np.float32)}}
    monkeypatch.setattr(ToySystem, "init", lambda self, key: (older, {}))
    assert evaluate.main([f"--workdir={run}", "--device=cpu"]) == 2
    error = capsys.readouterr().err
    assert "phys/alpha is float32[25] there, float32[24] here" in error
    assert error.count("\n") == 1 and not (run / "evaluation").exists()


def test_a_system_without_a_law_says_so(tmp_path, capsys):
    config = ConfigDict({"system": "toy_law", "seed": 0, "lawless": True, "compilation_cache": "off"})
    state = TrainState(np.int32(1), PARAMS, {}, {}, np.zeros(2, np.uint32))
    with Checkpoints(tmp_path, keep_latest=2) as checkpoints:
        checkpoints.save(1, state, config=config, meta=META, readouts={"law": None})
    assert law.main([f"--workdir={tmp_path}"]) == 2
    assert "reads out no law" in capsys.readouterr().err


def test_the_law_is_read_without_the_model_and_compared_with_the_weights_on_demand(run, capsys, monkeypatch):
    assert law.main([f"--workdir={run}", "--json=-", "--recompute"]) == 0
    recomputed = json.loads(capsys.readouterr().out)
    monkeypatch.setitem(sys.modules, "toy_law_system", None)  # the model cannot be imported any more
    assert law.main([f"--workdir={run}", "--json=-"]) == 0
    assert json.loads(capsys.readouterr().out) == recomputed
    other = types.ModuleType("toy_law_system")
    other.build = lambda config: ToySystem()
    monkeypatch.setitem(sys.modules, "toy_law_system", other)
    monkeypatch.setattr(ToySystem, "read_law", lambda self, state: {**recomputed, "g0": 9.9})
    assert law.main([f"--workdir={run}", "--recompute"]) == 2
    assert "g0 of the weights differs from the law saved at step 20" in capsys.readouterr().err


def test_a_report_of_a_run_that_goes_on_or_is_damaged(run):
    folders.write_json(run / folders.CONFIG, {"system": "toy_law"})
    assert report.main([f"--workdir={run}"]) == 0
    text = (run / "report.html").read_text()
    assert "20 of ?, not complete" in text and "train/g0" in text and "Note" not in text
    damaged = next((run / "checkpoints" / "20").rglob("manifest.ocdbt"))
    damaged.write_bytes(b"\0" * damaged.stat().st_size)
    assert report.main([f"--workdir={run}"]) == 0
    assert "<p>Note: " in (run / "report.html").read_text(), "what can be shown is shown"


def test_a_plot_that_cannot_be_written_says_so(run, capsys):
    for path in (run / "no" / "law.png", run / "law.xyz"):
        assert law.main([f"--workdir={run}", f"--plot={path}"]) == 2
        assert "--plot" in capsys.readouterr().err
