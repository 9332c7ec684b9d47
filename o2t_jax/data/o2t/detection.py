"""What moves in the pictures of one static camera: a background, and round blobs before it.

The background is the median over the camera's moments; a blob is a connected region that differs from it. A blob is
`round` when its size, place and extent are those of one whole sphere's outline, by the camera's geometry alone: a
shadow (a flat disc, seen from low), a ball that something hides or that the border cuts, and a ball that touches its
own shadow are not. Pictures only: no truth, no law.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from o2t_jax.data.o2t.flight_config import FlightConfig
from o2t_jax.geometry.camera import Intrinsics, intrinsics_for, world_to_camera

# Samples are made by many threads at once; OpenCV's own would compete with them for the cores.
cv2.setNumThreads(1)

# Pixels that a ball covers by little more than a tenth differ already: a blob is about this much wider on every side.
_EDGE_PX = 0.4
# How far a blob's half width and centre may be from those of a sphere's outline: px, and share of its half width. Whole
# balls keep within 0.5 px (measured, VTK pictures too); one that bites into its own trace in the background does not.
_EXTENT_SLACK, _CENTRE_SLACK = (0.6, 0.01), (0.5, 0.01)
# Anything smaller is noise, and neither a ball nor a reason to call a window unclean.
_NOISE_PX = 4


class Camera(NamedTuple):
    """A static camera: `position` [3] m, `angles` [2] (azimuth, elevation) deg, `rotation` [3, 3], `intrinsics`."""

    position: np.ndarray
    angles: np.ndarray
    rotation: np.ndarray
    intrinsics: Intrinsics

    @classmethod
    def of(cls, position: np.ndarray, angles: np.ndarray, size: int) -> Camera:
        """A camera with square pictures of `size` px."""
        return cls(position, angles, world_to_camera(angles[0], angles[1]), intrinsics_for(size, size))


class Patch(NamedTuple):
    """A cut-out: `picture` and the `background` there, uint8 [P, P, 3]; `corner`, its top left pixel (u, v)."""

    picture: np.ndarray
    background: np.ndarray
    corner: tuple[int, int]


class Detection(NamedTuple):
    """A round blob in one picture, taken for a sphere.

    `centre` (u, v) px of its outline; `box` (left, top, right, bottom) px, ends excluded; `direction` [3], the unit
    vector from the camera to the sphere's centre, in the world; `angle`, its angular radius (rad); `clean`: nothing
    else moves in its patch; `patch` is None where a patch cannot hold the whole blob.
    """

    centre: tuple[float, float]
    box: tuple[int, int, int, int]
    direction: np.ndarray
    angle: float
    clean: bool
    patch: Patch | None


class Region(NamedTuple):
    """A connected region that differs from the background: `area` px, `centre` (u, v), `box` as in `Detection`."""

    area: float
    centre: tuple[float, float]
    box: tuple[int, int, int, int]


def median_background(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median picture (the lower of the middle two) uint8 [H, W, 3] of `pictures` [T, H, W, 3]; where they differ."""
    low, high = pictures[0].copy(), pictures[0].copy()
    for picture in pictures[1:]:
        cv2.min(low, picture, low)
        cv2.max(high, picture, high)
    varies = (low != high).any(axis=-1)
    middle = (len(pictures) - 1) // 2
    # Nearly all pixels never change: sorting only the others is the same median at a small part of the cost.
    low[varies] = np.partition(pictures[:, varies], middle, axis=0)[middle]
    return low, varies


def find_blobs(pictures: np.ndarray, camera: Camera, config: FlightConfig, patch_px: int) -> list[list[Detection]]:
    """The round blobs of each of `pictures` uint8 [T, H, W, 3], one camera's, with patches of `patch_px` a side."""
    background, varies = median_background(pictures)
    rows, columns = np.flatnonzero(varies.any(axis=1)), np.flatnonzero(varies.any(axis=0))
    if not rows.size:
        return [[] for _ in pictures]
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    found = []
    for picture in pictures:
        difference = cv2.absdiff(picture[part], background[part])
        moving = np.where(difference.max(axis=-1) > config.motion_threshold, 255, 0).astype(np.uint8)
        regions = _regions(moving, int(columns[0]), int(rows[0]))
        blobs = []
        for region in regions:
            if region.area < config.ball_pixels:
                continue
            sphere = as_sphere(region, camera)
            if sphere is None:
                continue
            patch = _cut(picture, background, region, patch_px, patch_px - 2 * config.window_jitter)
            clean = patch is not None and not any(_inside(patch, other) for other in regions if other is not region)
            blobs.append(Detection(region.centre, region.box, *sphere, clean, patch))
        found.append(blobs)
    return found


