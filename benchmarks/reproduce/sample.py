"""Stated rows, sorted into those that can be measured here and those that cannot; a random choice; its measurement."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import table
from benchmarks.reproduce.judge import Kind, judge
from benchmarks.reproduce.recipes import REASONS, RECIPES, Command, Recipe
from o2t_jax.errors import UsageError


class Stated(NamedTuple):
    """A row of a file (without .json)."""

    file: str
    row: table.Row


class Candidate(NamedTuple):
    """A row that can be measured here."""

    stated: Stated
    recipe: Recipe


def machines(results: Path) -> Mapping[str, str]:
    return table.read_json(results / table.MACHINES)


def stated_rows(results: Path, only: str = "") -> list[Stated]:
    """All rows of all files, or of those named in `only`. Raises: UsageError."""
    paths = {path.stem: path for path in sorted(results.glob("*.json")) if path.name != table.MACHINES}
    names = only.split(",") if only else list(paths)
    if unknown := set(names) - set(paths):
        raise UsageError(f"--only={','.join(sorted(unknown))} is unknown: choose from {', '.join(paths)}")
    known = machines(results)
    return [Stated(name, row) for name in names for row in table.read_question(paths[name], known).rows]


def recipes_of(stated: Stated, recipes: Collection[Recipe] = RECIPES) -> list[Recipe]:
    return [recipe for recipe in recipes if (recipe.file, recipe.what) == (stated.file, stated.row.what)]


def sort_out(
    rows: Iterable[Stated], machine: str, budget: float, recipes: Collection[Recipe] = RECIPES
) -> tuple[list[Candidate], dict[str, dict[str, int]]]:
    """Rows that can be measured here; and for each file how many cannot, by reason."""
    candidates, left_out = [], {}
    for stated in rows:
        found = recipes_of(stated, recipes)
        reason = why_not(found[0], stated.row, machine, budget) if found else REASONS.get(stated.file, "no recipe")
        if reason:
            reasons = left_out.setdefault(stated.file, {})
            reasons[reason] = reasons.get(reason, 0) + 1
        else:
            candidates.append(Candidate(stated, found[0]))
    return candidates, left_out


def why_not(recipe: Recipe, row: table.Row, machine: str, budget: float) -> str:
    """Why a row that has a recipe cannot be measured here; "" if it can."""
    needs = sorted({name for command in recipe.commands for name in command.needs})
    if missing := [name for name in needs if importlib.util.find_spec(name) is None]:
        return f"needs {', '.join(missing)}"
    if recipe.kind is Kind.SPEED and row.machine != machine:
        return f"a speed of machine {row.machine}: --machine does not say that this is it"
    minutes = sum(command.minutes for command in recipe.commands)
    return f"takes about {minutes:g} minutes, more than --budget" if minutes > budget else ""


def choose(candidates: Sequence[Candidate], count: int, seed: int) -> list[Candidate]:
    """`count` random ones, all if there are fewer; the same for the same seed and candidates."""
    return random.Random(seed).sample(candidates, min(count, len(candidates)))


def measure(
    chosen: Sequence[Candidate], folder: Path, budget: float, told: Callable[[str], None]
) -> list[dict[str, Any]]:
    """One entry a row, with its `verdict`: inside, outside, failed, or not measured. A command runs only once."""
    end, done, found = time.monotonic() + 60 * budget, {}, []
    for stated, recipe in chosen:
        told(f"{stated.file}: {stated.row.what}")
        entry: dict[str, Any] = {"file": stated.file, "what": stated.row.what}
        entry["stated"] = table.format_figure(stated.row.value, stated.row.unit)
        problem, outs = "", []
        for command in recipe.commands:
            if command not in done:
                done[command] = run(command, folder / str(len(done)), end - time.monotonic())
            out, problem = done[command]
            outs.append(out)
            if problem:
                break
        found.append(entry | (judged(stated.row, recipe, outs) if not problem else _without(problem)))
        told(f"  {found[-1]['verdict']}: {found[-1].get('measured', '')} {found[-1].get('by', '')}")
    return found


def judged(row: table.Row, recipe: Recipe, outs: Sequence[Path]) -> dict[str, Any]:
    """The figure in what the commands have left, and whether it is the stated one."""
    try:
        picked = [recipe.pick(out) for out in outs]
        measured: Any = picked if len(picked) > 1 else picked[0]
        judgement = judge(row, measured, recipe.kind)
    except (OSError, ValueError, LookupError, TypeError) as error:
        return _without(f"failed: its figure is not in the command's output ({type(error).__name__}: {error})")
    shown = ", ".join(f"{x:.9g}" for x in (measured if isinstance(measured, Sequence) else [measured]))
    allowed = ", ".join(f"±{x:.3g}" for x in dict.fromkeys(judgement.allowed))
    return {
        "measured": shown,
        "allowed": allowed,
        "by": judgement.by,
        "verdict": "inside" if judgement.inside else "outside",
    }


def _without(problem: str) -> dict[str, Any]:
    verdict, _, reason = problem.partition(": ")
    return {"verdict": verdict, "by": reason}


def run(command: Command, out: Path, seconds: float) -> tuple[Path, str]:
    """The folder that a command has written into, and its problem: "failed: ..." or "not measured: ..."."""
    if seconds < 60 * command.minutes:
        return out, f"not measured: takes about {command.minutes:g} minutes, more than is left of --budget"
    out.mkdir(parents=True)
    arguments = [item.replace("{out}", str(out)) for item in command.arguments]
    with (out / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=table.ROOT, stdout=log, stderr=log, start_new_session=True
        )
        try:
            code = process.wait(min(seconds, 1e6))
        except subprocess.TimeoutExpired:
            return out, "not measured: --budget ended"
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    # Commands that count failures end with 1 where there are some: their figures tell.
    left = any(path.name != "log" for path in out.iterdir())
    last = (out / "log").read_text(errors="replace").strip().rpartition("\n")[2][-200:]
    return out, "" if code == 0 or (code == 1 and left) else f"failed: exit code {code}: {last}"
