"""From a film, or a track made elsewhere, to the laws of what moves in it: the steps of `experiments.recording`."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from o2t_jax.data.recorded.film import Film
from o2t_jax.data.recordings.background import Background, find_background
from o2t_jax.data.recordings.ghosts import find_ghosts, without_ghosts
from o2t_jax.data.recordings.register import Registered, register
from o2t_jax.data.recordings.tracks import Track, follow, noise_of, tracks_of
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.recordings.analysis import Analysis, analyse
from o2t_jax.evaluation.recordings.held_out import HeldOut, held_out
from o2t_jax.evaluation.recordings.plane import View
from o2t_jax.evaluation.recordings.quantities import KNOWABLE, Clock, Scale, diameter_scale, points_scale
from o2t_jax.training.progress import Tell, nobody

FILM_CLOCK = 1e-3  # relative standard deviation of a film's own time stamps: 29.97 and 30 are often confused
GIVEN_CLOCK = 1e-4
GIF_STEP = 0.01  # s, in which a GIF states its delays
NEAR = 0.25  # of the best track's score: further objects that are fitted
MOST_OBJECTS = 3
SHUTTER = 0.4  # of a frame, the readout of a rolling shutter: phones take 0.2 to 0.9
SLOWEST = 1 / 30  # s: a film of fewer frames a second is a thinned one


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the user knows and wants.

    Attributes: `diameter` m; `points` (x1, y1, x2, y2, metres) with their relative `scale_error` (they may be before or
    behind the plane of motion); `speed` m/s with `angle` deg; `known` SI values by name; `up` deg, the picture's
    direction that is up (90: as it is shown); `tilt` deg; `focal`, in widths of the picture; `shutter`, standard
    deviation of the time from the first row of a picture to the last, in frames; `register`, whether objects are also
    seen by their own picture; `objects`, how many are fitted at most; `metric`, the scale that calibrated cameras give;
    `level`, whether the camera is known to be level.
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
    shutter: float = SHUTTER
    register: bool = True
    objects: int = MOST_OBJECTS
    metric: Scale | None = None
    level: bool = False

    def check(self) -> None:
        """Raises: UsageError where things contradict each other."""
        lengths = [name for name in ("diameter", "points", "speed") if getattr(self, name) is not None]
        if len(lengths) > 1 or (self.fixes and lengths == ["speed"]):
            names = ", ".join(f"--{'scale' if name == 'points' else name}" for name in [*lengths, *self.fixes])
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

    @property
    def fixes(self) -> Mapping[str, float]:
        """What is known and fixes a scale in the plane of motion: not the distance to the camera."""
        return {name: value for name, value in self.known.items() if name != "distance"}

    def scale(self, track: Track) -> Scale:
        """The scale for one object."""
        known = self.fixes
        if self.metric is not None:
            return self.metric
        if self.diameter is not None:
            return dataclasses.replace(diameter_scale(self.diameter, track.radius), known=known)
        if self.points is not None:
            return dataclasses.replace(points_scale(self.points[:4], self.points[4], self.scale_error), known=known)
        if self.speed is not None:
            angle = None if self.angle is None else np.radians(self.angle)
            at = "at the first sighting" if angle is None else f"at {self.angle:g} deg"
            return Scale(speed=self.speed, angle=angle, source=f"launched with {self.speed:g} m/s {at}")
        source = ", ".join(f"{name} = {value:g}" for name, value in known.items())
        if "rope" in known and not np.isfinite(track.radius):
            raise UsageError(
                "--known=rope needs the ball's radius in the picture, which --track does not have: give length"
            )
        return Scale(known=known, radius=track.radius, source=source or "none")


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """What was read: `tracks`, the likeliest object first; the picture's `size` (width, height) px, None where a file
    gave the tracks; `clock`; `notes` on the reading; `seconds` it took; the `background` and the `film`, None without
    one."""

    tracks: list[Track]
    size: tuple[int, int] | None
    clock: Clock
    notes: list[str]
    seconds: float
    background: Background | None = None
    film: Film | None = None


def see(film: Film, tell: Tell = nobody) -> Seen:
    """Reads a film for what stands still, then for what moves; both again where something stands for half of it."""
    begin = time.monotonic()
    whole = film.start == 0 and not np.isfinite(film.end)
    stated = film.header()["frames"] if whole else 0  # what the header says serves the first reading's progress only
    background = find_background(film.colours(), lambda count: tell("reading", count, stated))
    read = background.frames
    followed = follow(film.colours(), background, lambda count: tell("following", count, read))
    ghosts = find_ghosts(followed, background)
    if ghosts:
        background = without_ghosts(background, film.colours(), ghosts)
        followed = follow(film.colours(), background, lambda count: tell("following again", count, read))
    tracks = tracks_of(followed)
    height, width = background.picture.shape[:2]
    clock, notes = _clock(film, background)
    notes += [
        f"an object stands at ({ghost.x:.0f}, {ghost.y:.0f}) px for half of the film or more: what is behind it is "
        f"taken from the {len(ghost.times)} frames without it"
        for ghost in ghosts
    ]
    return Seen(tracks, (width, height), clock, notes, time.monotonic() - begin, background, film)


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
    """One object: its `track`, its `analysis`, its `scale`; `beside`, the object that it moves with; `seen_by`, the way
    of seeing that was taken, and `held_out` px, the residuals of each way, held out; `registered`, the object seen by
    its own picture (None: not); `number` of its track, by likelihood."""

    track: Track
    analysis: Analysis
    scale: Scale
    beside: int | None = None
    seen_by: str = "blobs"
    held_out: Mapping[str, float] = dataclasses.field(default_factory=dict)
    registered: Registered | None = None
    number: int = 0


def fit_objects(seen: Seen, wanted: Wanted, tell: Tell = nobody) -> list[Found]:
    """The laws of the likeliest objects. Raises: UsageError where no object moves in a way that any form describes."""
    best = seen.tracks[0].score
    found = []
    likely = [track for track in seen.tracks[: wanted.objects] if track.score >= NEAR * best]
    for number, track in enumerate(likely):
        tell("fitting objects", number, len(likely))
        best_seen = _best_seen(track, seen, wanted)
        if best_seen is not None:
            beside = next((i for i, other in enumerate(found) if moves_with(best_seen.track, other.track)), None)
            found.append(dataclasses.replace(best_seen, beside=beside, number=number))
    tell("fitting objects", len(likely), len(likely))
    if not found:
        raise UsageError(
            "what moves follows none of the forms for long enough to be fitted: choose --start, --end or --roi"
        )
    return found


def _best_seen(track: Track, seen: Seen, wanted: Wanted) -> Found | None:
    """The object by its blobs or, where its law then predicts held-out sightings better, by its own picture."""
    found, residual = _analysed(track, seen, wanted)
    if found is None or seen.film is None or seen.background is None or not wanted.register:
        return found
    try:
        registered = register(seen.film.colours, seen.background, track)
    except UsageError:
        return found
    other, other_residual = _analysed(registered.track, seen, wanted)
    told = {"blobs": residual.residual, "its own picture": other_residual.residual}
    if other is not None and other_residual.better_than(residual):
        return dataclasses.replace(other, seen_by="its own picture", held_out=told, registered=registered)
    return dataclasses.replace(found, held_out=told, registered=registered)


def _analysed(track: Track, seen: Seen, wanted: Wanted) -> tuple[Found | None, HeldOut]:
    """The law of a track, and how it predicts what is held out."""
    track = track.kept()
    points = upright(track.points, wanted.up)
    scale = wanted.scale(track)
    view = view_of(track, seen, wanted)
    jitter = noise_of(track.times, points)
    tilt = np.radians(wanted.tilt)
    analysis = analyse(track.times, points, track.sigma, jitter, view=view, scale=scale, clock=seen.clock, tilt=tilt)
    if analysis is None:
        return None, HeldOut(np.inf, 0, False)
    return Found(track, analysis, scale), held_out(analysis, track.times, points, track.sigma, view, scale.pins())


def view_of(track: Track, seen: Seen, wanted: Wanted) -> View | None:
    """How the plane of motion is seen, with what is not known of it: its tilt and the shutter."""
    if seen.size is None or not (wanted.tilt or wanted.shutter):
        return None
    middle = upright(np.array([[(seen.size[0] - 1) / 2, (seen.size[1] - 1) / 2]]), wanted.up)[0]
    down = upright(np.array([[0.0, 1.0]]), wanted.up)[0]
    step = min(float(np.median(np.diff(track.times))), SLOWEST)
    return View(
        (float(middle[0]), float(middle[1])),
        wanted.focal * seen.size[0],
        float(np.radians(wanted.tilt)),
        wanted.shutter * step / seen.size[1],
        (float(down[0]), float(down[1])),
    )


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


def folder_for(path: Path, unfinished: bool = False) -> Path:
    """A new folder, or with `unfinished` one without a result. Raises: UsageError where it is there already: nothing is
    overwritten."""
    if (path / "result.json").exists() or (path.exists() and not unfinished):
        raise UsageError(f"--out={path} is there already: give a new folder, nothing is overwritten")
    return path


__all__ = [
    "Found",
    "Seen",
    "Wanted",
    "fit_objects",
    "folder_for",
    "in_picture",
    "moves_with",
    "see",
    "upright",
    "view_of",
]
