"""The losses of several runs over the samples they have seen: smoothed, drawn, as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from o2t_jax.config import did_you_mean
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.writers.curves import COLOURS, new_axes
from o2t_jax.evaluation.writers.run_record import RunRecord
from o2t_jax.results import Column, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAINING, VALIDATION = "training", "validation"
_STYLES: dict[str, dict[str, Any]] = {
    TRAINING: {"lw": 1.8},
    VALIDATION: {"lw": 1.2, "ls": "--", "marker": "o", "ms": 3.5},
}
_MILLION = 1e6
_MOST_NAMED = 12


class Losses(NamedTuple):
    """One line of one run.

    Attributes: `split`, or the name of a method that learns nothing, on the validation's samples; `samples` [T] seen up
    to the value; `values` and `smoothed` [T], NaN for null.
    """

    run: str
    split: str
    samples: np.ndarray
    values: np.ndarray
    smoothed: np.ndarray


def losses_of(name: str, run: RunRecord, training: str, validation: str, smooth: float) -> list[Losses]:
    """Training's number, smoothed, and the held-out one as measured: it is a mean over all held-out samples already.

    After them come the held-out one's baselines, where some were logged.

    Args: `name` of the run; `training` and `validation`, names of logged numbers, the former also without "train/";
    `smooth`, see `smoothed`. Raises: UsageError where a run has not logged one of them.
    """
    found = []
    for split, wanted, factor in ((TRAINING, training, smooth), (VALIDATION, validation, 0.0)):
        key = _logged(run, wanted, split)
        steps, values = run.series(key)
        found.append(Losses(name, split, steps * int(run.config["batch"]), values, smoothed(values, factor)))
    for key in (key for key in run.logged() if key.startswith(f"{validation}/")):
        steps, values = run.series(key)
        found.append(Losses(name, key.removeprefix(f"{validation}/"), steps * int(run.config["batch"]), values, values))
    return found


def smoothed(values: np.ndarray, factor: float) -> np.ndarray:
    """Exponential moving averages [T] of values [T]: weights factor^k of the value k places back, with sum 1.

    With weights that sum to 1 from the start the first value, often the largest by far, does not linger. NaN is
    skipped, and stays NaN. `factor`, 0 <= factor < 1; 0 changes nothing.
    """
    total, weight = 0.0, 0.0
    found = np.full(len(values), np.nan)
    for i in np.flatnonzero(np.isfinite(values)):
        total, weight = factor * total + values[i], factor * weight + 1.0
        found[i] = total / weight
    return found


def table_of(losses: Sequence[Losses]) -> Table:
    """Rows run, split, samples, value, smoothed."""
    columns = {name: Column() for name in ("run", "split", "samples", "value", "smoothed")}
    rows = [
        dict(zip(columns, (x.run, x.split, *numbers), strict=True))
        for x in losses
        for numbers in zip(x.samples.tolist(), x.values.tolist(), x.smoothed.tolist(), strict=True)
    ]
    return Table(columns, rows)


def figure_of(losses: Sequence[Losses], label: str, log: bool = True) -> Figure:
    """Losses over millions of samples: training solid, with the values before smoothing pale; validation dashed.

    Methods that learn nothing are grey and dotted, each in the legend once.

    Args: `label` of the loss; `log`, whether its axis is logarithmic.
    Raises: UsageError where it is, and a value is 0 or below.
    """
    figure, (axes,) = new_axes(7.2, 4.4)
    colours = {run: COLOURS[i % len(COLOURS)] for i, run in enumerate(dict.fromkeys(x.run for x in losses))}
    for x in losses:
        if log and np.any(x.values <= 0):
            raise UsageError(
                f"{x.run}: a value in {x.split} is {np.nanmin(x.values):g}, which a logarithmic axis cannot show: "
                "add --nolog"
            )
        millions, colour = x.samples / _MILLION, colours[x.run]
        if x.split not in _STYLES:
            known = axes.get_legend_handles_labels()[1]
            axes.plot(millions, x.values, color="0.45", lw=1.2, ls=":", label=x.split if x.split not in known else None)
            continue
        if not np.array_equal(x.smoothed, x.values, equal_nan=True):
            axes.plot(millions, x.values, color=colour, lw=0.8, alpha=0.25)
        axes.plot(millions, x.smoothed, color=colour, label=f"{x.run}, {x.split}", **_STYLES[x.split])
    if log:
        axes.set_yscale("log")
    axes.set(xlabel="samples seen [millions]", ylabel=label)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _logged(run: RunRecord, wanted: str, split: str) -> str:
    """The full name of a logged number that has a value."""
    names = run.logged()
    for name in (wanted, f"train/{wanted}") if split == TRAINING else (wanted,):
        if name in names and np.any(np.isfinite(run.series(name)[1])):
            return name
    if not names:
        raise UsageError(f"{run.folder} has logged nothing yet: wait for its first line, or give another --workdir")
    own = [name for name in names if name.startswith("train/") == (split == TRAINING)]
    known = f"it has {', '.join(own[:_MOST_NAMED])}" if own else f"it has none of {split} yet"
    hint = did_you_mean(wanted.removeprefix("train/"), [name.removeprefix("train/") for name in own])
    flag = "train" if split == TRAINING else split
    raise UsageError(f"--{flag}={wanted}: {run.folder} has logged no such number; {hint or known}")


__all__ = ["TRAINING", "VALIDATION", "Losses", "figure_of", "losses_of", "smoothed", "table_of"]
