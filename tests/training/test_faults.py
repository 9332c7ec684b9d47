"""Faults that a run meets end in one line, or in a complete run; the last good state stays.

The whole list, each in a process of its own: `python -m benchmarks.faults --only=faults`. docs/reliability.md names the
test of each fault.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from benchmarks.faults.table import FAULTS, MODULES, module_fault
from o2t_jax.commands import train
from o2t_jax.commands._config import load_config
from o2t_jax.systems.base import build_system
from o2t_jax.systems.toy import Toy
from o2t_jax.training.state import TrainState

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ("--config=tests/training/toy_config.py", "--config.writers=jsonl")


def test_a_workdir_that_cannot_be_made_is_one_line_before_anything_is_computed(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert train.main([*COMMAND, f"--workdir={tmp_path / 'file' / 'run'}"]) == 2
    said = capsys.readouterr()
    assert "cannot be written" in said.err and said.err.count("\n") == 1 and "step 1/" not in said.out
    assert (tmp_path / "file").read_text() == "mine"


def test_a_read_out_of_weights_that_have_run_away_is_none_and_no_traceback():
    """A save comes before the next step, which finds that the loss is not finite."""
    system = build_system(load_config("toy")[1])
    assert isinstance(system, Toy)
    params, extra = system.init(jax.random.PRNGKey(0))
    state = TrainState.create(params=params, tx=system.tx, key=jax.random.PRNGKey(0), extra=extra)
    assert set(system.spring(state) or {}) == set(system.truth())
    astray = state.replace(params=jax.tree.map(lambda x: 1e30 * x, params))
    assert system.spring(astray) is None


def test_a_module_that_prints_without_end_gives_its_pictures(tmp_path):
    """What it prints goes nowhere: it is neither kept nor waited for."""
    body, word = MODULES["prints gigabytes"]
    line = module_fault(body.replace("2048", "128"), word, tmp_path)
    assert "as if nothing had been printed" in line


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux")
def test_each_fault_once(tmp_path):
    """A full and a read-only disk are left out where this user may mount none."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", "--only=faults", f"--json={tmp_path / 'found.json'}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["faults_failed"] == 0 and found["faults"] >= len(FAULTS) - 2
