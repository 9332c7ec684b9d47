"""result.json of a recording: the first object's law on top, every object below."""

from __future__ import annotations

from typing import Any

import numpy as np

from o2t_jax.commands._recordings import Found, Seen, Wanted
from o2t_jax.evaluation.recordings.naming import CANNOT, NONE
from o2t_jax.evaluation.recordings.segments import clear_contacts


def as_result(found: list[Found], seen: Seen, wanted: Wanted) -> dict[str, Any]:
    """result.json: the first object's law on top, every object with its segments below."""
    objects = [_object(each, seen) for each in found]
    first = objects[0]
    return {
        "law": first["law"],
        "parameters": first["parameters"],
        "nearest": first["nearest"],
        "scale": first["scale"],
        "clock": {"source": seen.clock.source, "relative_sd": seen.clock.spread, "notes": seen.notes},
        "tilt_sd_deg": wanted.tilt,
        "segments": first["segments"],
        "refused": first["refused"],
        "objects": objects,
        "tracks_seen": len(seen.tracks),
        "seconds": {"seeing": seen.seconds},
    }


def nothing(seen: Seen, wanted: Wanted, reason: str) -> dict[str, Any]:
    """result.json where no form could be fitted."""
    return {
        "law": NONE,
        "parameters": {},
        "nearest": "",
        "scale": {"source": "none", "px_per_metre": None},
        "clock": {"source": seen.clock.source, "relative_sd": seen.clock.spread, "notes": seen.notes},
        "tilt_sd_deg": wanted.tilt,
        "segments": [],
        "refused": [f"a law: {reason}"],
        "objects": [],
        "tracks_seen": len(seen.tracks),
        "seconds": {"seeing": seen.seconds},
    }


def _object(each: Found, seen: Seen) -> dict[str, Any]:
    analysis, times = each.analysis, each.track.times
    part = analysis.part
    named = part.naming.named
    refused = list(part.measured.refused)
    if each.beside is not None:
        refused.append(
            f"an object of its own: it moves along with object {each.beside}, as a shadow or a reflection does"
        )
    if part.naming.verdict == NONE:
        refused.append(f"a law: {part.naming.reason}")
    if part.naming.verdict == CANNOT:
        refused.append(f"one law: {part.naming.reason}")
    contacts = []
    for contact in clear_contacts(list(analysis.contacts), len(times)):
        value, spread = contact.restitution()
        if np.isfinite(value) and 0 <= value <= 1.5 and spread < 0.5:
            low, high = value - 1.96 * spread, value + 1.96 * spread
            contacts.append(
                {"time": contact.time, "restitution": {"value": value, "low": low, "high": high, "unit": ""}}
            )
    return {
        "law": part.naming.verdict,
        "parameters": part.measured.parameters if named else {},
        "nearest": part.naming.best.law.name,
        "scale": {"source": each.scale.source, "px_per_metre": part.measured.scale},
        "segments": [piece.as_dict(times) for piece in analysis.parts],
        "main_segment": analysis.main,
        "contacts": contacts,
        "refused": refused,
        "radius_px": each.track.radius if np.isfinite(each.track.radius) else None,
        "score": each.track.score,
        "seen_by": each.seen_by,
        "held_out_px": {way: px for way, px in each.held_out.items() if np.isfinite(px)},
    }


__all__ = ["as_result", "nothing"]
