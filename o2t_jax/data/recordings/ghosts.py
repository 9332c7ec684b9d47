"""An object that stands at one place for half of a film is background there: it is not seen while it stands, and the
empty place is seen as a thing, a ghost, once it has left. Here ghosts are found and the background is freed of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from o2t_jax.data.recordings.background import Background
from o2t_jax.data.recordings.blobs import Blob
from o2t_jax.data.recordings.tracks import MISSED, Followed

STANDS = 0.15  # of its size: how far a ghost's place may spread
ALIKE = 0.8  # cosine of two colours that differ from the background in the same way
LIKE = 0.8  # logarithm of the area by which they may differ
NEAR = 3.0  # sizes: how near the object is to its place when it leaves it or arrives
AROUND = 6.0  # px about the ghost's blob that are taken anew, beside half of its size
FRAMES = 24  # that the place is taken from, at most


class Ghost(NamedTuple):
    """The place (`x`, `y`) px where an object stands in most frames; `size` px, the root of its area; `times` s of the
    frames in which the place is empty."""

    x: float
    y: float
    size: float
    times: tuple[float, ...]


def find_ghosts(followed: Sequence[Followed], background: Background) -> list[Ghost]:
    """What stands still where the background has the colour of something alike that moves from there, or to there."""
    still, moving = [], []
    for each in followed:
        spread = np.ptp([[blob.x, blob.y] for blob in each.blobs], axis=0).max()
        size = float(np.sqrt(np.median([blob.area for blob in each.blobs])))
        if spread <= max(1.0, STANDS * size):
            still.append(each)
        elif spread > size:
            moving.append(each)
    pairs = ((_ghost(each), each) for each in still)
    return [ghost for ghost, each in pairs if any(_left(ghost, each, other, background.picture) for other in moving)]


def _ghost(each: Followed) -> Ghost:
    x, y, area = np.median([[blob.x, blob.y, blob.area] for blob in each.blobs], axis=0)
    return Ghost(float(x), float(y), float(np.sqrt(area)), tuple(each.times))


def _left(ghost: Ghost, seen: Followed, other: Followed, picture: np.ndarray) -> bool:
    """Whether `other` is the object that the ghost is the empty place of."""
    away = np.hypot([blob.x - ghost.x for blob in other.blobs], [blob.y - ghost.y for blob in other.blobs])
    ends = [number for number in (seen.numbers[0], seen.numbers[-1]) if number > 0]
    then = np.min(np.abs(np.array(other.numbers)[:, None] - ends), axis=1) <= MISSED
    gone = np.flatnonzero(away > ghost.size)
    if len(gone) < 3 or not np.any(away[then] < NEAR * ghost.size):
        return False
    area = float(np.median([other.blobs[i].area for i in gone]))
    differs = np.median([other.blobs[i].colour for i in gone], axis=0)
    behind = np.median([_at(picture, other.blobs[i]) for i in gone], axis=0)
    mine = np.median([blob.colour for blob in seen.blobs], axis=0)
    # In the ghost the background differs from that elsewhere as the object does. (A blob's mean colour has its edge.)
    there = _at(picture, seen.blobs[0]) - behind
    return bool(
        _cosine(differs, mine) < -ALIKE and _cosine(differs, there) > ALIKE and abs(np.log(area / ghost.size**2)) < LIKE
    )


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-9))


def _at(picture: np.ndarray, blob: Blob) -> np.ndarray:
    """Levels [3] of the background behind a blob's middle, mean of 3 x 3 px."""
    x, y = max(1, round(blob.x)), max(1, round(blob.y))
    return picture[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1))


def without_ghosts(
    background: Background, frames: Iterable[tuple[float, UInt8[np.ndarray, "H W 3"]]], ghosts: Sequence[Ghost]
) -> Background:
    """The background with each ghost's place as it is in the median of frames in which it is empty."""
    picture, wanted, stacks = background.picture.copy(), [], []
    for ghost in ghosts:
        reach = 0.5 * ghost.size * 1.2 + AROUND
        low = np.maximum(0, np.floor([ghost.x - reach, ghost.y - reach])).astype(int)
        high = np.ceil([ghost.x + reach, ghost.y + reach]).astype(int) + 1
        part = np.s_[low[1] : high[1], low[0] : high[0]]
        chosen = np.unique(np.linspace(0, len(ghost.times) - 1, FRAMES).round().astype(int))
        wanted.append((part, {ghost.times[i] for i in chosen}))
        stacks.append([])
    for time, frame in frames:
        for (part, times), stack in zip(wanted, stacks, strict=True):
            if time in times:
                stack.append(frame[part].astype(np.float32))
    for (part, _), stack, ghost in zip(wanted, stacks, ghosts, strict=True):
        rows, columns = np.indices(picture[part].shape[:2])
        away = np.hypot(columns + part[1].start - ghost.x, rows + part[0].start - ghost.y)
        mixed = cv2.GaussianBlur((away < 0.6 * ghost.size + 0.5 * AROUND).astype(np.float32), (0, 0), 1.0)[..., None]
        picture[part] += mixed * (np.median(stack, axis=0) - picture[part])
    return dataclasses.replace(background, picture=picture)


__all__ = ["Ghost", "find_ghosts", "without_ghosts"]
