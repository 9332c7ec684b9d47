"""Where a track is free flight: the longest runs of moments without a contact.

Two named priors, and no number of the law: the ground is the plane z = 0, and in free flight only the height is
accelerated, downwards and nearly evenly: horizontal places are linear in time, the height is like a parabola whose
curvature is free (any strength of gravity passes) but alike over the flight, to `CURVATURE_SPREAD` and noise. g(z) =
g0 + alpha / (z + 10) with |alpha| = 10 changes by 8% over 20 m.

Why no contact slips through: a bounce off the ground moves all later moments off the old path, by at least twice the
height of the ball's bottom at the first of them. A run is kept only where that, at either end, is more than what
its second differences may differ by. Hops so low that several fit between the moments could pass for a slower flight:
the bottom must be `min_height` above the ground somewhere. A ball that rolls on a ramp is accelerated sideways at least
0.8 times as much as downwards (slopes up to 50 deg). A bounce off a ramp within some ms of a run's end is not seen:
nothing tells how high the ramp is, but then it hardly moves the last moment either.
"""

from __future__ import annotations

import numpy as np

from o2t_jax.data.o2t.flight_config import FlightConfig
from o2t_jax.data.o2t.tracking import Track

CURVATURE_SPREAD = 0.15
# In free flight horizontal acceleration is noise; a ball that rolls on a ramp shows more than this share of the fall's.
SIDEWAYS_SHARE = 0.2
_SIGMAS = 4.0
# Radii within a flight may differ by this share; more is a blob that is not what it seems.
_SAME_RADIUS = 0.1
_MAX_GAP = 2


def free_segments(track: Track, times: np.ndarray, config: FlightConfig) -> list[tuple[int, ...]]:
    """The moments' numbers of each contact-free flight of a track, longest first, disjoint; `times` [T] s."""
    moments = sorted(track.fixes)
    found: list[tuple[int, ...]] = []
    for count in range(len(moments), config.min_times - 1, -1):
        for start in range(len(moments) - count + 1):
            run = tuple(moments[start : start + count])
            if any(set(run) & set(other) for other in found):
                continue
            if is_free_flight(track, run, times, config):
                found.append(run)
    return found


def is_free_flight(track: Track, run: tuple[int, ...], times: np.ndarray, config: FlightConfig) -> bool:
    """Whether the track's moments `run` are one contact-free flight; see the module's docstring."""
    t = times[list(run)]
    if t[-1] - t[0] < config.min_span - 1e-9 or max(np.diff(run)) > _MAX_GAP:
        return False
    fixes = [track.fixes[moment] for moment in run]
    position = np.stack([s.position for s in fixes])
    sigma = np.array([s.sigma for s in fixes])
    radius = np.array([s.radius for s in fixes])
    middle = float(np.median(radius))
    bottom = position[:, 2] - middle
    if (np.abs(radius - middle) > _SAME_RADIUS * middle + 3.0 * sigma).any() or bottom.min() <= config.clearance:
        return False
    if bottom.max() < config.min_height:
        return False
    return _horizontal_is_free(t, position, sigma) and _height_is_free(t, position[:, 2], sigma, bottom)


def _horizontal_is_free(t: np.ndarray, position: np.ndarray, sigma: np.ndarray) -> bool:
    """Linear in x and y, and no acceleration there beside the vertical one, which points down and stands out."""
    noise = float(np.sqrt(np.mean(sigma**2)))
    line = np.vander(t - t.mean(), 2)
    rest = position[:, :2] - line @ np.linalg.lstsq(line, position[:, :2], rcond=None)[0]
    if np.abs(rest).max() > max(_SIGMAS * noise, 0.02):
        return False
    parabola = np.vander(t - t.mean(), 3)
    inverse = np.linalg.pinv(parabola)
    acceleration, error = 2.0 * (inverse @ position)[0], 2.0 * noise * float(np.linalg.norm(inverse[0]))
    fall, sideways = -acceleration[2], float(np.hypot(*acceleration[:2]))
    return bool(fall > _SIGMAS * error and sideways < SIDEWAYS_SHARE * fall + _SIGMAS * error)


def _height_is_free(t: np.ndarray, z: np.ndarray, sigma: np.ndarray, bottom: np.ndarray) -> bool:
    """All second differences of the height point down and are alike, closely enough that a contact would show."""
    before, after = np.diff(t)[:-1], np.diff(t)[1:]
    weight = np.stack([1.0 / before, -(1.0 / before + 1.0 / after), 1.0 / after]) * (2.0 / (before + after))
    fall = -(weight[0] * z[:-2] + weight[1] * z[1:-1] + weight[2] * z[2:])
    error = np.sqrt((weight[0] * sigma[:-2]) ** 2 + (weight[1] * sigma[1:-1]) ** 2 + (weight[2] * sigma[2:]) ** 2)
    # Neighbouring second differences share two moments with opposite signs: their difference is noisier than if not.
    allowed = CURVATURE_SPREAD * abs(float(np.median(fall))) + _SIGMAS * 1.2 * np.sqrt(2.0) * float(error.max())
    if fall.min() <= 0.0 or np.ptp(fall) > allowed:
        return False
    contact = 2.0 * min(bottom[0] * weight[0, 0], bottom[-1] * weight[2, -1])
    return bool(contact > allowed)


__all__ = ["CURVATURE_SPREAD", "SIDEWAYS_SHARE", "free_segments", "is_free_flight"]
