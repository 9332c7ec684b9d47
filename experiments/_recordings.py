"""From a film, or a track made elsewhere, to the laws of what moves in it: the steps of `experiments.recording`."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from o2t_jax.data.recorded.film import Film
from o2t_jax.data.recordings.background import Background, find_background
from o2t_jax.data.recordings.tracks import Track, find_tracks, noise_of
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.recordings.analysis import Analysis, analyse
from o2t_jax.evaluation.recordings.fitting import View
from o2t_jax.evaluation.recordings.naming import CANNOT, NONE
from o2t_jax.evaluation.recordings.quantities import KNOWABLE, Clock, Scale, diameter_scale, points_scale
from o2t_jax.evaluation.recordings.segments import clear_contacts

FILM_CLOCK = 1e-3  # relative standard deviation of a film's own time stamps: 29.97 and 30 are often confused
GIVEN_CLOCK = 1e-4
GIF_STEP = 0.01  # s, in which a GIF states its delays
NEAR = 0.25  # of the best track's score: further objects that are fitted
MOST_OBJECTS = 3
OVERLAY = 360  # px, height of the film with track and fit


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the user knows and wants.

    Attributes: `diameter` m; `points` (x1, y1, x2, y2, metres) with their relative `scale_error` (they may be before or
    behind the plane of motion); `speed` m/s with `angle` deg; `known` SI values by name; `up` deg, the picture's
    direction that is up (90: as it is shown); `tilt` deg; `focal`, in widths of the picture; `objects`, how many are
    fitted at most.
    """

    diameter: float | None = None
    scale_error: float = 0.005
    points: tuple[float, float, float, float, float] | None = None
    speed: float | None = None
    angle: float | None = None
    known: Mapping[str, float] = dataclasses.field(default_factory=dict)
    up: float = 90.0
    tilt: float = 5.0
    focal: float = 1.0
    objects: int = MOST_OBJECTS

    def check(self) -> None:
        """Raises: UsageError where things contradict each other."""
        lengths = [name for name in ("diameter", "points", "speed") if getattr(self, name) is not None]
        if len(lengths) > 1 or (self.known and lengths == ["speed"]):
            names = ", ".join(f"--{'scale' if name == 'points' else name}" for name in [*lengths, *self.known])
            raise UsageError(f"{names} each fix the scale: give one (g may be known along with --scale or --diameter)")
        if self.angle is not None and self.speed is None:
            raise UsageError(f"--angle={self.angle:g} is that of a launch: give its --speed")
        for name in self.known:
            if name not in KNOWABLE:
                raise UsageError(f"--known={name} is no quantity that can be known: it must be {' or '.join(KNOWABLE)}")
        for name, value in {"diameter": self.diameter, "speed": self.speed, "focal": self.focal, **self.known}.items():
            if value is not None and not (np.isfinite(value) and value > 0):
                raise UsageError(f"{name} {value} must be above 0")
        if not 0 <= self.tilt <= 30:
            raise UsageError(f"--tilt={self.tilt:g} must be between 0 and 30 degrees")

    def scale(self, track: Track) -> Scale:
        """The scale for one object."""
        if self.diameter is not None:
            return dataclasses.replace(diameter_scale(self.diameter, track.radius), known=self.known)
        if self.points is not None:
            return dataclasses.replace(
                points_scale(self.points[:4], self.points[4], self.scale_error), known=self.known
            )
        if self.speed is not None:
            angle = None if self.angle is None else np.radians(self.angle)
            at = "at the first sighting" if angle is None else f"at {self.angle:g} deg"
            return Scale(speed=self.speed, angle=angle, source=f"launched with {self.speed:g} m/s {at}")
        source = ", ".join(f"{name} = {value:g}" for name, value in self.known.items())
        if "rope" in self.known and not np.isfinite(track.radius):
            raise UsageError(
                "--known=rope needs the ball's radius in the picture, which --track does not have: give length"
            )
        return Scale(known=self.known, radius=track.radius, source=source or "none")


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """What was read: `tracks`, the likeliest object first; the picture's `size` (width, height) px, None where a file
    gave the tracks; `clock`; `notes` on the reading; `seconds` it took."""

    tracks: list[Track]
    size: tuple[int, int] | None
    clock: Clock
    notes: list[str]
    seconds: float


def see(film: Film, tell: Callable[[str, int], None] = lambda what, count: None) -> Seen:
    """Reads a film twice: for what stands still, and for what moves."""
    begin = time.monotonic()
    background = find_background(film.colours(), lambda count: tell("reading", count))
    tracks = find_tracks(film.colours(), background, lambda count: tell("following", count))
    height, width = background.picture.shape[:2]
    clock, notes = _clock(film, background)
    return Seen(tracks, (width, height), clock, notes, time.monotonic() - begin)


