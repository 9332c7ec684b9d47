"""Several runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from o2t_jax.evaluation.writers import page
from o2t_jax.evaluation.writers.run_numbers import (
    numeric_results,
    progress_of,
    readout_numbers,
    text_of,
)
from o2t_jax.evaluation.writers.run_record import RunRecord
from o2t_jax.results import Scalar, Score


def comparison(runs: Sequence[RunRecord]) -> Iterator[str]:
    """`compared` as a table of the page; of several systems, what each run was chosen by, and then one for each."""
    systems: dict[str, list[RunRecord]] = {}
    for run in runs:
        systems.setdefault(str(run.config.get("system", "?")), []).append(run)
    if len(systems) > 1:
        columns = {"run": False, "system": False, "steps": False, "best step by": False, "at the last step": True}
        columns |= {"best row that learns nothing": False}
        yield page.table(columns, [[run.folder.as_posix(), *_headline(run)] for run in runs])
    for system, alike in systems.items():
        if len(systems) > 1 and len(alike) > 1:
            yield page.heading(3, system)
        if len(systems) == 1 or len(alike) > 1:
            names, rows = compared(alike)
            yield page.table({name: bool(name) for name in names}, rows)


def compared(runs: Sequence[RunRecord]) -> tuple[list[str], list[list[str]]]:
    """Columns (the first without a name, then one per run) and a row per number: read-outs, and the scalars that
    belong to no group."""
    numbers: list[dict[str, str]] = []
    for run in runs:
        found = {"system": str(run.config.get("system", "")), "step": progress_of(run)}
        for name, readout in run.readouts.items():
            found |= {f"{name}/{key}": text for key, text, *_ in readout_numbers(run, readout)}
        for name, result in numeric_results(run).items():
            if isinstance(result, Scalar) and name.count("/") < 2:
                found[name] = text_of(result.value, result.unit)
        numbers.append(found)
    names = list(dict.fromkeys(name for found in numbers for name in found))
    rows = [[name, *(found.get(name, "-") for found in numbers)] for name in names]
    return ["", *(run.folder.as_posix() for run in runs)], rows


def _headline(run: RunRecord) -> list[str]:
    """System, steps, and the number that picks the best step with the best of its baselines."""
    name = str((run.result or {}).get("best_metric", "-"))
    score = numeric_results(run).get(name)
    measured = text_of(score.value, score.unit) if isinstance(score, Scalar) else "-"
    other, value = score.best_baseline() if isinstance(score, Score) and score.baselines else ("", 0.0)
    return [
        str(run.config.get("system", "?")),
        progress_of(run),
        name,
        measured,
        f"{text_of(value)} ({other})" if other else "-",
    ]


__all__ = ["compared", "comparison"]
