"""Blobs of neighbouring frames joined into tracks, and which of these is an object that moves by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.optimize import linear_sum_assignment

from o2t_jax.data.recordings.background import Background
from o2t_jax.data.recordings.blobs import Blob, find_blobs
from o2t_jax.errors import UsageError

LEAST = 5  # sightings of a track
MISSED = 4  # frames that a track may go unseen
FIRST_GATE = 0.18  # of the picture's diagonal: how far an object may go to its second sighting
PLAIN = 0.4  # of the mean difference in colour is what is left of it on average over an object
WHOLE = 0.45  # a sighting whose area is off by more than this factor's logarithm is not of the whole object
NEARER = 0.3  # logarithm of the area: what changes by more, and evenly, comes nearer or goes away
NEARBY = 13  # sightings whose jitter says how sure one of them is
DRAWN = 0.5  # weight of all sightings' jitter beside theirs
LEAST_NOISE = 0.02  # px: no sighting is better
_TO_SPREAD = 1.4826  # from the median of sizes to the standard deviation
EVENLY = 0.25  # of the deviations from one size are left by the size of what comes nearer


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """One object. `times` s; `points` px (right, down); `areas` px²; `blur`, length over width; `sigma` px of each
    sighting, relative sizes only if `score` is 0; `whole`, sightings of the object in its usual size, not cut off;
    `radius` px, the median of `sizes`, else half of the blob's width where it is not blurred; `score`, how much it is
    an object; `sizes` px, its radius in each sighting, None where nothing tells it."""

    times: Float[np.ndarray, " T"]
    points: Float[np.ndarray, "T 2"]
    areas: Float[np.ndarray, " T"]
    blur: Float[np.ndarray, " T"]
    sigma: Float[np.ndarray, " T"]
    whole: Bool[np.ndarray, " T"]
    radius: float
    score: float
    sizes: Float[np.ndarray, " T"] | None = None

    def kept(self) -> Track:
        """Only the sightings of the whole object."""
        return self.at(self.whole)

    def at(self, rows: Bool[np.ndarray, " T"]) -> Track:
        """Only these sightings."""
        names = ["times", "points", "areas", "blur", "sigma", "whole"] + ["sizes"] * (self.sizes is not None)
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in names})


class Followed:
    """The blobs of one thing, in frames with `numbers` at `times` s: a track in the making."""

    def __init__(self, number: int, time: float, blob: Blob) -> None:
        self.numbers, self.times, self.blobs = [number], [time], [blob]

    def add(self, number: int, time: float, blob: Blob) -> None:
        self.numbers.append(number)
        self.times.append(time)
        self.blobs.append(blob)

    def expected(self, time: float, first_gate: float) -> tuple[np.ndarray, float]:
        """Where it is expected at `time`, and how far off it may be, px."""
        last = np.array([self.blobs[-1].x, self.blobs[-1].y])
        size = 2 * self.blobs[-1].long
        if len(self.times) < 2:
            return last, first_gate
        count = min(4, len(self.times))
        t = np.array(self.times[-count:]) - self.times[-1]
        p = np.array([[b.x, b.y] for b in self.blobs[-count:]])
        degree = 2 if count == 4 else 1
        ahead = time - self.times[-1]
        there = np.array([np.polyval(np.polyfit(t, p[:, i], degree), ahead) for i in (0, 1)])
        step = np.linalg.norm(p[-1] - p[-2]) / max(t[-1] - t[-2], 1e-9) * ahead
        return there, min(first_gate, 3.0 + size + (0.5 if count == 4 else 0.9) * step)


def find_tracks(
    frames: Iterable[tuple[float, UInt8[np.ndarray, "H W 3"]]],
    background: Background,
    tell: Callable[[int], None] = lambda count: None,
) -> list[Track]:
    """The tracks of a film, the likeliest object first. Raises: UsageError where nothing moves."""
    return tracks_of(follow(frames, background, tell))


def follow(
    frames: Iterable[tuple[float, UInt8[np.ndarray, "H W 3"]]],
    background: Background,
    tell: Callable[[int], None] = lambda count: None,
) -> list[Followed]:
    """All that differs from the background for 5 frames or more, whether it moves or not."""
    diagonal = float(np.hypot(*background.picture.shape[:2]))
    growing: list[Followed] = []
    done: list[Followed] = []
    for number, (time, picture) in enumerate(frames):
        blobs = find_blobs(picture, background)
        growing, ended = _joined(growing, blobs, number, time, FIRST_GATE * diagonal)
        done += ended
        tell(number + 1)
    return [each for each in done + growing if len(each.blobs) >= LEAST]


def tracks_of(followed: Iterable[Followed]) -> list[Track]:
    """The tracks of what moves, the likeliest object first. Raises: UsageError where nothing does."""
    tracks = [_track(each) for each in followed]
    tracks = sorted((track for track in tracks if track.score > 0), key=lambda track: -track.score)
    if not tracks:
        raise UsageError("nothing moves in the film that can be followed for 5 frames: check --start, --end and --roi")
    return tracks


def _joined(
    growing: list[Followed], blobs: list[Blob], number: int, time: float, gate: float
) -> tuple[list[Followed], list[Followed]]:
    """Tracks that go on (each with its blob where it has one) and those that ended: least total cost (Hungarian)."""
    ended = [each for each in growing if number - each.numbers[-1] > MISSED]
    growing = [each for each in growing if number - each.numbers[-1] <= MISSED]
    taken = set()
    if growing and blobs:
        cost = np.full((len(growing), len(blobs)), 1e6)
        for i, each in enumerate(growing):
            there, far = each.expected(time, gate)
            before = each.blobs[-1]
            for j, blob in enumerate(blobs):
                away = float(np.hypot(blob.x - there[0], blob.y - there[1]))
                if away <= max(far, gate):
                    size = abs(np.log(blob.area / before.area))
                    tint = np.linalg.norm(np.subtract(blob.colour, before.colour)) / (blob.strength + before.strength)
                    # What looks the same may be farther off: few frames in a swing bend more than any forecast.
                    if (away <= far and size < 1.6 and tint < 0.8) or (size < 0.4 and tint < 0.15):
                        cost[i, j] = (away / far) ** 2 + 0.3 * size**2 + 1.5 * tint**2 - 0.02 * min(len(each.blobs), 20)
        for i, j in zip(*linear_sum_assignment(cost), strict=True):
            if cost[i, j] < 1e5:
                growing[i].add(number, time, blobs[j])
                taken.add(j)
    growing += [Followed(number, time, blob) for j, blob in enumerate(blobs) if j not in taken]
    return growing, ended


def _track(each: Followed) -> Track:
    return make_track(
        np.array(each.times),
        np.array([[blob.x, blob.y] for blob in each.blobs]),
        areas=np.array([blob.area for blob in each.blobs]),
        wide=np.array([blob.wide for blob in each.blobs]),
        long=np.array([blob.long for blob in each.blobs]),
        cut=np.array([blob.cut for blob in each.blobs]),
        sizes=np.array([blob.size for blob in each.blobs]),
        plain=float(np.median([np.linalg.norm(blob.colour) / max(blob.strength, 1e-9) for blob in each.blobs])),
    )


def make_track(
    times: Float[np.ndarray, " T"],
    points: Float[np.ndarray, "T 2"],
    *,
    areas: Float[np.ndarray, " T"],
    wide: Float[np.ndarray, " T"],
    long: Float[np.ndarray, " T"],
    cut: Bool[np.ndarray, " T"],
    rough: Float[np.ndarray, " T"] | None = None,
    plain: float = PLAIN,
    sizes: Float[np.ndarray, " T"] | None = None,
) -> Track:
    """A track from its sightings, as `find_tracks` makes it: what is whole, how sure each is, how much it is an object.

    Args: `areas` px²; `long` and `wide`, standard deviations along and across, px; `cut`, at the picture's edge;
    `rough`, how unsure each sighting is beside the others (by the jitter about it and its blur if it is left out);
    `plain`, its mean colour's distance from the background's over the mean distance of its colours, 1 where all differ
    alike; `sizes` px, radii.
    """
    blur = long / wide
    usual = usual_areas(times, areas, ~cut)
    # A streak is larger by its length over its width.
    whole = ~cut & (np.abs(np.log(areas / usual)) < WHOLE + np.log(np.maximum(blur, 1.0)))
    jitter = noise_of(times, points)
    if rough is None:
        sigma = noises_of(times, points) * np.sqrt(1 + (0.5 * (blur - np.median(blur)).clip(0)) ** 2)
    else:
        sigma = jitter * rough
    # Edges of what stands still and shakes differ from the background by as much darker as lighter.
    score = _score(points, areas, usual, whole, jitter) * min(1.0, (plain / PLAIN) ** 2)
    # Wider blobs than objects are: blur and compression add to the edge, which `sizes` count by its share.
    radius = 2 * np.median(wide) if sizes is None else np.median(sizes[whole] if whole.any() else sizes)
    return Track(times, points, areas, blur, sigma, whole, float(radius), score, sizes)


def usual_areas(
    times: Float[np.ndarray, " T"], areas: Float[np.ndarray, " T"], inside: Bool[np.ndarray, " T"]
) -> Float[np.ndarray, " T"]:
    """px² that the whole object has in each sighting: the median of those `inside` the picture, or where the size
    changes evenly that of what comes nearer, whose radius is one over a parabola of time."""
    inside = inside if inside.any() else ~inside
    flat = np.full(len(times), float(np.median(areas[inside])))
    rows, near = inside, flat
    if inside.sum() < 2 * LEAST:
        return flat
    for _ in range(3):  # of all, then without what is off: partly hidden
        weight = areas[rows] ** 0.75  # a miss of one over the root is then one of the root's logarithm, by its size
        c = np.polynomial.polynomial.polyfit(times[rows] - times[0], areas[rows] ** -0.5, 2, w=weight)
        inverse = np.polynomial.polynomial.polyval(times - times[0], c)
        if inverse.min() <= 0:
            return flat
        near = inverse**-2
        away = np.abs(np.log(areas / near))
        rows = inside & (away <= max(0.02, 4 * float(np.median(away[inside]))))
    change = float(np.ptp(np.log(near[inside])))
    left, without = (float(np.median(np.abs(np.log(areas / each)[inside]))) for each in (near, flat))
    return near if change > NEARER and left < EVENLY * without else flat


def _score(points: np.ndarray, areas: np.ndarray, usual: np.ndarray, whole: np.ndarray, jitter: float) -> float:
    """Length times extent, less for what changes its size or jitters: hands, shadows over edges, leaves.

    The length is how many steps share in the way: a blob that stands, but for one jump to another, has one.
    """
    if whole.sum() < LEAST:
        return 0.0
    extent = float(np.linalg.norm(np.ptp(points[whole], axis=0)))
    size = float(np.sqrt(np.median(areas[whole])))
    if extent < max(4.0, 0.5 * size, 6 * jitter):
        return 0.0
    change = float(np.std(np.log(areas / usual)[whole]))
    steps = np.sum(np.diff(points[whole], axis=0) ** 2, axis=1)
    length = float(np.sum(np.sqrt(steps))) ** 2 / max(float(np.sum(steps)), 1e-9)
    return float(np.sqrt(length) * extent * np.mean(whole) ** 2 * np.exp(-2 * change) / (1 + jitter / 2))


def noise_of(times: Float[np.ndarray, " T"], points: Float[np.ndarray, "T 2"]) -> float:
    """The jitter of sightings, px along an axis: each against the cubic through its four neighbours, median.

    1 with fewer than 6 sightings. Bends that four neighbours do not show count as jitter.
    """
    return max(LEAST_NOISE, _TO_SPREAD * float(np.median(_aside(times, points)))) if len(times) >= 6 else 1.0


def noises_of(times: Float[np.ndarray, " T"], points: Float[np.ndarray, "T 2"]) -> Float[np.ndarray, " T"]:
    """The same of each sighting, from the `NEARBY` about it: a film is coarse where its encoder begins, and an object
    that is far, dark or hidden in part is seen less well. Drawn towards that of all, as so few say it only roughly."""
    usual = noise_of(times, points)
    if len(times) < 6 + NEARBY:
        return np.full(len(times), usual)
    reach = NEARBY // 2
    padded = np.pad(_aside(times, points), ((reach, reach), (0, 0)), mode="reflect")
    near = np.median(np.lib.stride_tricks.sliding_window_view(padded, NEARBY, axis=0), axis=(1, 2))
    return np.pad(np.hypot(_TO_SPREAD * near, DRAWN * usual) / np.hypot(1, DRAWN), 2, mode="edge").clip(LEAST_NOISE)


def _aside(times: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[T - 4, D] px by which sightings miss the cubic through their four neighbours, as that of a single one."""
    around = np.array([-2, -1, 1, 2])
    left = []
    for i in range(2, len(times) - 2):
        t = times[i + around] - times[i]
        weights = np.array([np.prod(np.delete(-t, j)) / np.prod(np.delete(t[j] - t, j)) for j in range(4)])
        left.append((points[i] - weights @ points[i + around]) / np.sqrt(1 + weights @ weights))
    return np.abs(left)


__all__ = [
    "Followed",
    "Track",
    "find_tracks",
    "follow",
    "make_track",
    "noise_of",
    "noises_of",
    "tracks_of",
    "usual_areas",
]
