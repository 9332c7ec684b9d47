"""Chains of kills, until there are as many as asked for. A file keeps the finished ones, so that this can go on."""

from __future__ import annotations

import collections
import json
import os
import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.faults.kills import Chain, differences
from o2t_jax.errors import UsageError

KEPT = "kills.json"
# Kills of each training in 20, as its starts are cheap or dear: the time of a start is that of tracing in Python.
SHARES = {"line": 6, "toy": 6, "dynamics": 3, "discs": 1, "o2t": 3, "o2t_processes": 1}
KILLS_OF_A_CHAIN = 8


class Kept:
    """What is known so far: the facts of untouched runs, and the finished chains. Saved after each of them."""

    def __init__(self, file: Path, trainings: Mapping[str, Sequence[str]], seed: int):
        self._file = file
        asked = {name: list(arguments) for name, arguments in trainings.items()}
        self.content: dict[str, Any] = {"seed": seed, "trainings": asked, "untouched": {}, "chains": []}
        if file.exists():
            self.content = json.loads(file.read_text())
            there = self.content["trainings"]
            if self.content["seed"] != seed or any(there.get(name, asked[name]) != asked[name] for name in asked):
                raise UsageError(f"{file} holds kills of other trainings or another seed: choose another --out")
            self.content["trainings"] = there | asked

    def save(self) -> None:
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(self.content))
        os.replace(part, self._file)

    def rows(self) -> dict[str, dict[str, Any]]:
        """One row for each training."""
        rows = {name: new_row(name) for name in self.content["trainings"]}
        for chain in self.content["chains"]:
            add(rows[chain["system"]], chain)
        return rows


def measure(
    trainings: Mapping[str, Sequence[str]],
    count: int,
    work: Path,
    seed: int,
    told: Callable[[str], None] = print,
    deadline: float = float("inf"),
) -> list[dict[str, Any]]:
    """One row for each training: `count` kills in all, or as many as there is time for until `deadline` (monotonic).

    What an earlier call with the same `work` has finished counts, and is not done again.

    Raises:
        UsageError: `work` holds kills of other trainings.
        RuntimeError: a training fails without any kill.
    """
    kept = Kept(work / KEPT, trainings, seed)
    content, rows = kept.content, kept.rows()
    while sum(row["kills"] for row in rows.values()) < count and time.monotonic() < deadline:
        name = min(trainings, key=lambda each: rows[each]["kills"] / SHARES[each])
        if name not in content["untouched"]:
            content["untouched"][name] = untouched(name, trainings[name], work)
            kept.save()
        left = count - sum(row["kills"] for row in rows.values())
        chain = one_chain(name, trainings[name], work, content, min(KILLS_OF_A_CHAIN, left))
        content["chains"].append(chain)
        kept.save()
        rows = kept.rows()
        total = sum(row["kills"] for row in rows.values())
        told(f"{name}: {rows[name]['kills']} kills, {rows[name]['kills_lost']} lost ({total} in all)")
        for problem in chain["problems"]:
            told(f"  {problem}")
    return list(rows.values())


def one_chain(name: str, arguments: Sequence[str], work: Path, content: Mapping[str, Any], kills: int) -> dict:
    """A chain's entry: its kills and what was wrong. Its folder stays where anything was, to be looked at."""
    number = len(content["chains"])
    folder = work / f"chain-{number}"
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier call that did not end
    wanted = content["untouched"][name]
    latest = [chain["run_seconds"] for chain in content["chains"] if chain["system"] == name]
    seconds, begun = (latest or [wanted["seconds"]])[-1], time.monotonic()
    chain = Chain(name, arguments, folder, random.Random(f"{content['seed']}-{number}"), seconds).run(kills)
    if chain.facts and (changed := differences(chain.facts, wanted["facts"])):
        chain.problems.append(f"differs from an untouched run in {', '.join(changed)}")
    if not chain.problems:
        shutil.rmtree(folder)
    return {
        "system": name,
        "kills": chain.rows,
        "problems": chain.problems,
        "run_seconds": chain.seconds,
        "seconds": time.monotonic() - begun,
    }


def untouched(name: str, arguments: Sequence[str], work: Path) -> dict[str, Any]:
    """The facts of an untouched run, and its duration."""
    folder, begun = work / f"whole-{name}", time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    chain = Chain(name, arguments, folder, random.Random(0), 0.0).run(0)
    if chain.problems:
        raise RuntimeError(f"{name}, untouched: {'; '.join(chain.problems)}")
    return {"facts": chain.facts, "seconds": time.monotonic() - begun}


def new_row(name: str) -> dict[str, Any]:
    return {"system": name, "kills": 0, "kills_lost": 0, "most_repeated": 0, "seconds": 0.0} | {
        "phases": {},
        "problems": [],
    }


def add(row: dict[str, Any], chain: Mapping[str, Any]) -> None:
    """Adds a chain to its training's row: where anything is wrong, all of its kills count as lost."""
    kills = len(chain["kills"])
    row["kills"] += kills
    row["kills_lost"] += max(kills, 1) if chain["problems"] else 0
    row["most_repeated"] = max([row["most_repeated"], *(kill["repeats"] for kill in chain["kills"])])
    row["seconds"] += chain["seconds"]
    phases = collections.Counter(kill["phase"] for kill in chain["kills"])
    row["phases"] = dict(collections.Counter(row["phases"]) + phases)
    row["problems"] += chain["problems"]
