"""Moving blobs of a frame: what differs from the background, with sub-pixel centres."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from jaxtyping import UInt8

from o2t_jax.data.recordings.background import Background

SEED, EDGE = 8.0, 4.0  # times the noise: what a blob must reach somewhere, and what belongs to it
LEAST_SEED = 24.0  # levels
LEAST_AREA = 6  # px
MOST = 40  # blobs of one frame, the clearest ones
OPENED = 0.5  # of a blob's inner radius: thinner parts (a rope, an arm) are cut off


@dataclasses.dataclass(frozen=True)
class Blob:
    """`x`, `y` px of the centre, from the middle of the top left pixel (right, down); `area` px²; `radius` px of the
    largest circle inside; `long` over `wide`, standard deviations along and across, px; `colour`, mean difference from
    the background, RGB levels; `strength`, mean distance in colour; `cut`, whether it touches the picture's edge;
    `size` px, radius of the disc of its area where pixels of the edge count by the share that is covered: blur, which
    makes `area` larger, leaves it as it is."""

    x: float
    y: float
    area: float
    radius: float
    long: float
    wide: float
    colour: tuple[float, float, float]
    strength: float
    cut: bool
    size: float = float("nan")


def find_blobs(picture: UInt8[np.ndarray, "H W 3"], background: Background) -> list[Blob]:
    """The blobs of one frame, the strongest first. A change of light of the whole picture is taken off."""
    change = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 0.7) - background.picture
    change -= np.median(change[::4, ::4].reshape(-1, 3), axis=0)
    far = np.linalg.norm(change, axis=-1)
    low = far > np.maximum(EDGE * background.noise, 0.5 * LEAST_SEED)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(low.astype(np.uint8), connectivity=8)
    seeds = np.bincount(labels[far > np.maximum(SEED * background.noise, LEAST_SEED)], minlength=count)
    wanted = [i for i in range(1, count) if seeds[i] > 0 and boxes[i, cv2.CC_STAT_AREA] >= LEAST_AREA]
    wanted.sort(key=lambda i: -int(seeds[i]))
    found = []
    for i in wanted[:MOST]:
        x, y, width, height = boxes[i, :4]
        part = np.s_[y : y + height, x : x + width]
        blob = _body(labels[part] == i, far[part], change[part], (x, y), picture.shape[:2])
        if blob is not None:
            found.append(blob)
    return found


def _body(
    mask: np.ndarray, far: np.ndarray, change: np.ndarray, corner: tuple[int, int], size: tuple[int, ...]
) -> Blob | None:
    """The thick part of one component. Weights are the distances in colour, at most their median: what is inside counts
    alike, and pixels of the edge by the share that is covered."""
    x, y = corner
    height, width = mask.shape
    cut = x == 0 or y == 0 or x + width == size[1] or y + height == size[0]
    mask = np.pad(mask.astype(np.uint8), 1)
    inner = float(cv2.distanceTransform(mask, cv2.DIST_L2, 5).max())
    if inner >= 4:
        reach = round(OPENED * inner)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        opened = cv2.morphologyEx(np.pad(mask, reach), cv2.MORPH_OPEN, disc)[reach:-reach, reach:-reach]
        count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
        if count > 1:
            mask = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    inside = mask[1:-1, 1:-1] > 0
    rows, columns = np.nonzero(inside)
    if len(rows) < LEAST_AREA:
        return None
    weight = far[inside]
    weight = np.minimum(weight, np.median(weight))
    most = np.quantile(far[inside], 0.75)
    round_size = float(np.sqrt(np.minimum(far[inside], most).sum() / most / np.pi))
    weight = weight / weight.sum()
    cx, cy = float(weight @ columns), float(weight @ rows)
    away = np.stack([columns - cx, rows - cy])
    narrow, wide = np.linalg.eigvalsh((weight * away) @ away.T)
    colour = change[inside].mean(axis=0)
    return Blob(
        x=x + cx,
        y=y + cy,
        area=float(len(rows)),
        radius=inner,
        long=float(np.sqrt(max(wide, 0.05))),
        wide=float(np.sqrt(max(narrow, 0.05))),
        colour=(float(colour[0]), float(colour[1]), float(colour[2])),
        strength=float(far[inside].mean()),
        cut=bool(cut),
        size=round_size,
    )


__all__ = ["Blob", "find_blobs"]
