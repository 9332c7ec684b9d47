"""Plots, drawn without a display and without matplotlib's global state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from o2t_jax.evaluation.o2t.law import Curve, fit_hyperbolic
from o2t_jax.evaluation.writers.curves import COLOURS, INK, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]
MODEL, FIT, TRUTH = COLOURS[0], COLOURS[1], INK


def history_of(records: Iterable[Mapping[str, Any]], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Steps [T] and values [T] of a metric, from logged records {"step": n, name: number, ...}.

    `names` are tried in turn in each record, since a number may be logged under one name while training and under
    another when it is read out. Where a step was logged twice the later record counts.
    """
    values: dict[int, float] = {}
    for record in records:
        found = [record[name] for name in names if isinstance(record.get(name), int | float)]
        if found:
            values[int(record["step"])] = float(found[0])
    steps = sorted(values)
    return np.array(steps, np.int64), np.array([values[s] for s in steps], np.float64)


def plot_law(
    history: History,
    law: Mapping[str, Any],
    path: str | Path,
    truth: Curve | None = None,
) -> None:
    """Draws `law_figure` into a picture file; its other arguments are that function's."""
    law_figure(history, law, truth).savefig(path)


def law_figure(
    history: History,
    law: Mapping[str, Any],
    truth: Curve | None = None,
) -> Figure:
    """g0 over training (left) and the learnt g(z) over visited heights (right).

    Args:
      history: steps [T] and g0 [T] m/s^2; may be empty.
      law: a read-out with the keys of `evaluation.o2t.law.LAW_KEYS`.
      truth: the world's own law, z [M] m -> g [M] m/s^2, drawn dashed; None where it is not known.
    """
    table = np.asarray(law["g_of_z"], np.float64)
    figure, (left, right) = new_axes(10.0, 4.0, columns=2)
    _draw_history(left, history, table, truth)
    _draw_curve(right, law, table, truth)
    for axes in (left, right):
        if axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False, fontsize=9)
    figure.suptitle(f"the law in the weights at step {law['step']}", fontsize=11)
    return figure


def _draw_history(axes: Axes, history: History, table: np.ndarray, truth: Curve | None) -> None:
    steps, g0 = (np.asarray(a, np.float64) for a in history)
    if len(steps):
        axes.plot(steps, g0, color=MODEL, marker="o" if len(steps) < 3 else None, label="g0 weight")
    else:
        axes.text(0.5, 0.5, "no history of g0 in this run", transform=axes.transAxes, ha="center", color="0.4")
    if truth is not None:
        mean = float(np.mean(truth(table[:, 0])))
        axes.axhline(mean, color=TRUTH, ls="--", lw=1.2, label=f"truth, mean over the heights: {mean:.3f}")
    axes.set(xlabel="step", ylabel="g0 [m/s²]", title="g0 over training")
    _show_small_numbers_honestly(axes)


def _draw_curve(axes: Axes, law: Mapping[str, Any], table: np.ndarray, truth: Curve | None) -> None:
    z, g = table.T
    marker = "o" if len(z) < 3 else None
    axes.plot(z, g, color=MODEL, lw=2, marker=marker, label="learnt g(z)")
    if law["alpha"] is None:
        axes.axhline(law["g0"], color=FIT, lw=1, label=f"mean {law['g0']:.3f}")
    else:
        fit = fit_hyperbolic(z, g)
        sign = "+" if fit.values[1] >= 0 else "-"
        axes.plot(
            z, fit(z), color=FIT, lw=1, label=f"fit {fit.values[0]:.3f} {sign} {abs(fit.values[1]):.3f} / (z + 10)"
        )
    if truth is not None:
        axes.plot(z, truth(z), color=TRUTH, ls="--", lw=1.2, marker=marker, label="truth")
    axes.set(xlabel="height z [m]", ylabel="g [m/s²]", title="g over the heights visited")
    _show_small_numbers_honestly(axes)


def _show_small_numbers_honestly(axes: Axes) -> None:
    # Without this a flat curve's rounding noise fills the axes, and tick labels turn into offsets.
    axes.ticklabel_format(axis="y", useOffset=False)
    low, high = axes.get_ylim()
    middle, least = 0.5 * (low + high), max(0.005 * abs(0.5 * (low + high)), 0.02)
    if high - low < 2 * least:
        axes.set_ylim(middle - least, middle + least)
