"""Damaged checkpoints, sets of samples and kept pictures: is each damage noticed, and never anything wrong read?

`Outcome.SILENT` is the one that must not happen: something else than what was saved came back without a word.
`HARMLESS` damage changes nothing that is read (a byte between two records, a file that nothing needs).
"""

from __future__ import annotations

import enum
import functools
import json
import random
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.damage import KINDS, copy_of, damage
from benchmarks.faults.kills import digest_of
from o2t_jax.errors import UsageError

Trial = Callable[[str, random.Random], "tuple[Outcome, str]"]


class Outcome(enum.StrEnum):
    DETECTED = "detected"  # one line that names it
    HARMLESS = "harmless"
    TRACEBACK = "traceback"  # noticed, by an error of another kind
    SILENT = "silent"
    NOTHING = "nothing"  # the damage changed no byte


def judged(read: Callable[[], Any], wanted: Any) -> Outcome:
    """What comes of reading, which gives `wanted` where all is well."""
    try:
        found = read()
    except UsageError as error:
        return Outcome.DETECTED if "\n" not in str(error) else Outcome.TRACEBACK
    except Exception:
        return Outcome.TRACEBACK
    return Outcome.HARMLESS if found == wanted else Outcome.SILENT


def worst(outcomes: list[Outcome]) -> Outcome:
    order = (Outcome.SILENT, Outcome.TRACEBACK, Outcome.DETECTED, Outcome.HARMLESS)
    return min(outcomes, key=order.index)


class Checkpoints:
    """Trials on the checkpoints of a finished run: read-outs of the damaged step and of the best one, then a resume."""

    def __init__(self, workdir: Path, scratch: Path):
        from o2t_jax.training.workdir import saved_steps

        self._whole, self._scratch, self._steps = workdir, scratch, saved_steps(workdir)
        self._read = {step: opened(workdir, step) for step in self._steps}
        self._states = {step: restored(workdir / "checkpoints" / str(step), self._like(step)) for step in self._steps}
        self._best = opened(workdir, "best")

    def trial(self, kind: str, rng: random.Random) -> tuple[Outcome, str]:
        """The outcome, and what was damaged."""
        copy = copy_of(self._whole, self._scratch / "copy")
        root = copy / "checkpoints"
        step = self._steps[-1] if rng.random() < 0.5 else rng.choice(self._steps)
        others = [each for each in self._steps if each != step]
        files = sorted(path for path in (root / str(step)).rglob("*") if path.is_file())
        file = rng.choice(files)
        other = root / str(rng.choice(others)) / file.relative_to(root / str(step))
        if kind == "swap" and rng.random() < 0.2:  # a whole step, or a part of one
            file = rng.choice([root / str(step), *(path for path in (root / str(step)).iterdir() if path.is_dir())])
            other = root / str(rng.choice(others)) / file.relative_to(root / str(step))
        what = f"{kind} {file.relative_to(root)}"
        if not damage(file, kind, rng, other):
            return Outcome.NOTHING, what
        outcomes = [
            judged(lambda: opened(copy, step), self._read[step]),
            judged(lambda: opened(copy, "best"), self._best),
            self._resume(copy),
        ]
        return worst(outcomes), f"{what}: {', '.join(outcomes)}"

    def _resume(self, copy: Path) -> Outcome:
        """As a run does: sets damaged steps aside, and goes on from the newest good one."""
        from o2t_jax.training import recovery
        from o2t_jax.training.workdir import saved_steps

        try:
            folder, damaged = recovery.find_whole(copy)
            recovery.set_damaged_aside(copy)
            left = saved_steps(copy)
        except UsageError:
            return Outcome.DETECTED
        except Exception:
            return Outcome.TRACEBACK
        if folder is None or int(folder.name) != left[-1] or len(left) + len(damaged) != len(self._steps):
            return Outcome.SILENT
        found = judged(lambda: restored(folder, self._like(int(folder.name))), self._states[int(folder.name)])
        return Outcome.DETECTED if found is Outcome.HARMLESS and damaged else found

    @functools.cache  # noqa: B019 - as long as the trials
    def _like(self, step: int) -> Any:
        from o2t_jax.training import checkpoint
        from o2t_jax.training.state import TrainState

        folder = checkpoint.find_step(self._whole, step)
        trees = {name: checkpoint.read_tree(folder, name) for name in ("params", "opt_state", "extra")}
        return TrainState(
            step=np.array(step, np.int32), key=np.array(checkpoint.read_meta(folder)["key"], np.uint32), **trees
        )


def opened(workdir: Path, step: int | str) -> Any:
    """All that a read-out reads, as a comparable value."""
    from o2t_jax.training import checkpoint

    run = checkpoint.open_workdir(workdir, step)
    return run.step, digest_of((run.state.params, run.state.extra)), run.meta, run.config.to_dict()


