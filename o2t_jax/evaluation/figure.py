"""A matplotlib figure without a display, whatever the environment says. The one place that imports matplotlib."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(**options: Any) -> Figure:
    """A figure that is drawn by Agg; `options` are those of `matplotlib.figure.Figure`. Costs 0.5 s the first time."""
    _import_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(**options)
    FigureCanvasAgg(figure)
    return figure


def _import_matplotlib() -> None:
    """matplotlib does not import where MPLBACKEND names a backend that is not there.

    Jupyter sets it for all that its cells start, and its backend lies in its own environment, not always in ours. In
    the notebook itself, where it is there, plots stay in the page.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = backend
