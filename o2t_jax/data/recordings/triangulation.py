"""Several calibrated views of one object as places in space, and the plane in which it moves."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from o2t_jax.data.recordings.calibration import Camera
from o2t_jax.data.recordings.tracks import LEAST, Track
from o2t_jax.errors import UsageError

TRIED = 3  # tracks of each view, the likeliest ones
APART = 0.3  # of a frame, by which time stamps of two views may differ
SHARED = 0.6  # of the shorter track's sightings that must have a partner
MISSED = 5.0  # px, median, by which rays of one object may miss each other
FLAT = 3.0  # times the extent off the plane: a motion along a line has no plane of its own


@dataclasses.dataclass(frozen=True, eq=False)
class Space:
    """`times` s; `points` m in the world's axes; `missed` px, root mean square of sightings from the points' pictures;
    `chosen`, the track's number in each view."""

    times: Float[np.ndarray, " T"]
    points: Float[np.ndarray, "T 3"]
    missed: float
    chosen: tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Plane:
    """Of motion: `points` (right, up) in units of which `per_metre` are 1 m, about a px of the first camera; `off` m,
    root mean square distance from it."""

    points: Float[np.ndarray, "T 2"]
    per_metre: float
    off: float


def triangulated(views: Sequence[Sequence[Track]], cameras: Sequence[Camera], names: Sequence[str]) -> Space:
    """The object whose rays meet best, of the likeliest tracks of each view.

    Raises: UsageError where time stamps differ, or no tracks meet.
    """
    check_clocks([tracks[0] for tracks in views], names)
    found = []
    for chosen in itertools.product(*(range(min(TRIED, len(tracks))) for tracks in views)):
        tracks = [tracks[i].kept() for tracks, i in zip(views, chosen, strict=True)]
        times, rows = _shared(tracks)
        if len(times) < max(LEAST, SHARED * min(len(track.times) for track in tracks)):
            continue
        seen = [track.points[at] for track, at in zip(tracks, rows, strict=True)]
        points = _points([camera.straight(p, pixels=False) for camera, p in zip(cameras, seen, strict=True)], cameras)
        away = np.stack([_missed(points, p, camera) for p, camera in zip(seen, cameras, strict=True)])
        missed = float(np.median(np.linalg.norm(away, axis=-1)))
        score = sum(track.score for track in tracks) / (1 + missed**2)
        found.append((missed, score, Space(times, points, float(np.sqrt(np.mean(away**2))), chosen)))
    good = [each for each in found if each[0] < MISSED]
    if not good:
        least = f": rays miss each other by {min(each[0] for each in found):.1f} px at least" if found else ""
        raise UsageError(
            f"no object is seen by all cameras at the same times{least}: check --calibration and its order"
        )
    return max(good, key=lambda each: each[1])[2]


def check_clocks(tracks: Sequence[Track], names: Sequence[str]) -> None:
    """Raises: UsageError where the frames of two views are not taken at the same times."""
    steps = [float(np.median(np.diff(track.times))) for track in tracks]
    for step, name in zip(steps, names, strict=True):
        if abs(step / steps[0] - 1) > 0.01:
            raise UsageError(
                f"two clocks: {names[0]} has a frame each {steps[0]:.5g} s, {name} each {step:.5g} s: give --fps, or "
                "films of one rate"
            )
    for track, name in zip(tracks[1:], names[1:], strict=True):
        phase = (track.times - tracks[0].times[0]) / steps[0]
        if np.median(np.abs(phase - np.round(phase))) > APART:
            raise UsageError(f"two clocks: frames of {name} are taken between those of {names[0]}")


def _shared(tracks: Sequence[Track]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Times of the first view at which all have a sighting, and the rows of each view."""
    times = tracks[0].times
    reach = APART * float(np.median(np.diff(times)))
    rows, both = [], np.ones(len(times), bool)
    for track in tracks:
        at = np.abs(track.times[None] - times[:, None]).argmin(axis=1)
        both &= np.abs(track.times[at] - times) < reach
        rows.append(at)
    return times[both], [at[both] for at in rows]


def _points(rays: Sequence[np.ndarray], cameras: Sequence[Camera]) -> np.ndarray:
    """[T, 3] by linear triangulation on the planes at distance 1 (Hartley & Zisserman 2004, 12.2)."""
    matrices = [np.column_stack([camera.turn, camera.shift]) for camera in cameras]
    rows = [
        ray[:, axis, None] * matrix[2] - matrix[axis]
        for ray, matrix in zip(rays, matrices, strict=True)
        for axis in (0, 1)
    ]
    design = np.stack(rows, axis=1)
    return np.stack([np.linalg.lstsq(each[:, :3], -each[:, 3], rcond=None)[0] for each in design])


def _missed(points: np.ndarray, seen: np.ndarray, camera: Camera) -> np.ndarray:
    """Undistorted sightings less the points' pictures, px."""
    there = (points @ camera.turn.T + camera.shift) @ camera.matrix.T
    return camera.straight(seen) - there[:, :2] / there[:, 2:]


def plane_of(space: Space, camera: Camera, up: float = 90.0) -> Plane:
    """The plane that fits the places best, upright as the first camera's picture: its direction `up`, degrees from its
    right, is up."""
    middle = space.points.mean(axis=0)
    _, extents, axes = np.linalg.svd(space.points - middle, full_matrices=False)
    normal = axes[2]
    view = camera.turn.T @ np.array([0.0, 0.0, 1.0])
    if extents[1] < FLAT * extents[2]:  # along a line: the plane that faces the camera
        normal = view - axes[0] * (view @ axes[0])
        normal /= np.linalg.norm(normal)
    angle = np.radians(up)
    upward = camera.turn.T @ np.array([np.cos(angle), -np.sin(angle), 0.0])
    upward -= normal * (normal @ upward)
    if np.linalg.norm(upward) < 0.2:
        raise UsageError("the plane of motion is level to the first camera's eye: nothing in it is up: give --up")
    upward /= np.linalg.norm(upward)
    right = np.cross(upward, normal)
    right *= 1.0 if right @ (camera.turn.T @ np.array([np.sin(angle), np.cos(angle), 0.0])) >= 0 else -1.0
    distance = float((camera.turn @ middle + camera.shift)[2])
    per_metre = float(camera.matrix[0, 0]) / distance
    away = space.points - middle
    off = float(np.sqrt(np.mean((away @ normal) ** 2)))
    return Plane(per_metre * away @ np.stack([right, upward], axis=1), per_metre, off)


def write_space(space: Space, path: Path) -> None:
    """A CSV file: t s, x, y, z m."""
    lines = [",".join(["t", "x", "y", "z"])]
    lines += [f"{t:.6f},{x:.6f},{y:.6f},{z:.6f}" for t, (x, y, z) in zip(space.times, space.points, strict=True)]
    path.write_text("\n".join(lines) + "\n")


__all__ = ["Plane", "Space", "check_clocks", "plane_of", "triangulated", "write_space"]
