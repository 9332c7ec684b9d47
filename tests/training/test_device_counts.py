"""A run goes on on another number of devices: `python -m benchmarks.faults --only=devices` tries more of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.faults import devices
from benchmarks.faults.devices import digests_of
from o2t_jax.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


def test_digests_tell_bytes_shapes_and_types_and_no_names():
    tree = {"a": np.zeros(2, np.float32), "b": {"c": np.ones((1, 2))}}
    assert digests_of(tree) == digests_of([np.ones((1, 2)), np.zeros(2, np.float32)])
    others = (np.zeros(2, np.int32), np.zeros((1, 2), np.float32), np.array([0.0, -0.0], np.float32))
    assert all(digests_of({**tree, "a": other}) != digests_of(tree) for other in others)


@pytest.mark.parametrize("kind", [RuntimeError, TimeoutError, UsageError])
def test_a_training_that_fails_is_a_row_and_the_others_are_tried(tmp_path, monkeypatch, kind):
    def train(arguments, steps, workdir, count):
        if count == 2:
            raise kind(f"{workdir.name}: out of memory")
        return {}

    monkeypatch.setattr(devices, "_train", train)
    monkeypatch.setattr(devices, "_back", lambda whole, folder: None)
    monkeypatch.setattr(devices.forked, "result_of", lambda work, folder: {"passed": True})
    rows = devices.measure({"line": ()}, tmp_path, lambda text: None, (1, 2))
    assert [(row["saved_on"], row["goes_on_on"], row["passed"]) for row in rows] == [
        (1, 1, True),
        (1, 2, False),
        (2, 1, False),
        (2, 2, False),
    ]
    assert rows[1]["error"] == "devices-line-1-2: out of memory" and "devices-line-2:" in rows[2]["error"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux")
def test_values_are_equal_and_losses_stay_together_on_one_and_two_devices(tmp_path):
    few = ["--device_systems=line", "--device_counts=1,2", "--device_steps=20", f"--json={tmp_path / 'found.json'}"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", "--only=devices", *few],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "found.json").read_text())["device_rows"]
    assert [(row["saved_on"], row["devices"]) for row in rows] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert all(row["equal"] and row["passed"] and row["losses"] == 20 for row in rows)
    assert [row["absolute"] for row in rows if row["saved_on"] == row["devices"]] == [0.0, 0.0]
