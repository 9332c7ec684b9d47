"""Several runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from o2t_jax.evaluation.writers import page
from o2t_jax.evaluation.writers.run_numbers import progress_of, readout_numbers, text_of
from o2t_jax.evaluation.writers.run_record import RunRecord
from o2t_jax.results import Scalar, Score


class Compared(NamedTuple):
    """A table of runs: its `title`, empty for the first; heading -> whether it holds numbers; texts of the cells."""

    title: str
    columns: dict[str, bool]
    rows: list[list[str]]


def comparison(runs: Sequence[RunRecord]) -> Iterator[str]:
    """`compared` as tables of the page."""
    for each in compared(runs):
        if each.title:
            yield page.heading(3, each.title)
        yield page.table(each.columns, each.rows)


def compared(runs: Sequence[RunRecord]) -> list[Compared]:
    """All numbers of runs of one system; of several, a row a run first, and then the numbers of each system that has
    more than one run."""
    systems: dict[str, list[RunRecord]] = {}
    for run in runs:
        systems.setdefault(_system(run), []).append(run)
    if len(systems) == 1:
        return [_numbers("", runs)]
    several = {system: alike for system, alike in systems.items() if len(alike) > 1}
    return [_headlines(runs), *(_numbers(system, alike) for system, alike in several.items())]


def _numbers(title: str, runs: Sequence[RunRecord]) -> Compared:
    """A column a run, a row a number: read-outs, and the scalars that belong to no group."""
    numbers: list[dict[str, str]] = []
    for run in runs:
        found = {"system": _system(run), "step": progress_of(run)}
        for name, readout in run.readouts.items():
            found |= {f"{name}/{key}": text for key, text, *_ in readout_numbers(run, readout)}
        for name, result in run.numeric.items():
            if isinstance(result, Scalar) and name.count("/") < 2:
                found[name] = text_of(result.value, result.unit)
        numbers.append(found)
    names = list(dict.fromkeys(name for found in numbers for name in found))
    rows = [[name, *(found.get(name, "-") for found in numbers)] for name in names]
    return Compared(title, {"quantity": False, **{run.folder.as_posix(): True for run in runs}}, rows)


def _headlines(runs: Sequence[RunRecord]) -> Compared:
    """A row a run: the number that picks its best step, as it was at the last, with the best of its baselines."""
    rows = []
    for run in runs:
        name = str((run.result or {}).get("best_metric", "-"))
        score = run.numeric.get(name)
        measured = text_of(score.value, score.unit) if isinstance(score, Scalar) else "-"
        other = "-"
        if isinstance(score, Score):
            baseline, value = score.best_baseline()
            other = f"{text_of(value, score.unit)} ({baseline})"
        rows.append([run.folder.as_posix(), _system(run), progress_of(run), name, measured, other])
    texts = dict.fromkeys(("run", "system", "steps", "best step by"), False)
    return Compared("", texts | {"at the last step": True, "best row that learns nothing": False}, rows)


def _system(run: RunRecord) -> str:
    return str(run.config.get("system", "?"))


__all__ = ["Compared", "compared", "comparison"]
