"""A survey of one setup, and the samples' views drawn from its flights.

A survey keeps of its pictures only the patches around the balls of contact-free flights: a few hundred kilobytes a
flight. Any number of samples can then be drawn from it: two cameras as the eyes, the moments, the target.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from o2t_jax.data.o2t.curriculum import ModeMix
from o2t_jax.data.o2t.detection import Camera, Detection, Patch
from o2t_jax.data.o2t.flight_config import FlightConfig
from o2t_jax.data.o2t.free_flight import free_segments
from o2t_jax.data.o2t.tracking import rough_tracks
from o2t_jax.geometry.camera import wrap_degrees
from o2t_jax.geometry.para import DIS, FUTURE, VIEW
from o2t_jax.render.scenes import RigScene
from o2t_jax.types import Renderer


class Flight(NamedTuple):
    """One contact-free flight: `moments` [M] (numbers in the survey), rough `positions` [M, 3] m, `radius` m.

    `patches` by (camera, moment), with the blob's centre (u, v) px in the full picture.
    """

    moments: tuple[int, ...]
    positions: np.ndarray
    radius: float
    patches: dict[tuple[int, int], tuple[Patch, tuple[float, float]]]


class Survey(NamedTuple):
    """One setup as a rig saw it: `times` [T] s of its moments, `cameras` [C], the `flights` found."""

    setup_seed: int
    times: np.ndarray
    cameras: tuple[Camera, ...]
    flights: tuple[Flight, ...]

    def para(self, camera: int, moment: int) -> np.ndarray:
        """PARA [6] in the world (s, m, m, m, deg, deg)."""
        view = self.cameras[camera]
        return np.array([self.times[moment], *view.position, *view.angles])


class FivePictures(NamedTuple):
    """A sample's five pictures: the number of each one's camera and moment; k and n in steps of dt; the mode."""

    cameras: tuple[int, ...]
    moments: tuple[int, ...]
    k: int
    n: int
    mode: int


def take_survey(
    renderer: Renderer, scene: RigScene, rng: np.random.Generator, config: FlightConfig, window_px: int
) -> Survey:
    """Draws a setup, places the rig, renders it and finds the contact-free flights, for windows of `window_px`."""
    setup_seed = int(rng.integers(2**31))
    positions, angles = scene.rig(rng)
    cameras = tuple(Camera.of(p, a, config.camera_size) for p, a in zip(positions, angles, strict=True))
    times = rng.uniform(0.0, config.survey_start) + np.arange(config.survey_times) * config.survey_spacing
    tracks = rough_tracks(renderer, setup_seed, times, cameras, config, window_px + 2 * config.window_jitter)
    flights = []
    for track in tracks:
        for run in free_segments(track, times, config):
            seen = [track.fixes[moment] for moment in run]
            patches = {
                (camera, moment): (blob.patch, blob.centre)
                for moment, fix in zip(run, seen, strict=True)
                for camera, blob in fix.blobs.items()
                if blob.patch is not None and _wanted(blob, config)
            }
            positions = np.stack([s.position for s in seen])
            flights.append(Flight(run, positions, track.radius, patches))
    return Survey(setup_seed, times, cameras, tuple(flights))


def draw_views(
    rng: np.random.Generator, survey: Survey, flight: Flight, mode: int, mix: ModeMix, config: FlightConfig
) -> FivePictures | None:
    """FivePictures of a sample of the given mode from a flight; None where it has none.

    Any two cameras that see the ball from different enough bearings may be the eyes. FUTURE follows the mix's range
    and distribution of n as far as the moments allow, and prefers a second pair amid a long flight.
    """
    eyes = _stereo_pairs(survey, flight, config)
    for choice in rng.permutation(len(eyes)):
        a, b = eyes[choice]
        both = [m for m in flight.moments if (a, m) in flight.patches and (b, m) in flight.patches]
        pairs = [
            (first, second)
            for first, second in itertools.combinations(both, 2)
            if config.k_min <= (second - first) * config.survey_stride <= config.k_max
        ]
        targets = _targets(flight, (a, b), pairs, mode, config)
        if not targets:
            continue
        weight = _weights(targets, mix, config) if mode == FUTURE else np.ones(len(targets))
        first, second, camera, moment = targets[int(rng.choice(len(targets), p=weight / weight.sum()))]
        k, n = ((m - first) * config.survey_stride for m in (second, moment))
        return FivePictures((a, b, a, b, camera), (first, first, second, second, moment), k, n, mode)
    return None


def window_corner(patch: Patch, centre: tuple[float, float], size: int, shift: Iterable[int]) -> tuple[int, int]:
    """Top left pixel (u0, v0), in the full picture, of the window of `size` px about `centre`, moved by `shift` px."""
    room = len(patch.picture) - size
    u0, v0 = (
        low + min(max(round(c - 0.5 * size) + int(s) - low, 0), room)
        for low, c, s in zip(patch.corner, centre, shift, strict=True)
    )
    return u0, v0


def window(patch: Patch, corner: tuple[int, int], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture and background uint8 [size, size, 3] of the window whose top left pixel is `corner`."""
    left, top = corner[0] - patch.corner[0], corner[1] - patch.corner[1]
    part = slice(top, top + size), slice(left, left + size)
    return patch.picture[part], patch.background[part]