def restored(folder: Path, like: Any) -> str:
    from o2t_jax.training import checkpoint

    state = checkpoint.restore_state(folder, like)
    return digest_of((state.params, state.opt_state, state.extra, state.key, state.step))


class Sets:
    """Trials on a set of samples: opened as training does, all samples read."""

    def __init__(self, scratch: Path):
        from benchmarks.records import RandomSequences
        from o2t_jax.data.records import write_set

        self._whole, self._scratch = scratch / "set", scratch
        shutil.rmtree(self._whole, ignore_errors=True)  # of an earlier call
        source = RandomSequences()
        source.splits = {"train": 0, "test": 0}
        write_set(self._whole, source, {"train": 256, "test": 128}, shard_bytes=64 * 8032)
        self._samples = read_set(self._whole)

    def trial(self, kind: str, rng: random.Random) -> tuple[Outcome, str]:
        """The outcome, and what was damaged."""
        copy = copy_of(self._whole, self._scratch / "set-copy")
        files = sorted(copy.iterdir())
        file = rng.choice(files)
        other = rng.choice([path for path in files if path != file and path.suffix == file.suffix] or [file])
        if not damage(file, kind, rng, other if other != file else None):
            return Outcome.NOTHING, f"{kind} {file.name}"
        return judged(lambda: read_set(copy), self._samples), f"{kind} {file.name}"


def read_set(folder: Path) -> str:
    from o2t_jax.data.stored import open_set

    with open_set(folder) as stored:
        return digest_of({split: stored.read(split, np.arange(size)) for split, size in stored.splits.items()})


class Pictures:
    """Trials on kept pictures of a module: a damaged file counts as absent, and is rendered again."""

    SHAPE = (2, 16, 16, 3)

    def __init__(self, scratch: Path):
        from o2t_jax.render.plugin.cache import PictureCache

        self._whole, self._scratch = scratch / "pictures", scratch
        shutil.rmtree(self._whole, ignore_errors=True)
        cache = PictureCache(self._whole, "0" * 64)
        self._pictures = np.random.default_rng(0).integers(0, 256, (8, *self.SHAPE), np.uint8)
        times = np.arange(2.0)
        self._keys = [cache.key(i, times, np.zeros((2, 2)), np.zeros((2, 3)), (16, 16)) for i in range(8)]
        for key, pictures in zip(self._keys, self._pictures, strict=True):
            cache.store(key, pictures)

    def trial(self, kind: str, rng: random.Random) -> tuple[Outcome, str]:
        """The outcome, and what was damaged."""
        from o2t_jax.render.plugin.cache import PictureCache

        cache = PictureCache(copy_of(self._whole, self._scratch / "pictures-copy"), "0" * 64)
        number, other = rng.sample(range(8), 2)
        key = self._keys[number]
        if not damage(cache.path(key), kind, rng, cache.path(self._keys[other])):
            return Outcome.NOTHING, kind
        try:
            found = cache.load(key, self.SHAPE)
        except Exception:
            return Outcome.TRACEBACK, kind
        if found is None:
            return Outcome.DETECTED, kind
        return (Outcome.HARMLESS if np.array_equal(found, self._pictures[number]) else Outcome.SILENT), kind


def measure(
    trials: Mapping[str, Trial], count: int, seed: int, kept: Path | None = None, deadline: float = float("inf")
) -> list[dict[str, Any]]:
    """One row for each thing damaged and kind of damage: `count` trials in turn, or until `deadline` (monotonic).

    What an earlier call has written to the file `kept` counts, and is not done again.

    Raises:
        UsageError: `kept` holds other trials.
    """
    cells = [f"{name}: {kind}" for name in trials for kind in KINDS]
    state: dict[str, Any] = {"seed": seed, "cells": cells, "done": 0, "rows": {}}
    if kept is not None and kept.exists():
        state = json.loads(kept.read_text())
        if (state["seed"], state["cells"]) != (seed, cells):
            raise UsageError(f"{kept} holds other corruptions or another seed: choose another --out")
    while state["done"] < count and time.monotonic() < deadline:
        number = state["done"]
        cell = cells[number % len(cells)]
        name, _, kind = cell.rpartition(": ")
        outcome, what = trials[name](kind, random.Random(f"{seed}-{number}"))
        state["done"] += 1
        if outcome is not Outcome.NOTHING:
            row = state["rows"].setdefault(cell, {"what": name, "damage": kind, "corruptions": 0, "problems": []})
            row["corruptions"] += 1
            row[outcome.value] = row.get(outcome.value, 0) + 1
            if outcome in (Outcome.SILENT, Outcome.TRACEBACK):
                row["problems"].append(what)
        if kept is not None:
            part = kept.with_suffix(".part")
            part.write_text(json.dumps(state))
            part.replace(kept)
    return list(state["rows"].values())
