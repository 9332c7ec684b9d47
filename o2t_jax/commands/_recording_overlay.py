"""The film with what was followed and fitted drawn into it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from o2t_jax.commands._recordings import Found, Wanted, in_picture, upright

OVERLAY = 360  # px, height of the film with track and fit


class Frames(Protocol):
    """A film: `frames` and `colours`, each (time s, picture)."""

    def frames(self) -> Iterator[tuple[float, np.ndarray]]: ...

    def colours(self) -> Iterator[tuple[float, np.ndarray]]: ...


def overlay_times(film: Frames, found: list[Found], most: int = 180) -> list[float]:
    """Times, s, of the frames that `overlay` shows: at most `most`, evenly, about the tracks."""
    last = max(each.track.times[-1] for each in found)
    first = min(each.track.times[0] for each in found)
    times = [t for t, _ in film.frames() if first - 0.2 <= t <= last + 0.2]
    return times[:: max(1, -(-len(times) // most))]


def overlay(film: Frames, found: list[Found], wanted: Wanted, times: list[float]) -> Iterator[np.ndarray]:
    """RGB frames of these `times` with tracks (dots) and fitted paths (lines)."""
    import cv2

    colours = [(255, 80, 60), (60, 160, 255), (90, 220, 90)]
    keep, lines = set(times), []
    for each, colour in zip(found, colours * len(found), strict=False):
        points = upright(each.track.points, wanted.up)
        for part in each.analysis.parts:
            best = part.naming.best
            path = in_picture(points[part.rows] - best.residuals, wanted.up)[best.kept]
            lines.append((path, colour))
    for t, picture in film.colours():
        if t not in keep:
            continue
        factor = OVERLAY / picture.shape[0]
        canvas = cv2.resize(picture, (round(factor * picture.shape[1]), OVERLAY), interpolation=cv2.INTER_AREA)
        for path, colour in lines:
            at = np.round(((path + 0.5) * factor - 0.5) * 8).astype(np.int32)
            cv2.polylines(canvas, [at.reshape(-1, 1, 2)], False, colour, 1, cv2.LINE_AA, 3)
        for each in found:
            size = 10.0 if np.isnan(each.track.radius) else each.track.radius
            for x, y in each.track.points[np.abs(each.track.times - t) < 1e-9]:
                at = np.round((np.array([x, y]) + 0.5) * factor * 8 - 4).astype(int).tolist()
                cv2.circle(canvas, at, 8 * max(3, round(size * factor)), (255, 255, 0), 1, cv2.LINE_AA, 3)
        yield canvas


__all__ = ["Frames", "overlay", "overlay_times"]
