"""Processes that end at the worst moments: the same command ends as if nothing had been.

`python -m benchmarks.faults --only=kills` does it hundreds of times to several systems, at random moments.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.faults import chains
from benchmarks.faults.kills import TRAININGS, differences, facts_of
from o2t_jax.commands import train
from o2t_jax.errors import UsageError
from o2t_jax.training.checkpoint import Checkpoints
from o2t_jax.training.metrics import JsonLinesWriter, read_metrics

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (
    "--config=tests/training/toy_config.py",
    "--config.system=tests.training.toy_worldly:WorldlyToy",
    "--config.writers=jsonl",
)


def test_an_end_right_after_a_save_loses_no_row_and_writes_none_twice(tmp_path, monkeypatch):
    """The checkpoint is whole, and nothing that comes after it was done: read-outs, results, result.json."""
    assert train.main([*COMMAND, f"--workdir={tmp_path / 'whole'}"]) == 0
    save = Checkpoints.save

    def save_and_end(self: Checkpoints, step: int, *arguments: object, **more: object) -> None:
        save(self, step, *arguments, **more)  # pyright: ignore[reportArgumentType]
        self.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "save", save_and_end)
    ends = 0
    while (code := train.main([*COMMAND, f"--workdir={tmp_path / 'broken'}"])) == 130:
        ends += 1
        assert ends < 9
    assert code == 0 and ends >= 3
    found, wanted = facts_of(tmp_path / "broken"), facts_of(tmp_path / "whole")
    assert any("law/g0" in row for row in wanted["metrics"])
    assert differences(found, wanted) == []


def test_a_measurement_that_is_repeated_where_training_goes_on_is_one_row(tmp_path):
    for resumed in (0, 4):
        writer = JsonLinesWriter(tmp_path / "metrics.jsonl", resume_step=resumed)
        writer.write_scalars(4, {"test/loss": 1.0})
        writer.write_scalars(4, {"test/other": 2.0} if resumed else {"train/loss": 3.0})
        writer.close()
    rows = read_metrics(tmp_path)
    assert [sorted(row) for row in rows] == [["step", name] for name in ("test/loss", "train/loss", "test/other")]


def test_kills_of_a_finished_chain_are_kept_and_not_done_again(tmp_path, monkeypatch):
    asked: list[tuple[str, int]] = []

    def chain(name: str, arguments: object, work: Path, content: object, kills: int) -> dict:
        asked.append((name, kills))
        rows = [{"phase": "step", "step": 3, "repeats": 1}] * kills
        return {"system": name, "kills": rows, "problems": [], "run_seconds": 1.0, "seconds": 1.0}

    monkeypatch.setattr(chains, "one_chain", chain)
    monkeypatch.setattr(chains, "untouched", lambda name, *_: {"facts": {}, "seconds": 1.0})
    trainings = {"line": ("a",), "o2t": ("b",)}
    rows = chains.measure(trainings, 25, tmp_path, 0, lambda text: None)
    first = list(asked)
    rows = chains.measure(trainings, 300, tmp_path, 0, lambda text: None)
    kills = {row["system"]: row["kills"] for row in rows}
    assert sum(kills.values()) == 300 == sum(count for _, count in asked) and sum(count for _, count in first) == 25
    assert kills["line"] > 1.5 * kills["o2t"] > 100, "as SHARES says"
    assert all(row["kills_lost"] == 0 for row in rows)
    more = chains.measure({"toy": ("c",)}, 310, tmp_path, 0, lambda text: None)
    assert sum(row["kills"] for row in more) == 310 and asked[-1][0] == "toy", "another training joins"
    for asked_now, seed in ((trainings, 1), ({"line": ("other",)}, 0)):
        with pytest.raises(UsageError, match="choose another --out"):
            chains.measure(asked_now, 1, tmp_path, seed, lambda text: None)


def test_all_kills_of_a_chain_that_ends_otherwise_are_lost():
    row = chains.new_row("line")
    for problems in ([], ["differs from an untouched run in metrics"]):
        kills = [{"phase": random.Random(0).choice(["step", "save"]), "step": 3, "repeats": 2}] * 4
        chains.add(row, {"kills": kills, "problems": problems, "seconds": 1.0})
    assert (row["kills"], row["kills_lost"], row["most_repeated"]) == (8, 4, 2)
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3}) == ["b"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux")
def test_a_few_kills_at_random_moments_lose_nothing(tmp_path):
    assert "line" in TRAININGS
    command = [sys.executable, "-m", "benchmarks.faults", "--only=kills", "--systems=line", "--n=4"]
    done = subprocess.run(
        [*command, f"--json={tmp_path / 'found.json'}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["kills"] >= 4 and found["kills_lost"] == 0
