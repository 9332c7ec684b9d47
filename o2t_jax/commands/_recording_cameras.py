"""Recordings by calibrated cameras: one straightened, or several as one recording in metres."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from o2t_jax.commands._recordings import Seen, Wanted, see
from o2t_jax.data.recorded.film import Film
from o2t_jax.data.recordings.calibration import Camera, read_cameras
from o2t_jax.data.recordings.tracks import Track, noise_of
from o2t_jax.data.recordings.triangulation import Space, plane_of, triangulated
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.recordings.quantities import Scale
from o2t_jax.training.progress import Tell

CALIBRATED = 1e-3  # relative standard deviation of a calibration's metres


def cameras_for(paths: list[str], films: int) -> list[Camera]:
    """One camera for each film. Raises: UsageError where there are more or fewer."""
    cameras = read_cameras([Path(path) for path in paths])
    if len(cameras) != films:
        raise UsageError(
            f"--calibration has {len(cameras)} and --video {films} (cameras and films): give one camera for "
            "each film, in the same order"
        )
    return cameras


@dataclasses.dataclass(frozen=True, eq=False)
class Straight:
    """A film whose pictures are drawn without distortion: what `overlay` draws on."""

    film: Film
    camera: Camera

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """As the film's."""
        return self.film.frames()

    def colours(self) -> Iterator[tuple[float, np.ndarray]]:
        """Time and straightened picture of each frame."""
        import cv2

        for time, picture in self.film.colours():
            yield time, cv2.undistort(np.ascontiguousarray(picture), self.camera.matrix, self.camera.distortion)


def straightened(film: Film, seen: Seen, wanted: Wanted, camera: Camera) -> tuple[Straight, Seen, Wanted]:
    """One film: sightings without distortion, and the focal length that the calibration says."""
    _check(film, seen, camera)
    assert seen.size is not None
    tracks = [dataclasses.replace(track, points=camera.straight(track.points)) for track in seen.tracks]
    notes = [*seen.notes, "distortion is taken off by the calibration"]
    focal = float(camera.matrix[0, 0]) / seen.size[0]
    straight = dataclasses.replace(seen, tracks=tracks, notes=notes, film=None, background=None)
    return Straight(film, camera), straight, dataclasses.replace(wanted, focal=focal)


def together(
    films: list[Film], cameras: list[Camera], wanted: Wanted, tell: Tell
) -> tuple[Seen, Wanted, Space, dict[str, Any]]:
    """Several films as one track in its plane of motion, px of which the calibration knows the metres; the places in
    space; and what result.json says of them.

    Raises: UsageError for pictures of another size, two clocks, and views that do not meet.
    """
    views = [see(film, tell) for film in films]
    for film, seen, camera in zip(films, views, cameras, strict=True):
        _check(film, seen, camera)
    names = [film.path.name for film in films]
    space = triangulated([seen.tracks for seen in views], cameras, names)
    plane = plane_of(space, cameras[0], wanted.up)
    ones = np.ones(len(space.times))
    points = plane.points * (1.0, -1.0)
    sigma = noise_of(space.times, points) * ones
    radius = views[0].tracks[space.chosen[0]].radius
    track = Track(space.times, points, np.nan * ones, ones, sigma, ones > 0, radius, 1.0)
    notes = [note for seen in views for note in seen.notes]
    told = (
        f"{len(films)} views: rays miss each other by {space.missed:.2g} px (rms); off the plane of motion by "
        f"{1000 * plane.off:.2g} mm (rms)"
    )
    scale = Scale(1 / plane.per_metre, CALIBRATED, known=wanted.known, source=f"calibration of {len(films)} cameras")
    metric = dataclasses.replace(wanted, metric=scale, tilt=0.0, up=90.0, objects=1)
    one = Seen([track], None, views[0].clock, [*notes, told], sum(seen.seconds for seen in views))
    entry = {"views": names, "missed_px": space.missed, "off_plane_m": plane.off, "tracks": list(space.chosen)}
    return one, metric, space, entry


def _check(film: Film, seen: Seen, camera: Camera) -> None:
    if film.roi is not None:
        raise UsageError("--roi cuts the picture that --calibration is of: leave one of them out")
    assert seen.size is not None
    camera.check(seen.size, film.path.name)


def metric_contradictions(wanted: Wanted) -> None:
    """Raises: UsageError where a scale is given along with calibrated views, which have one."""
    given = {"--diameter": wanted.diameter, "--scale": wanted.points, "--speed": wanted.speed}
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"{name} and several calibrated cameras each fix the scale: leave {name} out")


__all__ = ["Straight", "cameras_for", "metric_contradictions", "straightened", "together"]
