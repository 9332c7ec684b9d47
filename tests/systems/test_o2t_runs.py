"""The smoke config as a reader starts it, in processes of their own: pictures made on the device, and resuming."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """Of compiled programs: the runs here share their step."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.timeout(600)
def test_steps_on_pictures_made_on_the_device(tmp_path: Path, cache: Path) -> None:
    said = _train(tmp_path / "run", cache, "render_backend=device")
    assert "complete: step 4" in said


def _train(workdir: Path, cache: Path, *changes: str) -> str:
    """The smoke config in a process of its own; one core, since sums differ in their last bits between core counts."""
    command = [sys.executable, "-m", "experiments.train", "--config=experiments/configs/smoke.py"]
    command += [f"--workdir={workdir}", f"--config.compilation_cache={cache}", "--config.train_steps=4"]
    command += ["--config.eval_every=4", "--config.checkpoint_every=2"]
    command += [f"--config.{change}" for change in changes]
    environment = {**os.environ, "NPROC": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path: Path, cache: Path) -> None:
    """Buffer and random state included: the run from step 2 must draw, render and compute what the first one did."""
    from o2t_jax.training.checkpoint import open_workdir

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    _train(whole, cache)
    shutil.copytree(whole, cut)
    shutil.rmtree(cut / "checkpoints" / "4")
    (cut / "result.json").unlink()
    assert "from step 2 to 4" in _train(cut, cache)
    states = [open_workdir(folder).state for folder in (whole, cut)]
    pairs = list(zip(*(jax.tree.leaves(s) for s in states), strict=True))
    assert len(pairs) > 100
    assert all(np.array_equal(a, b) for a, b in pairs)
    middle = open_workdir(whole, 2).state
    moved = [not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(middle), jax.tree.leaves(states[0]), strict=True)]
    assert sum(moved) > 100, "steps 3 and 4 changed nothing: this compares too little"
