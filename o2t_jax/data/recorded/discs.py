"""Discs of one size that slide over a table, tracked in a film of a camera that stands still.

The table is what each pixel shows at its darkest (where discs are bright) or brightest, so a disc that rests for most
of the film is found too; a still reflection belongs to the table. Discs are the round parts of one size among what
differs: the size is the one that most frames agree on, so a hand, which has no fixed one, is left out. Parts that touch
are parted by the distance from their edge. Each centre is fitted to the outline (`outlines.py`), and places are
those on the table: how the camera shakes is read off the table's marks and taken away.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from o2t_jax.data.recorded.film import Film
from o2t_jax.data.recorded.outlines import Disc, outline
from o2t_jax.errors import UsageError

SAMPLES = 48  # frames that the table and the discs' size are read off
TABLE = 0.1  # quantile over time that is taken for the table, from the side away from the discs
LEAST_RADIUS = 3.0  # px
LEAST_CONTRAST = 12.0  # grey levels
FEWEST = 8  # frames of a track
JUMP = 1.5  # radii between where a disc was expected and where it is
LOST = 10  # frames after which a disc that is not seen is given up
_ROUND = (0.75, 1.3)  # area over that of a circle with the largest distance from the edge
_SAME = 0.15  # difference of radii, as a share
_BLUR, _SATURATED = 1.0, 240  # px before gradients are taken; grey levels
_SURE = 0.05  # px: a shift that is known worse is not used
_PART = 0.35  # of the discs' contrast: threshold of what differs from the table


class Look(NamedTuple):
    """How discs differ from the table.

    Attributes: `table` float32 [H, W]; `sign`, 1 for discs brighter than it, else -1; `threshold` grey levels; `radius`
    px.
    """

    table: np.ndarray
    sign: float
    threshold: float
    radius: float

    def contrast(self, grey: np.ndarray) -> np.ndarray:
        """float32 [H, W], above 0 where a disc may be."""
        return self.sign * (grey.astype(np.float32) - self.table)


class Shake:
    """How far the camera has moved against the table, by the table's own marks.

    One Gauss-Newton step of the shift that explains the changes of brightness (Lucas & Kanade 1981), by all pixels that
    no disc, hand or saturated lamp covers. On a table without marks it is 0.
    """

    def __init__(self, look: Look) -> None:
        self.look = look
        self.still = cv2.GaussianBlur(look.table, (0, 0), _BLUR)
        self.slope = np.stack(
            [cv2.Sobel(self.still, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1))], axis=-1
        )

    def shift(self, grey: np.ndarray) -> np.ndarray:
        """[2] px, of a frame uint8 [H, W] against the table."""
        change = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _BLUR) - self.still
        use = (np.abs(change) < LEAST_CONTRAST) & (self.still < _SATURATED) & (grey < _SATURATED)
        if use.sum() < 100:
            return np.zeros(2)
        design = np.column_stack([self.slope[use], np.ones(int(use.sum()))]).astype(float)
        inverse = np.linalg.pinv(design.T @ design)
        found = -inverse @ (design.T @ change[use])
        left = change[use] + design @ found
        # The blur correlates neighbours, about 4 pi b^2 of them.
        spread = np.sqrt(np.diag(inverse)[:2] * 4 * np.pi) * _BLUR * left.std()
        return found[:2] if spread.max() < _SURE else np.zeros(2)


class Seen(NamedTuple):
    """One disc over the film: `times` [T] s, `places` [T, 2] px, `radii` [T] px."""

    times: np.ndarray
    places: np.ndarray
    radii: np.ndarray


def track_discs(film: Film, discs: int = 2) -> list[Seen]:
    """The `discs` discs that are seen longest, in the order in which they appear, from left to right.

    Raises: UsageError where the film cannot be read or shows fewer.
    """
    look = learn_look(film)
    shake = Shake(look)
    open_tracks: list[_Open] = []
    done: list[_Open] = []
    for number, (time, grey) in enumerate(film.frames()):
        dx, dy = shake.shift(grey)
        found = [disc._replace(x=disc.x - dx, y=disc.y - dy) for disc in find_discs(grey, look)]
        _extend(open_tracks, found, time, number, look.radius)
        done += [track for track in open_tracks if number - track.number > LOST]
        open_tracks = [track for track in open_tracks if number - track.number <= LOST]
    tracks = [track for track in done + open_tracks if len(track.times) >= FEWEST]
    if len(tracks) < discs:
        raise UsageError(
            f"{film.path}: {len(tracks)} discs of radius {look.radius:.1f} px were found, {discs} are wanted: choose a "
            "part of the film or of the picture that shows them"
        )
    tracks = sorted(tracks, key=lambda track: -len(track.times))[:discs]
    tracks.sort(key=lambda track: (track.times[0], track.discs[0].x))
    return [track.seen() for track in tracks]


def learn_look(film: Film) -> Look:
    """The table and the discs' size and sign, from at most 2 * `SAMPLES` frames spread over the film.

    Raises: UsageError where nothing round moves.
    """
    samples = _spread_frames(film)
    levels = np.sort(samples, axis=0)
    rank = round(TABLE * (len(levels) - 1))
    best, most = None, 0
    for sign, at in ((1.0, rank), (-1.0, -1 - rank)):
        table = levels[at].astype(np.float32)
        span = sign * (levels[-1 if sign > 0 else 0] - table)
        moved = span[span > LEAST_CONTRAST]
        if not moved.size:
            continue
        threshold = max(LEAST_CONTRAST, _PART * float(np.quantile(moved, 0.9)))
        parts = np.array([part for grey in samples for part in _round_parts(sign * (grey - table) > threshold)])
        if not parts.size:
            continue
        radii = parts[:, 2]
        same = np.abs(radii[:, None] - radii) < _SAME * radii[:, None]
        alike = parts[same[same.sum(axis=1).argmax()]]
        # A place that a disc left looks like a disc of the other sign, but it stands still: places are counted, not
        # sightings.
        count = len(np.unique(np.round(alike[:, :2] / alike[:, 2:]), axis=0))
        if count > most:
            best, most = Look(table, sign, threshold, float(np.median(alike[:, 2]))), count
    if best is None:
        raise UsageError(f"{film.path}: nothing round that moves was found: is the camera still, and a disc in sight?")
    return best


def find_discs(grey: np.ndarray, look: Look) -> list[Disc]:
    """The discs in one frame uint8 [H, W]."""
    contrast = look.contrast(grey)
    depth = _depth(contrast > look.threshold, look.radius)
    size = 2 * int(0.7 * look.radius) + 1
    peaks = (depth == cv2.dilate(depth, np.ones((size, size), np.uint8))) & (depth > 0.7 * look.radius)
    found: list[Disc] = []
    _, _, _, centres = cv2.connectedComponentsWithStats(peaks.astype(np.uint8), connectivity=8)
    for x, y in centres[1:]:
        if any(np.hypot(x + 0.5 - other.x, y + 0.5 - other.y) < 0.5 * look.radius for other in found):
            continue  # two peaks of one disc
        disc = outline(contrast, float(x) + 0.5, float(y) + 0.5, look.radius)
        if disc is None or abs(disc.radius - look.radius) > _SAME * look.radius:
            continue
        if all(np.hypot(disc.x - other.x, disc.y - other.y) > look.radius for other in found):
            found.append(disc)
    return found


class _Open:
    """A track that goes on; a disc is expected where its last two sightings lead."""

    def __init__(self, disc: Disc, time: float, number: int) -> None:
        self.times, self.discs, self.numbers = [time], [disc], [number]

    @property
    def number(self) -> int:
        return self.numbers[-1]

    def add(self, disc: Disc, time: float, number: int) -> None:
        self.times.append(time)
        self.discs.append(disc)
        self.numbers.append(number)

    def expected(self, number: int) -> np.ndarray:
        last = np.array(self.discs[-1][:2])
        if len(self.discs) < 2:
            return last
        speed = (last - self.discs[-2][:2]) / (self.numbers[-1] - self.numbers[-2])
        return last + speed * min(number - self.numbers[-1], 3)

    def seen(self) -> Seen:
        table = np.array([disc[:3] for disc in self.discs])
        return Seen(np.array(self.times), table[:, :2], table[:, 2])


def _extend(tracks: list[_Open], discs: Sequence[Disc], time: float, number: int, radius: float) -> None:
    """Each disc to the track that expects it nearest, all together; those that none expects begin one."""
    used: set[int] = set()
    if tracks and discs:
        places = np.array([disc[:2] for disc in discs])
        apart = np.linalg.norm(np.array([t.expected(number) for t in tracks])[:, None] - places, axis=2)
        for i, j in zip(*linear_sum_assignment(np.minimum(apart, 1e3 * radius)), strict=True):
            if apart[i, j] <= JUMP * radius:
                tracks[i].add(discs[j], time, number)
                used.add(int(j))
    tracks += [_Open(disc, time, number) for j, disc in enumerate(discs) if j not in used]


def _spread_frames(film: Film) -> np.ndarray:
    """uint8 [N, H, W], N from `SAMPLES` to twice that where the film has them, evenly spread."""
    kept: collections.deque[np.ndarray] = collections.deque()
    stride = 1
    for number, (_, grey) in enumerate(film.frames()):
        if number % stride:
            continue
        kept.append(grey)
        if len(kept) >= 2 * SAMPLES:
            kept = collections.deque(list(kept)[::2])
            stride *= 2
    return np.stack(list(kept))


def _depth(mask: np.ndarray, radius: float) -> np.ndarray:
    """float32 [H, W], distance px from the edge of the parts of `mask`, whose holes (marks on a disc) are filled."""
    size = 2 * max(1, round(0.2 * radius)) + 1
    closed = cv2.morphologyEx(
        mask.astype(np.uint8), cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    )
    around = np.pad(closed, 1)
    cv2.floodFill(around, None, (0, 0), 2)  # pyright: ignore[reportCallIssue, reportArgumentType]
    filled = (around != 2).astype(np.uint8)
    return cv2.distanceTransform(filled, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]


def _round_parts(mask: np.ndarray) -> list[tuple[float, float, float]]:
    """x, y and radius px of the parts of `mask` that are round and inside the picture."""
    depth = _depth(mask, 2 * LEAST_RADIUS)
    count, labels, facts, centres = cv2.connectedComponentsWithStats((depth > 0).astype(np.uint8), connectivity=8)
    found = []
    for part in range(1, count):
        x, y, width, height, area = facts[part]
        if x == 0 or y == 0 or x + width == mask.shape[1] or y + height == mask.shape[0]:
            continue
        inner = depth[y : y + height, x : x + width][labels[y : y + height, x : x + width] == part].max()
        radius = float(np.sqrt(area / np.pi))
        if radius >= LEAST_RADIUS and _ROUND[0] <= (radius / (inner + 0.5)) ** 2 <= _ROUND[1]:
            found.append((*centres[part], radius))
    return found


__all__ = ["Look", "Seen", "find_discs", "learn_look", "track_discs"]