def _wanted(blob: Detection, config: FlightConfig) -> bool:
    return blob.clean or not config.clean_windows


def _stereo_pairs(survey: Survey, flight: Flight, config: FlightConfig) -> list[tuple[int, int]]:
    """Ordered pairs of cameras whose bearings from the flight's middle differ enough, and not too much."""
    middle = flight.positions.mean(axis=0)
    away = np.stack([camera.position - middle for camera in survey.cameras])
    bearing = np.degrees(np.arctan2(away[:, 1], away[:, 0]))
    return [
        (a, b)
        for a, b in itertools.permutations(range(len(bearing)), 2)
        if config.min_turn <= abs(wrap_degrees(bearing[a] - bearing[b])) <= config.max_turn
    ]


def _targets(
    flight: Flight, eyes: tuple[int, int], pairs: list[tuple[int, int]], mode: int, config: FlightConfig
) -> list[tuple[int, int, int, int]]:
    """(first moment, second moment, target's camera, target's moment) of all samples with these eyes."""
    if mode == DIS:
        return [(first, second, eyes[0], first) for first, second in pairs]
    if mode == VIEW:
        return [
            (first, second, camera, first)
            for first, second in pairs
            for camera, moment in flight.patches
            if moment == first and camera not in eyes
        ]
    return [
        (first, second, camera, moment)
        for first, second in pairs
        for camera, moment in flight.patches
        if moment > second and (moment - first) * config.survey_stride <= config.n_max
    ]


def _weights(targets: list[tuple[int, int, int, int]], mix: ModeMix, config: FlightConfig) -> np.ndarray:
    """Weights of FUTURE samples: n within the mix's range or nearest to it; times the information on gravity,

    (k (n - k))^2: how well three moments determine a curvature, at equal noise.
    """
    first, second, _, moment = np.array(targets).T * config.survey_stride
    k, n = second - first, moment - first
    # A range that ends before the second pair counts from there, as in `ModeMix.draw_steps`.
    ahead = n - k if mix.n_high <= config.k_min else n
    outside = np.maximum(mix.n_low - ahead, 0) + np.maximum(ahead - mix.n_high, 0)
    weight = np.where(outside == outside.min(), (k * (n - k)) ** 2, 0).astype(np.float64)
    if mix.gaussian is not None:
        mean, deviation = mix.gaussian
        exponent = -0.5 * ((n - mean) / deviation) ** 2
        weight *= np.exp(exponent - exponent[weight > 0].max())
    return weight


__all__ = ["FivePictures", "Flight", "Survey", "draw_views", "take_survey", "window", "window_corner"]
