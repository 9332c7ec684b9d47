"""Curves as plots: a band around the measured line, baselines dashed. Drawn without matplotlib's global state."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np

from o2t_jax.evaluation.figure import new_figure
from o2t_jax.evaluation.writers.console import heading
from o2t_jax.results import Column, Curve, ScoreCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Mid tones, readable on white and on black.
COLOURS = ("#3b82c4", "#d97706", "#2f9e62", "#b4578f", "#7c6fd0", "#8a8f98", "#c2504a", "#1f9aa8")
MEASURED = COLOURS[0]
INK = "#010203"  # placeholder for the colour of the text around an inline SVG
_LEAST_PX = 55  # of an inch on a page: a figure of one plot just fits a phone's 390 px
_MARKED = 12  # lines with at most this many points get markers


def new_axes(width: float = 6.4, height: float = 3.4, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure of this size in inches, and its axes side by side, with a grid and without a frame."""
    figure = new_figure(figsize=(width, height), dpi=110, layout="constrained")
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for each in axes:
        each.grid(alpha=0.3)
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def figure_of(curve: Curve) -> Figure:
    """The curve with its band, baselines and truth dashed, labels with units, a legend for more than one line."""
    figure, (axes,) = new_axes()
    few = len(curve.x) <= _MARKED
    if curve.low is not None and curve.high is not None:
        axes.fill_between(curve.x, curve.low, curve.high, color=MEASURED, alpha=0.25, linewidth=0)
    label = (isinstance(curve, ScoreCurve) and curve.method) or "measured"
    axes.plot(curve.x, curve.y, color=MEASURED, lw=2, marker="o" if few else None, ms=4, label=label)
    if isinstance(curve, ScoreCurve):
        for i, (name, y) in enumerate(curve.baselines.items()):
            colour = COLOURS[1:][i % (len(COLOURS) - 1)]
            axes.plot(curve.x, y, color=colour, ls="--", lw=1.3, marker="." if few else None, label=name)
    if curve.truth is not None:
        axes.plot(curve.x, curve.truth, color=INK, ls="--", lw=1.2, marker="." if few else None, label="truth")
    if len(axes.lines) > 1:
        axes.legend(frameon=False, fontsize=8)
    axes.set_xlabel(heading(curve.x_label, Column(curve.x_unit)))
    better = f", {curve.better} is better" if isinstance(curve, ScoreCurve) else ""
    axes.set_ylabel(heading(curve.y_label, Column(curve.y_unit)) + better)
    return figure


def pixels_of(figure: Figure) -> np.ndarray:
    """uint8 [H, W, 3], on white."""
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]


def svg_of(figure: Figure, name: str) -> str:
    """An <svg> element for a page: no background, lines and text of `INK` in the page's own text colour.

    It has a minimum width, so that its text stays readable on a narrow screen: make the surrounding element scroll.
    `name` makes the element's identifiers unique in a page, and its text reproducible.
    """
    from matplotlib import rc_context
    from matplotlib.text import Text

    figure.patch.set_visible(False)
    for text in figure.findobj(Text):
        text.set_color(INK)
    for axes in figure.axes:
        axes.set_facecolor("none")
        axes.tick_params(colors=INK)
        for spine in axes.spines.values():
            spine.set_edgecolor(INK)
    file = io.StringIO()
    with rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    element = file.getvalue()
    element = re.sub(r' xmlns(:xlink)?="[^"]*"', "", element[element.index("<svg") :])  # a page needs no namespaces
    element = element.replace("<svg", f'<svg style="min-width: {_LEAST_PX * figure.get_figwidth():.0f}px"', 1)
    return element.replace(INK, "currentColor").strip()
