"""The centre and radius of a disc in a picture, to a fraction of a pixel, from where its edge crosses rays.

Marks on a disc do not matter, as they lie inside; what covers a part of the edge is left out as not on the circle.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

RAYS = 64
LEAST_SHARE = 0.6  # of the rays that must show the edge
_STEP = 0.25  # px along a ray
_BAND = (0.72, 1.35)  # of the expected radius, where the edge is looked for
_BROAD = 0.25  # of the radius: half width of an edge
_WEAK = 0.35  # of the median strength: rays below have no edge there
_HUBER, _OUTSIDE = 1.5, 6.0  # robust deviations: weights fall beyond the first, and are 0 beyond the second
_LEAST_SPREAD = 0.05  # px
_ROUNDS, _SETTLED = 6, 2e-3  # iterations of the centre; px
_ROUGHEST = 0.08  # of the radius: robust deviation of the edge from a circle


class Disc(NamedTuple):
    """`x` and `y` px of the centre (pixel centres at half integers), `radius` px, `share` of the edge that is seen."""

    x: float
    y: float
    radius: float
    share: float


def outline(contrast: np.ndarray, x: float, y: float, radius: float) -> Disc | None:
    """The disc near (x, y) px with about that radius in `contrast` float32 [H, W], brighter than around; None for none.

    Along each ray the edge is the mean distance weighted by the fall of brightness; a circle is fitted to the edges by
    reweighted least squares, and rays start from its centre anew.
    """
    angle = np.arange(RAYS) * (2 * np.pi / RAYS)
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    design = np.concatenate([ray, np.ones((RAYS, 1))], axis=1)
    along = np.arange((_BAND[0] - _BROAD) * radius, (_BAND[1] + _BROAD) * radius, _STEP)
    band = (along > _BAND[0] * radius) & (along < _BAND[1] * radius)
    centre, found = np.array([x, y]) - 0.5, radius  # cv2 has pixel centres at integers
    share = spread = 0.0
    for _ in range(_ROUNDS):
        at = (centre + ray[:, None] * along[None, :, None]).astype(np.float32)
        level = cv2.remap(contrast, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        fall = np.clip(-np.gradient(level, _STEP, axis=1), 0, None)
        top = np.where(band, fall, -1).argmax(axis=1)
        near = np.abs(np.arange(len(along)) - top[:, None]) * _STEP <= _BROAD * radius
        weight = np.where(near, fall, 0) + 1e-9
        edge = np.sum(weight * along, axis=1) / np.sum(weight, axis=1)
        strength = fall[np.arange(RAYS), top]
        inside = np.all(
            (at[np.arange(RAYS), top] >= 0) & (at[np.arange(RAYS), top] <= np.array(contrast.shape[::-1]) - 1), axis=1
        )
        seen = inside & (strength > _WEAK * np.median(strength[inside])) if inside.any() else inside
        if seen.sum() < LEAST_SHARE * RAYS:
            return None
        circle, spread, used = _circle(design, edge, seen, np.array([0.0, 0.0, found]))
        share, found = float(used.mean()), float(circle[2])
        centre = centre + circle[:2]
        if not (np.isfinite(centre).all() and np.hypot(*(centre + 0.5 - (x, y))) < radius):
            return None
        if np.hypot(*circle[:2]) < _SETTLED:
            break
    if share < LEAST_SHARE or spread > max(_ROUGHEST * radius, 2 * _LEAST_SPREAD):
        return None
    return Disc(float(centre[0]) + 0.5, float(centre[1]) + 0.5, found, share)


def _circle(
    design: np.ndarray, edge: np.ndarray, seen: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray]:
    """Shift and radius [3], robust deviation px, and which rays count."""
    circle, spread, used = start, 1.0, seen
    for _ in range(_ROUNDS):
        left = edge - design @ circle
        spread = max(1.4826 * float(np.median(np.abs(left[seen]))), _LEAST_SPREAD)
        used = seen & (np.abs(left) < _OUTSIDE * spread)
        weight = np.where(used, np.minimum(1.0, _HUBER * spread / (np.abs(left) + 1e-9)), 0.0)
        weighted = design.T * weight
        circle = np.linalg.solve(weighted @ design, weighted @ edge)  # well conditioned: `LEAST_SHARE` of the rays
    return circle, spread, used


__all__ = ["LEAST_SHARE", "Disc", "outline"]
