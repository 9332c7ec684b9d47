"""Roll-outs of several models over the same scenes, beside constant velocity and a ceiling: curves, rows, numbers.

The ceiling of a model is the simulator itself, restarted in the second frame with noise as large as the model's error
in one step. So many methods are judged in the same way, by `metrics.follow` and its kin.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from o2t_jax.evaluation.discs import metrics
from o2t_jax.evaluation.writers.curves import COLOURS, new_axes
from o2t_jax.results import Cell, Column, ScoreCurve, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IDLE, CEILING = "constant velocity", "ceiling"
HORIZONS = (10, 25, 50)
_MOST_SHOWN = 2.0  # error of the speed in the figure: a model that runs away must not hide the others
Measure = Literal["cosine", "magnitude"]
MEASURES: dict[Measure, tuple[str, Literal["lower", "higher"]]] = {
    "cosine": ("cosine", "higher"),
    "magnitude": ("speed error", "lower"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Rollouts:
    """T steps from the second frame of N scenes on.

    Attributes: `truth` [N, T + 1, B, 2] px/s, from that frame on; `models`, name -> velocities [N, T, B, 2] px/s;
    `ceilings`, name -> velocities [N, T + 1, B, 2] px/s, their own start first; `ceiling_of`, model -> the name of its
    ceiling; `moves` [N, B], see `metrics`; `mass` [N, B]; `speed`, the limit, px/s.
    """

    truth: np.ndarray
    models: Mapping[str, np.ndarray]
    ceilings: Mapping[str, np.ndarray]
    ceiling_of: Mapping[str, str]
    moves: np.ndarray
    mass: np.ndarray
    speed: float

    @property
    def steps(self) -> int:
        """T."""
        return self.truth.shape[1] - 1

    @functools.cached_property
    def methods(self) -> dict[str, np.ndarray]:
        """Velocities [N, T, B, 2] of models, constant velocity and ceilings."""
        idle = np.repeat(self.truth[:, :1], self.steps, axis=1)
        return {**self.models, IDLE: idle} | {name: x[:, 1:] for name, x in self.ceilings.items()}

    @functools.cached_property
    def followed(self) -> dict[str, metrics.Followed]:
        """See `metrics.follow`."""
        return {name: metrics.follow(x, self.truth[:, 1:], self.moves, self.speed) for name, x in self.methods.items()}

    def interval(self, method: str, measure: Measure) -> metrics.Interval:
        """Mean over scenes [T] of a measure, and its 95 % interval."""
        return metrics.interval(getattr(self.followed[method], measure))

    def curve(self, model: str, measure: Measure) -> ScoreCurve:
        """A model's measure over frames ahead, beside constant velocity and its ceiling."""
        own, (label, better) = self.interval(model, measure), MEASURES[measure]
        others = {name: self.interval(name, measure).mean for name in (IDLE, self.ceiling_of[model])}
        ahead = np.arange(1, self.steps + 1)
        axes = ("frames ahead", label)
        return ScoreCurve(ahead, own.mean, own.low, own.high, *axes, baselines=others, better=better, method=model)

    def share(self, model: str) -> float:
        """`metrics.share_of_way` of the cosine in the last step."""
        last = [self.interval(x, "cosine").mean[-1] for x in (model, IDLE, self.ceiling_of[model])]
        return metrics.share_of_way(*last)

    @functools.cached_property
    def true_hits(self) -> list[list[frozenset[int]]]:
        """See `metrics.hits_of`."""
        return metrics.hits_of(self.truth, self.moves, self.speed)

    def hits_in_order(self, method: str) -> float:
        """Mean over scenes of the hits predicted in the right order, see `metrics.right_in_order`."""
        found = metrics.hits_of(self._from_start(method), self.moves, self.speed)
        return float(np.mean(metrics.right_in_order(found, self.true_hits)))

    def energy_drift(self, method: str) -> float:
        """See `metrics.drift`."""
        return metrics.drift(metrics.energy(self._from_start(method), self.mass, self.moves))

    def _from_start(self, method: str) -> np.ndarray:
        if method in self.ceilings:  # from the true start their noise would be a change of velocity, a hit
            return self.ceilings[method]
        return np.concatenate([self.truth[:, :1], self.methods[method]], axis=1)

    def horizons(self) -> tuple[dict[str, Column], list[dict[str, Cell]]]:
        """Columns and rows of a table: cosine and error of the speed of every method some frames ahead."""
        words: dict[Measure, str] = {"cosine": "cosine", "magnitude": "speed"}
        horizons = [h for h in HORIZONS if h <= self.steps] or [self.steps]
        rows: list[dict[str, Cell]] = []
        for method in self.methods:
            row: dict[str, Cell] = {"method": method}
            for measure, word in words.items():
                mean = self.interval(method, measure).mean
                row |= {f"{word} t+{h}": float(mean[h - 1]) for h in horizons}
            rows.append(row)
        specs = {name: ".3f" if name.startswith("cosine") else ".4g" for name in [*rows[0]][1:]}
        return {"method": Column()} | {name: Column(spec=spec) for name, spec in specs.items()}, rows

    def table(self) -> Table:
        """All measures of all methods at all steps: rows method, measure, frames ahead, mean, low, high."""
        columns = {name: Column() for name in ("method", "measure", "frames ahead", "mean", "low", "high")}
        rows = [
            dict(zip(columns, (method, MEASURES[measure][0], step + 1, *numbers), strict=True))
            for method in self.methods
            for measure in MEASURES
            for step, numbers in enumerate(zip(*(x.tolist() for x in self.interval(method, measure)), strict=True))
        ]
        return Table(columns, rows)

    def figure(self) -> Figure:
        """Cosine (left) and error of the speed (right): models with their intervals, the others dashed and dotted."""
        figure, panels = new_axes(10.0, 4.0, columns=len(MEASURES))
        ahead = np.arange(1, self.steps + 1)
        for axes, (measure, (label, better)) in zip(panels, MEASURES.items(), strict=True):
            for i, name in enumerate(self.models):
                mean, low, high = self.interval(name, measure)
                colour = COLOURS[i % len(COLOURS)]
                axes.fill_between(ahead, low, high, color=colour, alpha=0.2, linewidth=0)
                axes.plot(ahead, mean, color=colour, lw=2, label=name)
            axes.plot(ahead, self.interval(IDLE, measure).mean, color="0.45", ls="--", lw=1.3, label=IDLE)
            for i, name in enumerate(self.ceilings):
                style: dict[str, Any] = {"color": "0.25", "ls": (0, (1, 1 + i)), "lw": 1.5}
                axes.plot(ahead, self.interval(name, measure).mean, label=name, **style)
            axes.set(xlabel="frames ahead", ylabel=f"{label}, {better} is better")
        panels[0].set_ylim(top=1.02)
        panels[1].set_ylim(0.0, min(_MOST_SHOWN, panels[1].get_ylim()[1]))
        panels[0].legend(frameon=False, fontsize=8)
        return figure


__all__ = ["CEILING", "HORIZONS", "IDLE", "MEASURES", "Measure", "Rollouts"]
