"""Small pictures round an object that was followed, and the background at the same places: what a network is shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from o2t_jax.data.recordings.background import Background
from o2t_jax.data.recordings.tracks import Track

SIDE, MARGIN = 64, 8  # px of a crop, and further px on each side, by which training shifts it
REACH = 2.5  # radii of the object within a crop, at least


@dataclasses.dataclass(frozen=True, eq=False)
class Crops:
    """`pictures` and `still`, RGB of the film and of its background, `SIDE` + 2 `MARGIN` px on a side, each of `factor`
    px of the film; `corner` px (x, y) of the film's pixel at their top left; `times` s; `radius`, the object's, px of a
    crop; `size` (width, height) px of the film."""

    pictures: UInt8[np.ndarray, "T side side 3"]
    still: UInt8[np.ndarray, "T side side 3"]
    corner: Float[np.ndarray, "T 2"]
    times: Float[np.ndarray, " T"]
    factor: int
    radius: float
    size: tuple[int, int]

    def in_film(self, points: Float[np.ndarray, "N 2"], rows: Bool[np.ndarray, " T"]) -> Float[np.ndarray, "N 2"]:
        """Places px in the film of `points` px in the crops of `rows` without margin; both from a pixel's middle."""
        return self.corner[rows] + (points + MARGIN + 0.5) * self.factor - 0.5


def cut_crops(
    frames: Iterable[tuple[float, UInt8[np.ndarray, "H W 3"]]], background: Background, tracks: Sequence[Track]
) -> list[Crops]:
    """One pass over a film: for each track, crops of all frames from its first sighting to its last.

    Where the track has a gap the place is between its neighbours. Beyond the film's edge its border is repeated.
    """
    height, width = background.picture.shape[:2]
    factors = [max(1, int(np.ceil(2 * REACH * track.radius / SIDE))) for track in tracks]
    sides = [(SIDE + 2 * MARGIN) * factor for factor in factors]
    pad = max(sides)
    still = np.pad(background.picture.round().astype(np.uint8), ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    found: list[list[tuple[np.ndarray, np.ndarray, np.ndarray, float]]] = [[] for _ in tracks]
    for time, picture in frames:
        padded = None
        for track, side, rows in zip(tracks, sides, found, strict=True):
            if not track.times[0] - 1e-9 <= time <= track.times[-1] + 1e-9:
                continue
            if padded is None:
                padded = np.pad(picture, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
            place = np.array([np.interp(time, track.times, track.points[:, i]) for i in (0, 1)])
            x, y = np.clip(np.round(place - 0.5 * (side - 1)).astype(int), -pad, [width, height])
            part = np.s_[y + pad : y + pad + side, x + pad : x + pad + side]
            rows.append((_small(padded[part]), _small(still[part]), np.array([x, y], float), time))
    return [
        Crops(
            np.stack([row[0] for row in rows]),
            np.stack([row[1] for row in rows]),
            np.stack([row[2] for row in rows]),
            np.array([row[3] for row in rows]),
            factor,
            track.radius / factor,
            (width, height),
        )
        for track, factor, rows in zip(tracks, factors, found, strict=True)
    ]


def _small(part: np.ndarray) -> np.ndarray:
    side = SIDE + 2 * MARGIN
    return part.copy() if len(part) == side else cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA)


__all__ = ["MARGIN", "SIDE", "Crops", "cut_crops"]
