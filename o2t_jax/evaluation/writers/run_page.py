"""A page about one run or several runs side by side: `experiments.report`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from o2t_jax.evaluation.o2t.law import LAW_KEYS
from o2t_jax.evaluation.o2t.plots import history_of, law_figure
from o2t_jax.evaluation.writers import page
from o2t_jax.evaluation.writers.console import format_cell, heading, shown_columns
from o2t_jax.evaluation.writers.curves import COLOURS, figure_of, new_axes, svg_of
from o2t_jax.evaluation.writers.run_comparison import comparison
from o2t_jax.evaluation.writers.run_numbers import progress_of, readout_numbers, text_of
from o2t_jax.evaluation.writers.run_record import RunRecord
from o2t_jax.results import Curve, Scalar, Score, ScoreTable, Table

OPEN_ROWS = 40  # longer tables are folded
_MOST_LINES = 8
_LAW_HISTORY = ("train/g0", "law/g0_weight", "law/g0")


def report(runs: Sequence[RunRecord], command: str = "") -> str:
    """The whole page as HTML. Raises: UsageError if a run's results are damaged."""
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} runs"
    body = [page.heading(1, title)]
    if len(runs) > 1:
        anchors = {run.folder.as_posix(): f"run{number}" for number, run in enumerate(runs)}
        body += [page.links(anchors), page.heading(2, "Side by side"), *comparison(runs)]
    for number, run in enumerate(runs):
        body += run_section(run, f"run{number}", with_heading=len(runs) > 1)
    if command:
        body += [page.heading(2, "This page"), page.paragraph("made by"), page.code(command)]
    return page.page(f"o2t_jax: {title}", body)


def run_section(run: RunRecord, anchor: str, *, with_heading: bool) -> Iterator[str]:
    """Everything about one run; missing parts are left out."""
    if with_heading:
        yield page.heading(2, run.name, anchor)
    for note in run.notes:
        yield page.paragraph(f"Note: {note}")
    yield page.facts(_facts(run))
    if run.readouts:
        yield page.heading(3, "Read-outs")
        for name, readout in run.readouts.items():
            yield from _readout(run, name, readout, anchor)
    if run.index:
        yield page.heading(3, "Results on held-out data")
        yield from _results(run, anchor)
    if run.rows:
        yield page.heading(3, "Training")
        yield from _training(run, anchor)
    yield page.heading(3, "Commands and versions")
    for session in run.sessions:
        yield page.code(str(session.get("command") or "(from Python)"))
        yield page.facts(_session(session))
    fields = [[name, repr(value)] for name, value in run.config.items()]
    config = page.table({"field": False, "value": False}, fields, kind="facts")
    yield page.folded(f"config: {len(fields)} fields", config)


def _facts(run: RunRecord) -> dict[str, object]:
    facts: dict[str, object] = {
        "folder": run.folder,
        "system": run.config.get("system", "?"),
        "steps": progress_of(run),
    }
    if run.result:
        best, name = run.result.get("best_step"), run.result.get("best_metric")
        facts |= {"best checkpoint": f"step {best}, by {name}"} if best is not None else {}
    for name, text in (
        ("train/first_step_seconds", "first step finished, after the program started"),
        ("train/data_wait_seconds", "waited for data, between the last two log lines"),
    ):
        values = run.series(name)[1]
        facts |= {text: text_of(float(values[-1]), "s")} if len(values) else {}
    pace = run.series("train/samples_per_second")[1]
    if np.any(np.isfinite(pace)):
        facts["samples/s, median over log lines"] = text_of(float(np.nanmedian(pace)))
    return facts


