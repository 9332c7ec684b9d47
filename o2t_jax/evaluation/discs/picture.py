"""A picture of what was found in tracks of discs: the paths, the discs at contact, the fits; and speeds over time."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from o2t_jax.evaluation.discs.contacts import Path
from o2t_jax.evaluation.discs.encounter import INSTANT
from o2t_jax.evaluation.discs.inference import Findings
from o2t_jax.evaluation.discs.meeting import Meeting
from o2t_jax.evaluation.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 60  # of a fitted path
_SMOOTH = 4  # samples on each side of a speed that is drawn


def picture(paths: Mapping[str, Path], findings: Findings, *, down: bool = False) -> bytes:
    """A PNG; `down`: y points down, as in films."""
    figure = new_figure(figsize=(11, 4.5), layout="constrained")
    plane, speeds = figure.subplots(1, 2)
    for i, (name, path) in enumerate(paths.items()):
        plane.plot(*path.places.T, ".", color=f"C{i}", markersize=3, alpha=0.5, label=f"disc {name}")
        times, speed = _speeds(path)
        speeds.plot(times, speed, ".", color=f"C{i}", markersize=3, alpha=0.5)
    colour = {name: f"C{i}" for i, name in enumerate(paths)}
    for meeting in findings.meetings:
        _draw_contact(plane, meeting)
        for disc, name in enumerate(meeting.ids):
            for times, places, speed in _fitted(meeting, disc):
                plane.plot(*places.T, color=colour[name], linewidth=1)
                speeds.plot(times, speed, color=colour[name], linewidth=1)
        speeds.axvline(meeting.time, color="0.6", linewidth=0.8, zorder=0)
    plane.set(xlabel="x", ylabel="y", aspect="equal")
    plane.legend(fontsize=8)
    if down:
        plane.invert_yaxis()
    speeds.set(xlabel="t [s]", ylabel="speed [unit of x / s]", ylim=(0, None))
    plane.set_title(
        ", ".join(f"{name} {x.value:.3g} [{x.low:.3g}, {x.high:.3g}]" for name, x in findings.parameters.items()),
        fontsize=7,
    )
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130)
    return file.getvalue()


def _draw_contact(plane: Axes, meeting: Meeting) -> None:
    from matplotlib.patches import Circle

    for centre in meeting.centres:
        plane.add_patch(Circle(tuple(centre), meeting.distance / 2, fill=False, color="0.4", linewidth=0.8))
    plane.plot(*meeting.centres.T, color="0.4", linewidth=0.8)


def _fitted(meeting: Meeting, disc: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Times s, places [n, 2] and speeds [n] of the fit of one disc, before and after the contact."""
    fit = meeting.fit
    spans = []
    for stretch in fit.stretches:
        ends = sorted((float(fit.values[INSTANT]), float(stretch.times[np.argmax(np.abs(stretch.times))])))
        spans.append(np.linspace(ends[0], ends[1], _POINTS))
    out = []
    for stretch, times, places in zip(fit.stretches, spans, fit.paths(spans), strict=True):
        if stretch.disc == disc:
            speed = np.hypot(*np.gradient(places, times, axis=0).T) * fit.length / fit.time
            out.append((meeting.zero + times * fit.time, meeting.origin + places * fit.length, speed))
    return out


def _speeds(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times [n] s and speeds [n] from lines through `2 * _SMOOTH + 1` samples."""
    size = 2 * _SMOOTH + 1
    if len(path.times) < size:
        return np.zeros(0), np.zeros(0)
    times = np.lib.stride_tricks.sliding_window_view(path.times, size)
    places = np.lib.stride_tricks.sliding_window_view(path.places, size, axis=0)
    aside = times - times.mean(axis=1, keepdims=True)
    slope = np.einsum("nt,nkt->nk", aside, places) / np.sum(aside**2, axis=1)[:, None]
    return times.mean(axis=1), np.hypot(*slope.T)


__all__ = ["picture"]
