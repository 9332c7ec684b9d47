"""Damaged checkpoints: read-outs refuse them, a run sets them aside, says so, and goes on from the newest whole one."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.faults import corruptions
from benchmarks.faults.corruptions import Outcome
from benchmarks.faults.damage import KINDS
from o2t_jax.commands import train
from o2t_jax.errors import UsageError
from o2t_jax.training import checkpoint, recovery
from o2t_jax.training.workdir import saved_steps

COMMAND = ("--config=tests/training/toy_config.py", "--config.writers=jsonl", "--config.keep_checkpoints=3")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A run of the tests' toy of six steps, with three or four kept."""
    workdir = tmp_path_factory.mktemp("damage") / "run"
    assert train.main([*COMMAND, f"--workdir={workdir}"]) == 0
    return workdir


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "copy")


def steps_of(workdir: Path) -> tuple[Path, list[int]]:
    return workdir / "checkpoints", saved_steps(workdir)


def test_steps_that_have_changed_places_are_not_taken_for_each_other(copy: Path) -> None:
    root, steps = steps_of(copy)
    first, last = root / str(steps[0]), root / str(steps[-1])
    first.rename(root / "aside")
    last.rename(first)
    (root / "aside").rename(last)
    with pytest.raises(UsageError, match=f"step {steps[-1]} is damaged: it holds step {steps[0]}"):
        checkpoint.open_workdir(copy)
    folder, damaged = recovery.find_whole(copy)
    assert folder is not None and int(folder.name) == steps[-2] and len(damaged) == 2


@pytest.mark.parametrize("how", ["changed", "removed", "forgotten"])
def test_a_number_that_picked_the_best_cannot_change_unnoticed(copy: Path, how: str) -> None:
    best = checkpoint.find_step(copy, "best")
    if how == "changed":
        (best / "metrics" / "metrics").write_text(json.dumps({"held_out": 1e9, "mode": "min"}))
    elif how == "removed":
        shutil.rmtree(best / "metrics")  # as if this step had never been measured
    else:
        (best / "manifest.json").write_text('{"sha256": {}}')
    with pytest.raises(UsageError, match=f"step {best.name} (is damaged|lacks the file|has an unreadable manifest)"):
        checkpoint.open_workdir(copy, "best")


@pytest.mark.parametrize("text", ["[]", '{"sha256": []}', '{"sha256": {"meta/x": 1}}', "[" * 10**5, "\xff", "{}"])
def test_a_manifest_that_is_no_list_of_sums_is_one_line(copy: Path, text: str) -> None:
    (checkpoint.find_step(copy) / "manifest.json").write_text(text)
    with pytest.raises(UsageError, match=r"unreadable manifest\.json: delete"):
        checkpoint.open_workdir(copy)


def test_a_run_sets_damage_aside_says_so_and_ends_as_if_nothing_had_been(
    copy: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, steps = steps_of(copy)
    (root / str(steps[-1]) / "params" / "_METADATA").unlink()
    for name in ("config.json.99.tmp", "pictures/test.png.99.tmp"):  # what killed processes have left
        (copy / name).write_text("half")
    assert train.main([*COMMAND, f"--workdir={copy}"]) == 0
    said = capsys.readouterr().out
    assert f"warning   the checkpoint of step {steps[-1]} lacks the file params/_METADATA; it is set aside" in said
    assert f"from step {steps[-2]} to {steps[-1]}" in said
    assert (root / f"{steps[-1]}.damaged").is_dir() and not list(copy.rglob("*.tmp"))
    for mine, other in zip(*(flat(workdir) for workdir in (copy, finished)), strict=True):
        assert mine.tobytes() == other.tobytes()


def flat(workdir: Path) -> list[np.ndarray]:
    import jax

    return jax.tree.leaves(checkpoint.restore_params(workdir))


def test_without_a_whole_checkpoint_nothing_is_touched(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, steps = steps_of(copy)
    for step in steps:
        (root / str(step) / "manifest.json").unlink()
    assert train.main([*COMMAND, f"--workdir={copy}"]) == 2
    said = capsys.readouterr().err
    assert "holds no whole checkpoint" in said and "to start again from step 0" in said and said.count("\n") == 1
    assert saved_steps(copy) == steps


def test_a_step_is_deleted_whole_whoever_is_killed_meanwhile(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the deletion itself never happens, every step that has its name has all of its files."""
    monkeypatch.setattr(checkpoint.shutil, "rmtree", lambda *_, **__: None)
    assert train.main([*COMMAND[:2], "--config.keep_checkpoints=1", f"--workdir={tmp_path}"]) == 0
    folder, damaged = recovery.find_whole(tmp_path)
    assert folder is not None and not damaged
    assert list((tmp_path / "checkpoints" / "deleting").iterdir())
    monkeypatch.undo()
    with checkpoint.Checkpoints(tmp_path, keep_latest=1):
        assert not (tmp_path / "checkpoints" / "deleting").exists()


def test_random_damage_is_never_silent(finished: Path, tmp_path: Path) -> None:
    """A few of what `python -m benchmarks.faults` does a thousand times."""
    trials = {
        "checkpoint": (corruptions.Checkpoints(finished, tmp_path).trial, 10),
        "set": (corruptions.Sets(tmp_path).trial, 40),
        "pictures": (corruptions.Pictures(tmp_path).trial, 20),
    }
    corruptions.Sets(tmp_path)  # made again in the same folder, as a later call does
    rng = random.Random(0)
    for name, (trial, count) in trials.items():
        for number in range(count):
            outcome, what = trial(KINDS[number % len(KINDS)], rng)
            assert outcome in (Outcome.DETECTED, Outcome.HARMLESS, Outcome.NOTHING), f"{name}: {what}"


def test_corruptions_go_on_where_the_last_call_ended(tmp_path: Path) -> None:
    def trial(kind: str, rng: random.Random) -> tuple[Outcome, str]:
        asked.append((kind, rng.random()))
        return (Outcome.SILENT if kind == "swap" else Outcome.DETECTED), kind

    asked: list[tuple[str, float]] = []
    whole = corruptions.measure({"set": trial}, 20, 0)
    once, asked = asked, []
    for count in (7, 20):
        rows = corruptions.measure({"set": trial}, count, 0, tmp_path / "kept.json")
    assert asked == once and len(set(asked)) == 20 and rows == whole
    assert sum(row["corruptions"] for row in rows) == 20 and sum(row.get("silent", 0) for row in rows) == 4
    with pytest.raises(UsageError, match="choose another --out"):
        corruptions.measure({"pictures": trial}, 20, 0, tmp_path / "kept.json")


def test_the_judge_tells_silence_from_detection() -> None:
    def refuse() -> None:
        raise UsageError("damaged")

    def fail() -> None:
        raise KeyError("x")

    assert corruptions.judged(lambda: 1, 1) is Outcome.HARMLESS
    assert corruptions.judged(lambda: 2, 1) is Outcome.SILENT
    assert corruptions.judged(refuse, 1) is Outcome.DETECTED
    assert corruptions.judged(fail, 1) is Outcome.TRACEBACK