def as_sphere(region: Region, camera: Camera) -> tuple[np.ndarray, float] | None:
    """(direction [3], angular radius) of the sphere whose outline is like the region; None where none is.

    With a unit distance the outline of a sphere at angle theta off the axis, angular radius s, is an ellipse about
    z / (z^2 - sin^2 s) (x, y) of area pi f^2 sin^2 s cos s / (z^2 - sin^2 s)^(3/2), (x, y, z) the centre's direction.
    """
    k = camera.intrinsics
    left, top, right, bottom = region.box
    if left <= 0 or top <= 0 or right >= k.width or bottom >= k.height:
        return None
    area = math.pi * max(math.sqrt(region.area / math.pi) - _EDGE_PX, 0.5) ** 2 / (math.pi * k.focal**2)
    x, y = (region.centre[0] - k.cx) / k.focal, (region.centre[1] - k.cy) / k.focal
    sin2 = 0.0
    direction = np.array([x, y, 1.0]) / math.sqrt(x * x + y * y + 1.0)
    for _ in range(4):  # converges by a factor of about sin^2 s a round
        ahead = 1.0 - sin2 / direction[2] ** 2
        direction = np.array([x * ahead, y * ahead, 1.0])
        direction /= np.linalg.norm(direction)
        sin2 = area * max(direction[2] ** 2 - sin2, 1e-6) ** 1.5 / math.sqrt(1.0 - sin2)
        if sin2 > 0.25:  # 30 deg: it would fill the picture
            return None
    if not _fits(region, direction, sin2, k):
        return None
    return camera.rotation.T @ direction, math.asin(math.sqrt(sin2))


def _fits(region: Region, direction: np.ndarray, sin2: float, k: Intrinsics) -> bool:
    """Whether extent and centre of the region are those of the sphere's outline."""
    x, y, z = direction.tolist()
    ahead = z * z - sin2
    # Half extents of the ellipse in which p^T (C C^T - (1 - sin^2 s) I) p >= 0, see `render.silhouettes.ball`.
    half = [k.focal * math.sqrt(sin2 * (ahead + c * c)) / ahead for c in (x, y)]
    left, top, right, bottom = region.box
    sides = ((left, right, region.centre[0]), (top, bottom, region.centre[1]))
    for (low, high, centre), expected in zip(sides, half, strict=True):
        if abs(0.5 * (high - low) - _EDGE_PX - expected) > _EXTENT_SLACK[0] + _EXTENT_SLACK[1] * expected:
            return False
        if abs(0.5 * (high + low) - centre) > _CENTRE_SLACK[0] + _CENTRE_SLACK[1] * expected:
            return False
    return True


def _regions(moving: np.ndarray, left: int, top: int) -> list[Region]:
    """Connected regions of the mask uint8 [h, w], holes filled; its top left pixel is (`left`, `top`)."""
    outlines, _ = cv2.findContours(moving, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(0, 0))
    regions = []
    for outline in outlines:
        x, y, width, height = cv2.boundingRect(outline)
        if width * height < _NOISE_PX:
            continue
        filled = np.zeros((height, width), np.uint8)
        cv2.drawContours(filled, [outline], -1, 1, cv2.FILLED, offset=(-x, -y))
        moments = cv2.moments(filled, binaryImage=True)
        area = moments["m00"]
        if area < _NOISE_PX:
            continue
        u, v = moments["m10"] / area + x + left + 0.5, moments["m01"] / area + y + top + 0.5
        regions.append(Region(area, (u, v), (x + left, y + top, x + left + width, y + top + height)))
    return regions


def _cut(picture: np.ndarray, background: np.ndarray, region: Region, side: int, window: int) -> Patch | None:
    """The patch of `side` px about the region, moved into the picture; None where a `window` px wide one is too small.

    A window whose centre lies anywhere in the patch's jitter range shows the whole region, with a pixel to spare.
    """
    height, width = picture.shape[:2]
    jitter = (side - window) // 2
    reach = max(
        max(abs(edge - centre) for edge in edges)
        for centre, edges in zip(region.centre, (region.box[0::2], region.box[1::2]), strict=True)
    )
    if reach + jitter + 1.5 > 0.5 * window or side > min(height, width):
        return None
    left = min(max(round(region.centre[0] - 0.5 * side), 0), width - side)
    top = min(max(round(region.centre[1] - 0.5 * side), 0), height - side)
    part = slice(top, top + side), slice(left, left + side)
    return Patch(picture[part].copy(), background[part].copy(), (left, top))


def _inside(patch: Patch, region: Region) -> bool:
    """Whether the region reaches into the patch."""
    (left, top), side = patch.corner, len(patch.picture)
    return region.box[0] < left + side and region.box[2] > left and region.box[1] < top + side and region.box[3] > top


__all__ = ["Camera", "Detection", "Patch", "Region", "as_sphere", "find_blobs", "median_background"]
