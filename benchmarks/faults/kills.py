"""Trainings that are killed at random moments and started again: do they end as one that nobody touched?

A chain is one training in one folder: started, killed, started again, killed, ... and at last left alone. Then it is
compared with an untouched run. Half of the moments are uniform in time; the others wait for a phase, since a save or a
restore of a small model is too short to be met by chance.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.faults import forked

_SMALL = (
    "--config.checkpoint_every=2",
    "--config.eval_every=6",
    "--config.log_every=2",
    "--config.keep_checkpoints=2",
)
TRAININGS = {
    "line": ("--config=tests/training/toy_config.py", "--config.train_steps=12", *_SMALL),
    "toy": ("--config=toy", "--config.train_steps=12", *_SMALL),
    "dynamics": ("--config=dynamics/smoke", "--config.train_steps=8", *_SMALL),
    "discs": ("--config=discs/cpu:smoke", "--config.train_steps=8", *_SMALL),
    "o2t": ("--config=smoke", "--config.train_steps=8", *_SMALL),
    "o2t_processes": ("--config=smoke", "--config.train_steps=8", "--config.render_workers=2", *_SMALL),
}
TARGETS = ("fill", "step", "evaluation", "save", "restore")
_OF_THE_PROCESS = ("train/samples_per_second", "train/data_wait_seconds", "train/first_step_seconds", "data/")
_UNFINISHED = ("*.tmp", "*orbax-checkpoint-tmp*", "deleting", ".part-*", "*.damaged*", "*.unfinished*")


class Chain:
    """One training that is killed again and again. `rows` has one entry for each kill."""

    def __init__(self, name: str, arguments: Sequence[str], work: Path, rng: random.Random, seconds: float):
        self.name, self.work, self.rng, self.seconds = name, work, rng, seconds
        self.rows: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.facts: dict[str, Any] = {}
        self._kills_workers = name == "o2t_processes"
        self._arguments = [*arguments, f"--workdir={work / 'run'}"]
        self._log = work / "log"
        self._mark = f"{os.getpid()}-{work.name}"
        (work / "temporary").mkdir(parents=True)

    def run(self, kills: int) -> Chain:
        """Kills up to `kills` times, then lets it end and collects `facts`."""
        for _ in range(kills):
            if not self._kill_once():
                break
        before = _newest(self.work / "run")
        fork = self._start(None, self.work / "facts.json")
        try:
            code = fork.wait()
        except TimeoutError as error:
            self.problems.append(f"hangs after a kill: {error}")
            return self
        if code:
            self.problems.append(f"exit code {code} after a kill: {self._log.read_text()[-500:]}")
            return self
        self._check_resumed(before)
        self.facts = json.loads((self.work / "facts.json").read_text())
        left = [str(path.relative_to(self.work)) for each in _UNFINISHED for path in self.work.rglob(each)]
        left += [path.name for path in (self.work / "temporary").iterdir()]
        if left:
            self.problems.append(f"left behind: {', '.join(sorted(left))}")
        return self

    def _kill_once(self) -> bool:
        """Whether it was killed before its end."""
        before, board = _newest(self.work / "run"), forked.Board()
        never = {"restore"} if not before else set()
        never |= set() if self.name.startswith("o2t") else {"fill"}
        met = [each for each in TARGETS if each not in never]
        target = self.rng.choice(met) if self.rng.random() < 0.5 else None
        size = self._log.stat().st_size if self._log.exists() else 0
        fork = self._start(board, None)
        end = fork.begun + self.rng.uniform(0, self.seconds)
        while fork.alive() and (time.monotonic() < end if target is None else board.read()[0] != target):
            time.sleep(0.0005 if target else 0.05)
            if self._kills_workers and target is None:
                self._kill_a_worker()
        if target is not None:
            time.sleep(self.rng.choice((0.0, 0.003, 0.01, 0.03, 0.1)) * self.rng.random())
        if not fork.alive():
            self.seconds = time.monotonic() - fork.begun
            if fork.code:
                self.problems.append(f"exit code {fork.code}: {self._log.read_text()[-500:]}")
            return False
        fork.kill()
        fork.wait()
        phase, step = board.read()
        after = _newest(self.work / "run")
        self.rows.append({"phase": phase, "step": step, "repeats": max(step - after, 0)})
        if after < before:
            self.problems.append(f"checkpoint {before} went with a kill")
        if "from step" in self._log.read_text()[size:]:
            self._check_resumed(before, size)
        if left := forked.orphans(self._mark):
            self.problems.append(f"{len(left)} processes outlive the training")
        return True

    def _kill_a_worker(self) -> None:
        """A process that renders is killed once in a while: the training replaces it."""
        if workers := forked.orphans(self._mark, seconds=0.0):
            self._kills_workers = False
            os.kill(self.rng.choice(workers), signal.SIGKILL)
            self.rows.append({"phase": "worker", "step": 0, "repeats": 0})

    def _start(self, board: forked.Board | None, facts: Path | None) -> forked.Fork:
        def work() -> int:
            if self.name == "o2t_processes":  # a short run would render all of its samples in threads
                from o2t_jax.data import children

                children.InChildren.__init__.__defaults__ = (0.0,)
            code = forked.train(self._arguments, board)
            if facts is not None and not code:
                facts.write_text(json.dumps(facts_of(self.work / "run")))
            return code

        variables = {forked.MARK: self._mark, "TMPDIR": str(self.work / "temporary")}
        return forked.Fork(work, self._log, variables)

    def _check_resumed(self, newest: int, size: int = 0) -> None:
        """That the last start began at the newest checkpoint that there was."""
        begun = self._log.read_text()[size:].rpartition("from step ")[2].partition(" ")[0]
        if begun != str(newest):
            self.problems.append(f"began at step {begun}, where checkpoint {newest} was whole")


def _newest(workdir: Path) -> int:
    from o2t_jax.training.workdir import saved_steps

    return max(saved_steps(workdir), default=0)


def facts_of(workdir: Path) -> dict[str, Any]:
    """All that a finished run leaves: digests of arrays and pictures, read-outs, metrics, results.

    Left out are times, and the numbers of "data/", which count what one process has rendered and drawn.
    """
    from o2t_jax.training import checkpoint
    from o2t_jax.training.metrics import read_metrics
    from o2t_jax.training.workdir import saved_steps

    facts: dict[str, Any] = {"steps": saved_steps(workdir), "best": checkpoint.best_step(workdir)}
    for step in facts["steps"]:
        folder = checkpoint.find_step(workdir, step)
        meta = checkpoint.read_meta(folder)
        trees = {name: checkpoint.read_tree(folder, name) for name in ("params", "opt_state", "extra")}
        facts[f"step {step}"] = {"meta": meta} | {name: digest_of(tree) for name, tree in trees.items()}
    kept = [[item for item in row.items() if not item[0].startswith(_OF_THE_PROCESS)] for row in read_metrics(workdir)]
    rows = list(map(dict, kept))
    facts["metrics"] = sorted((row for row in rows if len(row) > 1), key=lambda row: (row["step"], sorted(row)))
    result = json.loads((workdir / "result.json").read_text())
    # Its training metrics have times, and a run that only wrote its result after its last save has none.
    result.pop("train")
    facts["result"], facts["results"] = result, json.loads((workdir / "results.json").read_text())
    shown = sorted(path for kind in ("pictures", "curves") for path in (workdir / kind).glob("*"))
    facts["shown"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in shown}
    return json.loads(json.dumps(facts))


def digest_of(tree: Any) -> str:
    """SHA-256 of a tree's names, types and bytes."""
    import jax
    import numpy as np

    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Which facts differ."""
    return [name for name in sorted({*found, *wanted}) if found.get(name) != wanted.get(name)]
