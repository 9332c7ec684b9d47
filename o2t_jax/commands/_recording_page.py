"""report.html of a recording: the law, every quantity with its interval, residuals, the film with track and fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from o2t_jax.commands._recording_audit import audit_section
from o2t_jax.commands._recordings import Found, upright
from o2t_jax.evaluation.writers import page
from o2t_jax.evaluation.writers.curves import COLOURS, new_axes, svg_of
from o2t_jax.results import Column, Table


def report(result: dict[str, Any], found: list[Found], up: float, film: tuple[bytes | None, str], command: str) -> str:
    """The whole page as HTML."""
    body = [page.heading(1, f"The law in {result['source'].rpartition('/')[2]}")]
    body.append(
        page.facts({"law": result["law"], "clock": result["clock"]["source"], "scale": result["scale"]["source"]})
    )
    body += [page.paragraph(f"Note: {note}") for note in result["clock"]["notes"]]
    for number, (each, told) in enumerate(zip(found, result["objects"], strict=True)):
        body.append(page.heading(2, f"Object {number}"))
        for index, segment in enumerate(told["segments"]):
            times = f"{segment['start']:.3f} to {segment['end']:.3f} s"
            body.append(page.heading(3, f"{times}: {segment['law']} {segment['equation']}"))
            body.append(page.paragraph(segment["reason"]))
            body.append(_table(quantities_table(segment)))
            body.append(_residuals(each, index, up, f"{number}/{index}"))
        body += [page.paragraph(f"Refused: {reason}") for reason in told["refused"]]
    for entry in result.get("further", []):
        tracks = " and ".join(str(number) for number in entry["tracks"])
        body.append(page.heading(2, f"Track {tracks}, by {entry['sees']}: {entry['law']} {entry['equation']}"))
        body.append(_table(quantities_table(entry)))
        body += [page.paragraph(f"Refused: {reason}") for reason in entry["refused"]]
    if "audit" in result:
        body += audit_section(result["audit"])
    if film[0] is not None:
        body.append(page.heading(2, "Track and fit"))
        body.append(page.film(film[0], f".{film[1]}", "circles: where it was seen; lines: the fitted paths"))
    body += [page.heading(2, "This page"), page.paragraph("made by"), page.code(command)]
    return page.page("o2t_jax: a recording", body)


def quantities_table(segment: dict[str, Any]) -> Table:
    """The quantities of one segment as a result of the house."""
    rows = [{"quantity": name, **entry} for name, entry in segment["parameters"].items()]
    columns = {"quantity": Column(), "value": Column(), "low": Column(), "high": Column(), "unit": Column()}
    return Table(columns=columns, rows=rows)


def _table(table: Table) -> str:
    def text(cell: Any) -> str:
        return "-" if cell is None else f"{cell:.5g}" if isinstance(cell, float) else str(cell)

    columns = {name: name in ("value", "low", "high") for name in table.columns}
    return page.table(columns, [[text(row[name]) for name in table.columns] for row in table.rows])


def _residuals(each: Found, index: int, up: float, salt: str) -> str:
    """Where it was seen over time with the fit, and what the fit leaves."""
    part = each.analysis.parts[index]
    best = part.naming.best
    times = each.track.times[part.rows]
    points = upright(each.track.points[part.rows], up)
    figure, (left, right) = new_axes(8.0, 3.0, 2)
    for axis, name in enumerate("xy"):
        colour = COLOURS[axis]
        left.plot(times, points[:, axis], ".", ms=3, color=colour, label=name)
        left.plot(times[best.kept], (points - best.residuals)[best.kept, axis], color=colour, lw=1)
        right.plot(times[best.kept], best.residuals[best.kept, axis], ".-", ms=3, lw=0.5, color=colour)
    left.set_xlabel("t [s]")
    left.set_ylabel("place [px]")
    left.legend(frameon=False, fontsize=8)
    right.set_xlabel("t [s]")
    right.set_ylabel("seen less fitted [px]")
    lost = int(np.sum(~best.kept))
    return page.drawing(svg_of(figure, salt), f"{best.law.name}: rms {best.rms:.2g} px; {lost} sightings left out")


__all__ = ["quantities_table", "report"]
