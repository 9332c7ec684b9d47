"""From the pictures of a rig of static cameras to rough tracks of the balls, by pictures and camera poses alone.

Per camera, what moves is found as round blobs (`blobs`). At each moment, blobs of different cameras are one ball where
their rays meet and their angular radii agree with one radius; moments are then linked into tracks. Nothing here knows
a law, a setup or a truth. Named priors: the world is static but for round bodies, the ground is the plane z = 0 (a body
whose centre lies below half its radius is a shadow), and nothing moves faster than `MAX_SPEED`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from o2t_jax.data.o2t.detection import Camera, Detection, find_blobs
from o2t_jax.data.o2t.flight_config import FlightConfig
from o2t_jax.types import Renderer

MAX_SPEED = 30.0
# Noise (px, one sigma) of a blob's centre and radius, for the weights and for what counts as agreement.
CENTRE_NOISE_PX, RADIUS_NOISE_PX = 0.15, 0.4
# How far a ray may pass a ball's centre: px, and share of the ball's radius.
_MISS_PX, _MISS_SHARE = 1.0, 0.05
# How far a blob's size may be from its ball's: noise of the radius, and share of it.
_SIZE_SIGMAS, _SIZE_SHARE = 2.0, 0.05
# Two rays that cross at less than this angle (deg), or run against each other as closely, do not tell a distance.
_MIN_CROSSING_DEG = 20.0
# A ball out of sight for more moments than this starts a new track.
_MAX_GAP = 2
# Two moments of one ball: how different its radius may come out, as a share.
_SAME_RADIUS = 0.15


class Fix(NamedTuple):
    """One ball at one moment: `position` [3] m (rough), `sigma` m (its largest axis), `radius` m, `blobs` by camera."""

    position: np.ndarray
    sigma: float
    radius: float
    blobs: dict[int, Detection]


class Track(NamedTuple):
    """One ball over a survey: `fixes` by the moment's number, in order of time."""

    fixes: dict[int, Fix]

    @property
    def radius(self) -> float:
        """Median over the moments, m."""
        return float(np.median([s.radius for s in self.fixes.values()]))

    def positions(self, count: int) -> np.ndarray:
        """[count, 3] m, NaN at moments without a fix."""
        out = np.full((count, 3), np.nan)
        for moment, fix in self.fixes.items():
            out[moment] = fix.position
        return out


def rough_tracks(
    renderer: Renderer,
    setup_seed: int,
    times: np.ndarray,
    cameras: Sequence[Camera],
    config: FlightConfig,
    patch_px: int,
) -> list[Track]:
    """Renders a setup with all `cameras` at all `times` [T] s and tracks what flies there."""
    blobs = []
    for camera in cameras:  # one after the other: at 2048 px a camera's pictures take 100 MB
        angles, place = np.tile(camera.angles, (len(times), 1)), np.tile(camera.position, (len(times), 1))
        size = (camera.intrinsics.height, camera.intrinsics.width)
        pictures = np.asarray(renderer.render(setup_seed, times, angles, place, size))
        blobs.append(find_blobs(pictures, camera, config, patch_px))
    moments = [match_detections([b[j] for b in blobs], cameras) for j in range(len(times))]
    return link(moments, times)


def match_detections(blobs: Sequence[Sequence[Detection]], cameras: Sequence[Camera]) -> list[Fix]:
    """The balls at one moment, from the blobs [C][...] of all cameras there; each blob is used once.

    Best-supported first: most cameras, then the closest meeting of their rays.
    """
    candidates = []
    for a, b in itertools.combinations(range(len(cameras)), 2):
        for i, j in itertools.product(range(len(blobs[a])), range(len(blobs[b]))):
            group = {a: i, b: j}
            fit = _meet({c: blobs[c][n] for c, n in group.items()}, cameras)
            if fit is None:
                continue
            for c in set(range(len(cameras))) - {a, b}:
                for n in range(len(blobs[c])):
                    wider = {**group, c: n}
                    better = _meet({d: blobs[d][m] for d, m in wider.items()}, cameras)
                    if better is not None:
                        group, fit = wider, better
                        break
            candidates.append((-len(group), fit[1], tuple(sorted(group.items())), fit[0]))
    fixes, used = [], set()
    for _, _, group, fix in sorted(candidates, key=lambda c: c[:3]):
        if used.isdisjoint(group):
            used.update(group)
            fixes.append(fix)
    return [s for s in fixes if s.position[2] > 0.5 * s.radius]


