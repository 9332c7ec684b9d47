"""What users run: a CPU's forms under the compiler's own settings. Other tests compile in haste (tests/conftest.py)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from o2t_jax.training.checkpoint import find_step, open_workdir, read_tree
from tests.systems import golden

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow  # a minute each: the compiler takes its time


def program(*arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    environment |= {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_golden_train_step() -> None:
    found = json.loads(program("tests.systems.golden"))
    assert found["form"] == "cpu"
    golden.check(found["numbers"])


def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path) -> None:
    """Two steps of `smoke`, and its second step once more from the checkpoint of the first."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    fields = {"train_steps": 2, "checkpoint_every": 1, "eval_every": 2, "eval_samples": 3, "pool_size": 8}
    fields["gauge"] = "free"  # half the program to compile; the golden step is the camera gauge's
    fields["compilation_cache"] = tmp_path / "cache"
    command = ["experiments.train", "--config=smoke", *(f"--config.{name}={value}" for name, value in fields.items())]
    program(*command, f"--workdir={whole}")
    shutil.copytree(whole, cut)
    shutil.rmtree(cut / "checkpoints" / "2")
    (cut / "result.json").unlink()
    program(*command, f"--workdir={cut}")
    (first, *last), moments = (
        [open_workdir(*place).state for place in ((whole, 1), (whole, 2), (cut, 2))],
        [read_tree(find_step(workdir, 2), "opt_state") for workdir in (whole, cut)],
    )
    for trees in (last, moments):
        jax.tree.map(np.testing.assert_array_equal, *trees)
    moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), first.params, last[0].params)
    assert sum(jax.tree.leaves(moved)) > 100, "step 2 changed nothing: this compares too little"
