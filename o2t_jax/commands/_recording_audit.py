"""`--audit`: the checks of lawful motion for what a film shows, and how they are printed and put into the report."""

from __future__ import annotations

import math
from typing import Any

from o2t_jax.commands._recordings import NEAR, Seen, Wanted, upright
from o2t_jax.data.recordings.tracks import noise_of
from o2t_jax.evaluation.recordings.audit.finding import CANNOT
from o2t_jax.evaluation.recordings.audit.report import audit
from o2t_jax.evaluation.writers import page


def audited(seen: Seen, wanted: Wanted) -> dict[str, Any]:
    """result.json's `audit`: the likeliest object's verdict on top, all objects' checks below."""
    best = seen.tracks[0].score
    objects = []
    for track in seen.tracks[: wanted.objects]:
        if track.score < NEAR * best:
            break
        track = track.kept()
        points = upright(track.points, wanted.up)
        objects.append(audit(track.times, points, noise_of(track.times, points)))
    first = objects[0]
    return {"verdict": first["verdict"], "why": first["why"], "objects": objects}


def audit_lines(told: dict[str, Any]) -> list[str]:
    """As text: a line a check."""
    lines = ["", f"audit: {told['verdict']}" + (f" ({told['why']})" if told["why"] else "")]
    for number, each in enumerate(told["objects"]):
        lines.append(f"  object {number}, {each['kind']}: {each['verdict']}")
        lines += [f"    {found['verdict']:11s} {found['check']}: {_number(found)}" for found in each["checks"]]
    return lines


def _number(found: dict[str, Any]) -> str:
    if found["value"] is None or math.isnan(found["value"]):
        return found["why"] or "nothing to compare"
    low, high = found["lawful"]
    lawful = f"at most {high:g}" if low <= 0 else f"{low:g} to {high:g}"
    where = f" at {found['at']:.2f} s" if math.isfinite(found["at"]) else ""
    interval = f"{found['value']:.3g} ({found['low']:.3g} to {found['high']:.3g})"
    count = "" if found["verdict"] == CANNOT else f"; {found['told']} of {found['compared']} can be told"
    return f"{interval}{where}; lawful: {lawful} [{found['says']}{count}]"


def audit_section(told: dict[str, Any]) -> list[str]:
    """As elements of report.html."""
    body = [page.heading(2, "Is it lawful?"), page.facts({"audit": told["verdict"], "because of": told["why"] or "-"})]
    for number, each in enumerate(told["objects"]):
        body.append(page.heading(3, f"Object {number}, {each['kind']}: {each['verdict']}"))
        columns = {"check": False, "verdict": False, "found": False}
        rows = [[found["check"], found["verdict"], _number(found)] for found in each["checks"]]
        body.append(page.table(columns, rows, kind="facts"))
    return body


__all__ = ["audit_lines", "audit_section", "audited"]