def _session(session: Mapping[str, Any]) -> dict[str, object]:
    versions = session.get("versions") or {}
    known = {name: session[name] for name in ("started", "devices", "cores", "platform") if name in session}
    return {
        "from step": session.get("step", 0),
        **known,
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def _readout(run: RunRecord, name: str, readout: Mapping[str, Any], anchor: str) -> Iterator[str]:
    numbers = readout_numbers(run, readout)
    if numbers:
        rows = [[f"{name}/{key}", *texts] for key, *texts in numbers]
        yield page.table({"read-out": False, "value": True, "interval, or range over seeds": True, "truth": True}, rows)
    if set(LAW_KEYS) <= set(readout):
        figure = law_figure(history_of(run.rows, _LAW_HISTORY), readout, run.truth_curve)
        yield page.drawing(svg_of(figure, f"{anchor}/{name}"), f"{name}: over training, and over the heights visited")
        return
    for key, value in readout.items():
        if (curve := _pairs(key, value)) is not None:
            yield page.drawing(svg_of(figure_of(curve), f"{anchor}/{name}/{key}"), f"{name}/{key}")


def _pairs(name: str, value: Any) -> Curve | None:
    """[[x, y], ...] as a curve; None if the value is not one."""
    try:
        array = np.asarray(value, float)
        return Curve(array[:, 0], array[:, 1], y_label=name) if array.ndim == 2 and array.shape[1] == 2 else None
    except (TypeError, ValueError):
        return None


def _results(run: RunRecord, anchor: str) -> Iterator[str]:
    numeric = run.numeric
    steps = sorted({int(entry.get("step", 0)) for entry in run.index.values()})
    yield page.paragraph(f"Measured at step {', '.join(map(str, steps))}.")
    scores = {name: result for name, result in numeric.items() if isinstance(result, Score)}
    for group in dict.fromkeys(name.partition("/")[0] for name in scores):
        yield _score_table({name: score for name, score in scores.items() if name.partition("/")[0] == group})
    plain = {name: r for name, r in numeric.items() if isinstance(r, Scalar) and not isinstance(r, Score)}
    if plain:
        rows = [[name, " ".join(filter(None, [text_of(r.value, r.unit), _interval(r)]))] for name, r in plain.items()]
        yield page.table({"result": False, "measured": True}, rows)
    drawn = {f"{name}/g_of_z" for name, readout in run.readouts.items() if set(LAW_KEYS) <= set(readout)}
    for name, result in numeric.items():
        if isinstance(result, Curve) and name not in drawn:  # the law's figure has it, with its fit
            yield page.drawing(svg_of(figure_of(result), f"{anchor}/{name}"), name)
    for name, entry in run.index.items():
        if entry.get("kind") in ("picture", "film"):
            yield _shown(run.folder, name, entry)
    for name, result in numeric.items():
        if isinstance(result, Table):
            element = _table(result)
            long = len(result.rows) > OPEN_ROWS
            yield page.folded(f"{name}: {len(result.rows)} rows", element) if long else page.figure(element, name)


def _score_table(scores: Mapping[str, Score]) -> str:
    """A row per score: its value, every baseline's, and whether it beats them all."""
    names = list(dict.fromkeys(name for score in scores.values() for name in score.baselines))
    rows = []
    for name, score in scores.items():
        others = [text_of(score.baselines[row]) if row in score.baselines else "-" for row in names]
        verdict = _verdict(score)
        measured = " ".join(filter(None, [text_of(score.value, score.unit), _interval(score)]))
        rows.append([name, measured, f"{score.better} is better", verdict, *others])
    columns = {"result": False, "measured": True, "": False, "against the baselines": False}
    return page.table(columns | {f"baseline: {name}": True for name in names}, rows)


def _verdict(score: Score) -> str:
    """A score beside its baselines. A tie at a perfect 0 is no failure."""
    if score.beats_baselines:
        return "✓ better than all"
    best = score.best_baseline()[0]
    return f"✓ 0, and so is {best}" if score.ties_at_zero else f"not better than {best}"


def _interval(result: Scalar) -> str:
    return "" if result.low is None or result.high is None else f"[{text_of(result.low)}, {text_of(result.high)}]"


def _table(table: Table) -> str:
    specs = shown_columns(table)
    rows = [[format_cell(row[name], spec) for name, spec in specs.items()] for row in table.rows]
    columns = {heading(name, table.columns[name]): spec != "" for name, spec in specs.items()}
    own = [isinstance(table, ScoreTable) and row[table.method_column] == table.method for row in table.rows]
    return page.table(columns, rows, own=own)


def _shown(folder: Path, name: str, entry: Mapping[str, Any]) -> str:
    """A picture or film from the run's own folder."""
    path = folder / str(entry.get("file", ""))
    caption = f"{name}, step {entry.get('step')}" + (f": {entry['caption']}" if entry.get("caption") else "")
    if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()) or path.suffix not in page.MIME:
        return page.paragraph(f"{name}: {path} no longer exists")
    make = page.film if entry["kind"] == "film" else page.picture
    return make(path.read_bytes(), path.suffix, caption)


def _training(run: RunRecord, anchor: str) -> Iterator[str]:
    names = run.logged()
    losses = [name for name in names if "loss" in name.rpartition("/")[2] and name.count("/") == 1]
    for title, chosen in (
        ("losses", losses),
        ("read-outs", [name for name in names if name.partition("/")[0] in run.readouts]),
        ("samples/s", [name for name in names if name == "train/samples_per_second"]),
    ):
        for first in range(0, len(chosen), _MOST_LINES):
            part = chosen[first : first + _MOST_LINES]
            if any(np.any(np.isfinite(run.series(name)[1])) for name in part):
                yield page.drawing(_history(run, part, f"{anchor}/{title}{first}"), f"{title} over training")
    rows = []
    for name in names:
        values = run.series(name)[1]
        known = values[np.isfinite(values)]
        spread = [text_of(float(x)) for x in (known.min(), known.max())] if len(known) else ["-", "-"]
        rows.append([name, str(len(values)), text_of(float(values[0])), *spread, text_of(float(values[-1]))])
    columns = {"logged": False} | dict.fromkeys(("times", "first", "least", "largest", "last"), True)
    yield page.folded(f"all {len(rows)} logged numbers", page.table(columns, rows))


def _history(run: RunRecord, names: Sequence[str], salt: str) -> str:
    """Logged numbers over steps, on a logarithmic axis if they span more than two decades."""
    from matplotlib.ticker import MaxNLocator

    figure, (axes,) = new_axes()
    everything = []
    for colour, name in zip(COLOURS, names, strict=False):
        steps, values = run.series(name)
        everything.append(values[np.isfinite(values)])
        axes.plot(steps, values, color=colour, lw=1.5, marker="o" if len(steps) < 3 else None, label=name)
        true = run.truth.get(name.partition("/")[2])
        if name.partition("/")[0] in run.readouts and isinstance(true, int | float):
            axes.axhline(true, color=colour, ls="--", lw=1, label=f"{name}, truth")
    values = np.concatenate(everything)
    if len(values) and values.min() > 0 and values.max() > 100 * values.min():
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)
    return svg_of(figure, salt)