def _meet(blobs: dict[int, Detection], cameras: Sequence[Camera]) -> tuple[Fix, float] | None:
    """The ball whose blobs these are and how far the rays miss it (px, the largest); None when they are not one's."""
    direction = np.stack([b.direction for b in blobs.values()])
    origin = np.stack([cameras[c].position for c in blobs])
    focal = np.array([cameras[c].intrinsics.focal for c in blobs])
    cos = direction @ direction.T
    if np.abs(cos).min() > np.cos(np.radians(_MIN_CROSSING_DEG)):
        return None
    point, _ = _nearest_point(origin, direction, np.ones(len(blobs)))
    for _ in range(2):  # once more with weights by distance: noise counts in angle
        distance = ((point - origin) * direction).sum(axis=1)
        if distance.min() < 0.5:
            return None
        point, normal = _nearest_point(origin, direction, (focal / (CENTRE_NOISE_PX * distance)) ** 2)
    distance = ((point - origin) * direction).sum(axis=1)
    if distance.min() < 0.5:
        return None
    miss = np.linalg.norm(origin + distance[:, None] * direction - point, axis=1)
    angle = np.array([b.angle for b in blobs.values()])
    scale, size = distance / focal, distance * np.sin(angle)  # m a pixel there; the ball's radius by each camera
    radius = float(np.average(size, weights=scale**-2))
    if (miss > _MISS_PX * scale + _MISS_SHARE * radius).any():
        return None
    if (np.abs(size - radius) > _SIZE_SIGMAS * RADIUS_NOISE_PX * scale + _SIZE_SHARE * radius).any():
        return None
    sigma = float(np.sqrt(1.0 / np.linalg.eigvalsh(normal)[0]))
    return Fix(point, sigma, radius, dict(blobs)), float((miss / scale).max())


def _nearest_point(origin: np.ndarray, direction: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The point [3] nearest to rays (origins [N, 3], unit directions [N, 3], weights [N]); its normal matrix [3, 3]."""
    across = weight[:, None, None] * (np.eye(3) - direction[:, :, None] * direction[:, None, :])
    normal = across.sum(axis=0)
    return np.linalg.solve(normal, np.einsum("nij,nj->i", across, origin)), normal


def link(moments: Sequence[Sequence[Fix]], times: np.ndarray) -> list[Track]:
    """Joins fixes [T][...] at `times` [T] s into tracks: the same radius, and no faster than `MAX_SPEED`."""
    from scipy.optimize import linear_sum_assignment  # here, for it takes a second to import

    tracks: list[dict[int, Fix]] = []
    for moment, fixes in enumerate(moments):
        alive = [track for track in tracks if moment - max(track) <= _MAX_GAP]
        cost = np.full((len(alive), len(fixes)), 1e6)
        for i, track in enumerate(alive):
            for j, fix in enumerate(fixes):
                cost[i, j] = min(cost[i, j], _step_cost(track, fix, moment, times))
        taken = set()
        for i, j in zip(*linear_sum_assignment(cost), strict=True):
            if cost[i, j] < 1e6:
                alive[i][moment] = fixes[j]
                taken.add(int(j))
        tracks.extend({moment: s} for j, s in enumerate(fixes) if j not in taken)
    return [Track(track) for track in tracks if not _stands_still(track)]


def _stands_still(track: dict[int, Fix]) -> bool:
    """Whether nothing moves: where a ball lingered it is taken for background, and its leaving for a ball."""
    positions = np.stack([s.position for s in track.values()])
    return len(track) > 1 and bool(np.ptp(positions, axis=0).max() < 0.1 * min(s.radius for s in track.values()))


def _step_cost(track: dict[int, Fix], fix: Fix, moment: int, times: np.ndarray) -> float:
    """How unlike the track's next moment this is; infinite where it cannot be one."""
    last = max(track)
    before = track[last]
    moved = float(np.linalg.norm(fix.position - before.position)) / (MAX_SPEED * (times[moment] - times[last]))
    slack = RADIUS_NOISE_PX / CENTRE_NOISE_PX * (before.sigma + fix.sigma)
    grown = abs(fix.radius - before.radius) / (_SAME_RADIUS * before.radius + slack)
    return np.inf if moved > 1.0 or grown > 1.0 else moved + grown


__all__ = ["MAX_SPEED", "Fix", "Track", "link", "match_detections", "rough_tracks"]
