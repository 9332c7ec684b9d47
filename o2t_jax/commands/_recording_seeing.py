"""Two ways of seeing one film, and which is used: `--seeing=classical`, `network`, or `best` by held-out residuals."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from o2t_jax.commands import _recordings
from o2t_jax.commands._recordings import NEAR, Found, Seen, Wanted
from o2t_jax.data.recorded.film import Film
from o2t_jax.data.recordings.background import find_background
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.recordings.held_out import HeldOut, held_out
from o2t_jax.training.progress import Tell

WAYS = ("classical", "network", "best")
_NOTHING = HeldOut(np.inf, 0, False)


def check_way(way: str, has_film: bool) -> None:
    """Raises: UsageError for a way of seeing that is not known, or a network without one film."""
    if way not in WAYS:
        raise UsageError(f"--seeing={way} must be one of {', '.join(WAYS)}")
    if way != "classical" and not has_film:
        raise UsageError(f"--seeing={way} needs one film: give --video, not --track")


def fit_seen(
    film: Film | None, seen: Seen, wanted: Wanted, way: str, tell: Tell
) -> tuple[Seen, list[Found], dict[str, Any]]:
    """The laws by this way of seeing, with what was seen and the result's entry `seeing`.

    Raises: UsageError where no way finds a law.
    """
    if way == "classical" or film is None:
        return seen, _recordings.fit_objects(seen, wanted, tell), {"used": "classical"}
    begin = time.monotonic(), time.process_time()
    taught = by_network(film, seen, wanted, tell)
    spent = {"seconds": time.monotonic() - begin[0], "processor_seconds": time.process_time() - begin[1]}
    if way == "network":
        return taught, _recordings.fit_objects(taught, wanted, tell), {"used": "network", **spent}
    tried = {name: (each, *_tried(each, wanted, tell)) for name, each in (("classical", seen), ("network", taught))}
    used = "network" if tried["network"][2].better_than(tried["classical"][2]) else "classical"
    left = " and ".join(f"{out.residual:.3g} px ({name})" for name, (_, _, out) in tried.items())
    entry: dict[str, Any] = {"used": used, "reason": f"held-out residuals {left}", **spent}
    for name, (_, found, out) in tried.items():
        entry[name] = {
            "law": found[0].analysis.part.naming.verdict if found else "none",
            "held_out": out.count,
            "held_out_px": out.residual if np.isfinite(out.residual) else None,
        }
    picked, found, _ = tried[used]
    return picked, found or _recordings.fit_objects(picked, wanted, tell), entry


def by_network(film: Film, seen: Seen, wanted: Wanted, tell: Tell) -> Seen:
    """The likeliest objects, seen anew by a tower each. Raises: UsageError where they see nothing that moves."""
    from o2t_jax.systems.recording_seeing import see_by_network

    tracks = [each for each in seen.tracks[: wanted.objects] if each.score >= NEAR * seen.tracks[0].score]
    background = seen.background or find_background(film.colours())
    found = [each for each in see_by_network(film, background, tracks, tell) if each.score > 0]
    if not found:
        raise UsageError("the network sees nothing that moves as an object: use --seeing=classical")
    found.sort(key=lambda each: -each.score)
    return dataclasses.replace(seen, tracks=found, film=None, background=None)  # not seen a third time


def _tried(seen: Seen, wanted: Wanted, tell: Tell) -> tuple[list[Found] | None, HeldOut]:
    """The laws, None where there are none, and the first object's held-out residuals."""
    try:
        found = _recordings.fit_objects(seen, wanted, tell)
    except UsageError:
        return None, _NOTHING
    first = found[0]
    points = _recordings.upright(first.track.points, wanted.up)
    view = _recordings.view_of(first.track, seen, wanted)
    return found, held_out(first.analysis, first.track.times, points, first.track.sigma, view, first.scale.pins())


__all__ = ["WAYS", "by_network", "check_way", "fit_seen"]
