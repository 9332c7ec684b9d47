"""Laws of what else is seen of objects than their places: two at once (a collision), place and turn (a roll), the size
(motion towards the camera). They stand beside the laws of places, in the result's `further`."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np

from o2t_jax.commands._recordings import Found, Seen, Wanted, moves_with, upright, view_of
from o2t_jax.data.recordings.tracks import Track, noise_of
from o2t_jax.evaluation.recordings.approach import in_metres
from o2t_jax.evaluation.recordings.naming import Naming, name_law
from o2t_jax.evaluation.recordings.quantities import Scale, measure_named
from o2t_jax.evaluation.recordings.roll import slope_tells

TOUCH = (0.7, 1.4)  # distance at a contact over the sum of the radii
CLEAR = 5.0  # standard deviations that the impulse of a collision must have
TOLD = 0.8  # of the sightings must tell the angle
LEAST = 10  # instants at which both objects are seen
BLUR = 0.25  # px, standard deviation of what all sizes of a film are off by: blur, the edge's threshold
DISTANCE = 0.01  # relative standard deviation of a known distance to the camera


def further(found: Sequence[Found], seen: Seen, wanted: Wanted) -> list[dict[str, Any]]:
    """An entry for each further law that is named: `sees`, `tracks` (the likeliest object's is 0), `law`, `equation`,
    `parameters`, `refused`."""
    likely = seen.tracks[: wanted.objects]
    entries = [_approach(number, each, seen, wanted) for number, each in enumerate(likely)]
    entries += [_roll(each, seen, wanted) for each in found]
    pairs = itertools.combinations(range(len(likely)), 2)
    entries += [_collision(pair, seen, wanted) for pair in pairs]
    return [entry for entry in entries if entry is not None]


def _approach(number: int, track: Track, seen: Seen, wanted: Wanted) -> dict[str, Any] | None:
    """By the size of `seen.tracks[number]`."""
    track = track.kept()
    if track.sizes is None or len(track.times) < 6:
        return None
    tilt, told = np.radians(wanted.tilt), []
    for off in (0.0, BLUR, -BLUR):
        sizes = track.sizes[:, None] + off
        jitter = noise_of(track.times, sizes)
        naming = name_law(track.times, sizes, np.full(len(sizes), jitter), jitter, sees="size")
        if not _named(naming):
            return None
        told.append((naming, measure_named(naming, Scale(), seen.clock, tilt)))
    (naming, measured), larger, smaller = told
    parameters, refused = {}, list(measured.refused)
    for name, entry in measured.parameters.items():
        values = [each.parameters[name]["value"] for _, each in (larger, smaller)]
        off = np.nan if None in values else 0.5 * abs(values[0] - values[1])
        parameters[name] = _widened(entry, off)
    if "distance" in wanted.known:
        parameters |= in_metres(parameters, (wanted.known["distance"], DISTANCE))
    else:
        refused.append("acceleration and speed towards the camera in metres: give --known=distance:METRES")
    return _entry([number], naming, parameters, refused, track.times)


def _roll(each: Found, seen: Seen, wanted: Wanted) -> dict[str, Any] | None:
    """Of what moves along a line and has marks that tell its angle."""
    if each.registered is None or "along a line" not in each.analysis.part.naming.best.law.name:
        return None
    own = each.registered
    told = np.isfinite(own.angle_sigma)
    _, rows, its = np.intersect1d(each.track.times, own.track.times[told], return_indices=True)
    if len(rows) < TOLD * len(each.track.times):
        return None
    track = each.track.at(rows)
    # A blob is less than the object where a part looks like what is behind it, a matte where it hardly varies.
    radius = own.likeness.radius() if track.sizes is None else max(own.likeness.radius(), float(np.median(track.sizes)))
    rim = radius * own.angles[told][its]
    points = np.concatenate([upright(track.points, wanted.up), rim[:, None]], axis=1)
    jitter = max(noise_of(track.times, points[:, :2]), noise_of(track.times, points[:, 2:]))
    sigma = np.full(len(points), jitter)
    naming = name_law(track.times, points, sigma, jitter, _plain(track, seen, wanted), sees="place and turn")
    if not _named(naming):
        return None
    measured = measure_named(naming, each.scale, seen.clock, np.radians(wanted.tilt))
    rolling = measured.parameters["rolling"]
    parameters = measured.parameters | {"rolling": _widened(rolling, rolling["value"] * BLUR / radius)}
    ranges, refused = slope_tells(parameters, wanted.level)
    for name in dict.fromkeys(key.rpartition("_")[0] for key in ranges):
        low, high = ranges[f"{name}_low"], ranges[f"{name}_high"]
        parameters[name] = {"value": 0.5 * (low + high), "low": low, "high": high, "unit": ""}
    return _entry([each.number], naming, parameters, [*measured.refused, *refused], track.times)


def _collision(pair: tuple[int, int], seen: Seen, wanted: Wanted) -> dict[str, Any] | None:
    """Of two objects that are as far apart as their radii say where their velocities change."""
    both = [seen.tracks[i].kept() for i in pair]
    times, *shared = np.intersect1d(both[0].times, both[1].times, return_indices=True)
    if moves_with(*both) or len(times) < LEAST:
        return None
    both = [track.at(rows) for track, rows in zip(both, shared, strict=True)]
    places = [upright(track.points, wanted.up) for track in both]
    points = np.concatenate(places, axis=1)
    jitter = max(noise_of(times, each) for each in places)
    sigma = np.hypot(both[0].sigma, both[1].sigma)
    naming = name_law(times, points, sigma, jitter, _plain(both[0], seen, wanted), sees="two places")
    if not _named(naming) or not _touch(naming, [track.radius for track in both]):
        return None
    measured = measure_named(naming, wanted.scale(both[0]), seen.clock, np.radians(wanted.tilt))
    return _entry(list(pair), naming, measured.parameters, list(measured.refused), times)


def _touch(naming: Naming, radii: Sequence[float]) -> bool:
    """Whether an impulse acts that is no chance, where the two touch."""
    best = naming.best
    at = best.law.names.index("impulse")
    impulse, spread = best.values[at], float(np.sqrt(best.covariance[at, at]))
    apart = float(np.linalg.norm(best.values[2:4] - best.values[:2]))
    sizes = apart / sum(radii)
    return bool(impulse > CLEAR * spread and (not np.isfinite(sizes) or TOUCH[0] < sizes < TOUCH[1]))


def _plain(track: Track, seen: Seen, wanted: Wanted) -> Any:
    """The view by a shutter that sees all rows at once: several places of one instant are seen at several times."""
    view = view_of(track, seen, wanted)
    return None if view is None or not view.tilt else dataclasses.replace(view, readout=0.0)


def _named(naming: Naming | None) -> TypeGuard[Naming]:
    return naming is not None and naming.named


def _widened(entry: Mapping[str, Any], spread: float) -> dict[str, Any]:
    """An interval with a further standard deviation; as it is where a side of it is open."""
    value = entry["value"]
    if None in (value, entry["high"]) or not np.isfinite(spread):
        return dict(entry)
    low, high = (float(np.hypot(entry[side] - value, 1.96 * spread)) for side in ("low", "high"))
    return {**entry, "low": value - low, "high": value + high}


def _entry(
    tracks: list[int], naming: Naming, parameters: Mapping[str, Any], refused: list[str], times: np.ndarray
) -> dict[str, Any]:
    best = naming.best
    used = times[best.kept]
    return {
        "sees": best.law.sees,
        "tracks": tracks,
        "law": naming.verdict,
        "equation": best.law.equation,
        "start": float(used[0]),
        "end": float(used[-1]),
        "sightings": int(best.kept.sum()),
        "rms_px": best.rms,
        "parameters": dict(parameters),
        "refused": refused,
    }


__all__ = ["further"]