def _clock(film: Film, background: Background) -> tuple[Clock, list[str]]:
    steps = np.diff(background.times)
    notes = []
    stated = film.header()
    whole = film.start == 0 and not np.isfinite(film.end)
    if whole and stated["frames"] and stated["frames"] != background.frames:
        notes.append(f"the header says {stated['frames']} frames, {background.frames} decode: these are used")
    if film.fps is not None:
        return Clock(GIVEN_CLOCK, f"{film.fps:g} frames/s, given"), notes
    middle = float(np.median(steps))
    uneven = int(np.sum(np.abs(steps - middle) > 0.2 * middle))
    if uneven:
        notes.append(f"{uneven} of {len(steps)} steps in time are off the usual {middle:.4g} s by more than a fifth")
    if film.path.suffix.lower() == ".gif":
        notes.append("a GIF states its delays in whole hundredths of a second: give --fps where the rate is known")
        return Clock(GIF_STEP / np.sqrt(12) / middle, "the GIF's delays"), notes
    return Clock(FILM_CLOCK, "the frames' own time stamps"), notes


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """One object: its `track`, its `analysis`, its `scale`; `beside`, the object that it moves with."""

    track: Track
    analysis: Analysis
    scale: Scale
    beside: int | None = None


def fit_objects(seen: Seen, wanted: Wanted, tell: Callable[[str, int], None] = lambda what, count: None) -> list[Found]:
    """The laws of the likeliest objects. Raises: UsageError where no object moves in a way that any form describes."""
    best = seen.tracks[0].score
    found = []
    for number, track in enumerate(seen.tracks[: wanted.objects]):
        if track.score < NEAR * best:
            break
        tell("fitting object", number + 1)
        track = track.kept()
        points = upright(track.points, wanted.up)
        scale = wanted.scale(track)
        view = view_of(seen.size, wanted)
        analysis = analyse(
            track.times,
            points,
            track.sigma,
            noise_of(track.times, points),
            view=view,
            scale=scale,
            clock=seen.clock,
            tilt=np.radians(wanted.tilt),
        )
        if analysis is not None:
            beside = next((i for i, other in enumerate(found) if moves_with(track, other.track)), None)
            found.append(Found(track, analysis, scale, beside))
    if not found:
        raise UsageError(
            "what moves follows none of the forms for long enough to be fitted: choose --start, --end or --roi"
        )
    return found


def view_of(size: tuple[int, int] | None, wanted: Wanted) -> View | None:
    """How the plane of motion is seen in a picture of this `size` (width, height) px; None: exactly from the front."""
    if size is None or not wanted.tilt:
        return None
    middle = upright(np.array([[(size[0] - 1) / 2, (size[1] - 1) / 2]]), wanted.up)[0]
    return View((float(middle[0]), float(middle[1])), wanted.focal * size[0], np.radians(wanted.tilt))


def moves_with(track: Track, other: Track) -> bool:
    """Whether a track stays beside another that it shares most times with, as a shadow does."""
    _, mine, its = np.intersect1d(track.times, other.times, return_indices=True)
    if len(mine) < 0.7 * len(track.times):
        return False
    apart = track.points[mine] - other.points[its]
    return bool(np.std(apart, axis=0).max() < 0.1 * np.linalg.norm(np.ptp(track.points[mine], axis=0)))


def upright(points: np.ndarray, up: float) -> np.ndarray:
    """px (right, down) as (right, up) of a picture whose direction `up`, degrees from its right, is up."""
    angle = np.radians(90.0 - up)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (points * (1.0, -1.0)) @ turn.T


def in_picture(points: np.ndarray, up: float) -> np.ndarray:
    """The inverse of `upright`."""
    angle = np.radians(90.0 - up)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (points @ turn) * (1.0, -1.0)


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


def _object(each: Found, seen: Seen) -> dict[str, Any]:
    analysis, times = each.analysis, each.track.times
    part = analysis.part
    named = part.naming.verdict not in (CANNOT, NONE)
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
    }


def overlay(film: Film, found: list[Found], wanted: Wanted, most: int = 180) -> Iterator[np.ndarray]:
    """RGB frames with tracks (dots) and fitted paths (lines), at most `most`, evenly."""
    import cv2

    colours = [(255, 80, 60), (60, 160, 255), (90, 220, 90)]
    last = max(each.track.times[-1] for each in found)
    first = min(each.track.times[0] for each in found)
    times = [t for t, _ in film.frames() if first - 0.2 <= t <= last + 0.2]
    keep = set(times[:: max(1, -(-len(times) // most))])
    lines = []
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


def folder_for(path: Path) -> Path:
    """A new folder. Raises: UsageError where it is there already: nothing is overwritten."""
    if path.exists():
        raise UsageError(f"--out={path} is there already: give a new folder, nothing is overwritten")
    return path


__all__ = [
    "Found",
    "Seen",
    "Wanted",
    "as_result",
    "fit_objects",
    "folder_for",
    "in_picture",
    "overlay",
    "see",
    "upright",
    "view_of",
]
