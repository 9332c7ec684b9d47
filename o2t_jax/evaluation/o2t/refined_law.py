"""The refined law: bundle adjustment of what a trained network measured, beside the law in its weights.

The network's mask tower and matting find the ball in every window of every contact-free flight (each camera, each
moment). The law and the balls' states are then fitted to those directions (`bundle_adjustment`). Training sees samples
of five pictures and stops before the optimum; this fit uses whole flights together and converges, with a covariance.
The result is a second estimate: it is reported beside the law in the weights, never in its place. It uses no truth.

The benchmark moves its balls by semi-implicit Euler steps of h = 0.5 ms. Between contacts that equals the exact motion
with v0 - g(z0) h / 2 in place of v0 (up to h^2). Every flight's velocity is an unknown of the fit, so the fitted law
does not depend on the integrator.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import special

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.batches import in_batches
from o2t_jax.evaluation.o2t.bundle_adjustment import Shared, TrackFit, Tracks, fit_tracks
from o2t_jax.evaluation.o2t.law_form import leads_beside, named
from o2t_jax.evaluation.o2t.sights import BallRays, FlightPictures, Sightings, SightsBalls, SurveyWindows
from o2t_jax.geometry.camera import Intrinsics, intrinsics_for, project, world_to_camera
from o2t_jax.physics.forces import NONE

# A sighting farther than this from the ball's rough position is of something else.
GATE_PX = 4.0
# Pictures beyond this many deviations (of one axis) are wrong: one good picture in 3000 (Rayleigh).
TRIM_SIGMAS = 4.0
_HUBER_SIGMAS, _HUBER_ROUNDS, _TRIM_ROUNDS = 2.0, 5, 10
# A flight that loses a larger share of its pictures has touched something: the rest of its pictures mislead too.
_MOST_LOST = 0.4
# Of `Shared.share`: a smaller one changes next to nothing.
_LEAST_SHARE = 0.01
_MIN_PICTURES, _MIN_MOMENTS, _MIN_CAMERAS = 4, 3, 2
_RAYLEIGH_MEDIAN = float(np.sqrt(2.0 * np.log(2.0)))


class Paths(NamedTuple):
    """The F flights that a fit used.

    `flight` [F], their numbers; `states` [F, 6] at `epoch` [F] s; `first`, `last` [F] s of the pictures used of each.
    """

    flight: np.ndarray
    states: np.ndarray
    epoch: np.ndarray
    first: np.ndarray
    last: np.ndarray


class Refined(NamedTuple):
    """A law fitted to sightings. `covariance`, `half_width` at `level`: the wider of two, see `refine`."""

    fit: TrackFit
    covariance: np.ndarray  # [2, 2] of (g0, alpha)
    half_width: np.ndarray  # [2]
    level: float
    flights: int  # used
    pictures: int
    flights_found: int  # by the survey
    pictures_found: int
    heights: tuple[float, float]  # m, lowest and highest place of a ball in the pictures used
    noise_mm: float  # what the noise is at a ball, typically
    paths: Paths
    form_leads: dict[str, float]  # `law_form.leads`, of the pictures used; empty where too few for other forms

    def record(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {
            "g0": float(self.fit.values[0]),
            "alpha": float(self.fit.values[1]),
            "half_width": self.half_width.tolist(),
            "level": self.level,
            "covariance": self.covariance.tolist(),
            "noise_px": self.fit.noise,
            "noise_mm": self.noise_mm,
            "flights": self.flights,
            "pictures": self.pictures,
            "flights_found": self.flights_found,
            "pictures_found": self.pictures_found,
            "heights": list(self.heights),
            "converged": self.fit.converged,
            "form": named(self.form_leads) if self.form_leads else None,
            "form_leads": self.form_leads,
        }


def refine_survey(network: SightsBalls, windows: SurveyWindows, camera_size: int) -> Refined:
    """The refined law of a trained network, from a survey's windows of pictures of `camera_size` px a side.

    Raises: UsageError where the network sees the ball in too few of them.
    """
    sightings = measure_sightings(network, windows, camera_size)
    return refine(windows, sightings, intrinsics_for(camera_size, camera_size))


def measure_sightings(network: SightsBalls, windows: SurveyWindows, camera_size: int, batch: int = 64) -> Sightings:
    """Where the network sees the ball in a survey's windows, `batch` of them at a time."""
    # In the camera's own frame: turning into the world and back would cost float32 digits.
    para = np.zeros((batch, 1, 6), np.float32)

    def sight(rows: np.ndarray) -> BallRays:
        return network.sight(windows.pictures[rows, None], para, windows.window[rows, None].astype(np.float32))

    count = len(windows.pictures)
    found = in_batches(sight, count, batch)
    direction = found.direction[:, 0].astype(np.float64)
    intrinsics = intrinsics_for(camera_size, camera_size)
    pixels, _ = project(direction, np.zeros(3), world_to_camera(np.zeros(count), np.zeros(count)), intrinsics)
    return Sightings(pixels, found.seen[:, 0])


def refine(
    windows: FlightPictures,
    sightings: Sightings,
    intrinsics: Intrinsics,
    *,
    level: float = 0.95,
    gate_px: float = GATE_PX,
    camera_errors: bool = False,
) -> Refined:
    """Fits g0 + alpha / (z + 10) to sightings by bundle adjustment, leaving out the wrong ones.

    Args:
      windows: the pictures that `sightings` were measured in.
      intrinsics: of the full pictures.
      level: probability of the intervals.
      gate_px: a sighting farther than this from the picture's `position` is dropped.
      camera_errors: the pictures of one flight by one camera may share an error, whose size is estimated too.
    The fit starts with Huber's weights. Then pictures with residuals beyond `TRIM_SIGMAS` are dropped until there are
    none, and so are flights that lost too large a share of their pictures or keep too few.
    The intervals come from the wider of two covariances. One assumes that the noise of all pixels is independent. The
    other is estimated from the scatter of the flights' influence on the law (sandwich estimator, Student's t), so it
    includes errors shared by a flight's pictures. Neither includes an error shared by all flights.
    Raises: UsageError where too few sightings are left.
    """
    keep = sightings.seen & np.all(np.isfinite(sightings.pixels), axis=-1)
    expected, _ = project(
        windows.position, windows.para[:, 1:4], world_to_camera(windows.para[:, 4], windows.para[:, 5]), intrinsics
    )
    with np.errstate(invalid="ignore"):
        keep &= np.linalg.norm(sightings.pixels - expected, axis=-1) < gate_px
    tracks, rows = as_tracks(windows, sightings.pixels, keep)
    found = len(np.unique(windows.flight)), len(windows.flight)
    valid = enough(rows >= 0, np.sum(rows >= 0, axis=1), tracks)
    group = np.arange(rows.shape[1]) % (int(windows.camera.max()) + 1) if camera_errors else None
    fit, valid, common = trimmed_fit(tracks, intrinsics, valid, level, found, group)
    flights = int(np.sum(valid.any(axis=1)))
    covariance, half_width = fit.covariance, fit.half_width
    shared = fit.influence.T @ fit.influence * flights / max(flights - 2, 1)
    if shared[1, 1] > covariance[1, 1] and flights > 2:
        covariance = shared
        half_width = special.stdtrit(flights - 2, 0.5 * (1.0 + level)) * np.sqrt(np.diag(shared))
    used = rows[valid]
    heights = windows.position[used, 2]
    span = float(heights.min()), float(heights.max())
    distance = np.linalg.norm(windows.position[used] - windows.para[used, 1:4], axis=-1)
    noise_mm = 1e3 * fit.noise * float(np.median(distance)) / intrinsics.focal
    pictures, paths = int(valid.sum()), _paths(windows, tracks, rows, valid, fit)
    ahead = leads_beside(tracks, intrinsics, fit, weights=valid, shared=common)
    return Refined(fit, covariance, half_width, level, flights, pictures, *found, span, noise_mm, paths, ahead)


def _paths(windows: FlightPictures, tracks: Tracks, rows: np.ndarray, valid: np.ndarray, fit: TrackFit) -> Paths:
    line = np.flatnonzero(valid.any(axis=1))
    times, valid = tracks.times[line], valid[line]
    first, last = np.where(valid, times, np.inf).min(axis=1), np.where(valid, times, -np.inf).max(axis=1)
    return Paths(windows.flight[rows[line].max(axis=1)], fit.states[line], times[:, 0], first, last)


def as_tracks(windows: FlightPictures, pixels: np.ndarray, keep: np.ndarray) -> tuple[Tracks, np.ndarray]:
    """The flights' kept pictures, one row a flight, and the windows' numbers [S, P] (-1: no such picture).

    P is moments x cameras, so that all flights are at their n-th moment in the same columns: `fly` steps once for each.
    """
    flights, line = np.unique(windows.flight[keep], return_inverse=True)
    rows = np.flatnonzero(keep)
    count, cameras = len(flights), int(windows.camera.max()) + 1
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, line, windows.moment[rows])
    moment = windows.moment[rows] - first[line]
    numbers = np.full((count, int(moment.max(initial=-1)) + 1, cameras), -1)
    numbers[line, moment, windows.camera[rows]] = rows
    flat = numbers.reshape(count, numbers.shape[1] * cameras)
    # A missing picture repeats another of the flight, with weight 0, at the time of its moment or of the one before.
    any_row = flat.max(axis=1, initial=-1)[:, None]
    para = windows.para[np.where(flat >= 0, flat, any_row)]
    times = np.where(numbers >= 0, windows.para[numbers, 0], -np.inf).max(axis=2)
    times = np.repeat(np.maximum.accumulate(times, axis=1), cameras, axis=1)
    pixels = pixels[np.where(flat >= 0, flat, any_row)]
    return Tracks(pixels, times, para[..., 1:4], para[..., 4], para[..., 5]), flat


def trimmed_fit(
    tracks: Tracks,
    intrinsics: Intrinsics,
    valid: np.ndarray,
    level: float,
    found: tuple[int, int],
    group: np.ndarray | None = None,
    form: str = "hyperbolic",
    force: str = NONE.name,
    sigmas: float = TRIM_SIGMAS,
) -> tuple[TrackFit, np.ndarray, Shared | None]:
    """The fit, which of the pictures `valid` [S, P] it used and what error they share.

    Args: `group` [P] of pictures that share an error, None: they do not; `found` flights and pictures, for the message;
    `sigmas`, deviations beyond which a picture is wrong.
    Raises: UsageError where too few are left.
    """
    given, shared = valid.sum(axis=1), None
    try:
        fit = fit_tracks(tracks, intrinsics, form, force=force, weights=valid, level=level)
        for _ in range(_HUBER_ROUNDS):
            size = np.linalg.norm(fit.residual, axis=-1)
            bound = _HUBER_SIGMAS * _scale(size, valid)
            weights = valid * np.minimum(1.0, bound / np.maximum(size, 1e-12))
            start = fit.states, fit.values
            fit = fit_tracks(
                tracks, intrinsics, form, force=force, weights=weights, start=start, shared=shared, max_rounds=4
            )
            shared = _shared(fit, valid, group, shared)
        used = shared
        for _ in range(_TRIM_ROUNDS):
            size = np.linalg.norm(fit.residual, axis=-1)
            # The residuals of exact directions are rounding errors: none of them is wrong.
            good = valid & (size < sigmas * max(_scale(size, valid), 1e-6))
            kept = enough(good, given, tracks)
            start = fit.states, fit.values
            fit = fit_tracks(
                tracks, intrinsics, form, force=force, weights=kept, start=start, shared=shared, level=level
            )
            used = shared
            if np.array_equal(kept, valid):
                break
            valid, shared = kept, _shared(fit, kept, group, shared)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise UsageError(
            f"of {found[0]} flights in {found[1]} windows the network sees the ball in too few to fit a law "
            f"({int(valid.sum())} sightings left): train longer, or give more setups"
        ) from error
    return fit, valid, used


def _shared(fit: TrackFit, valid: np.ndarray, group: np.ndarray | None, before: Shared | None) -> Shared | None:
    """How much of the error the pictures of a group have in common, from the residuals of a fit with `before`.

    Of six unknowns a flight, the velocity uses up degrees of freedom within groups, the position those between groups.
    """
    if group is None:
        return None
    used = valid.any(axis=1)
    inner = outer = -3.0 * used.sum()  # degrees of freedom
    within = between = count = 0.0
    for number in np.unique(group):
        weight = (valid & (group == number))[..., None]
        pictures = weight.sum(axis=1)
        mean = (weight * fit.residual).sum(axis=1) / np.maximum(pictures, 1)
        within += float(np.sum(weight * (fit.residual - mean[:, None]) ** 2))
        between += float(np.sum(mean**2))
        inner += 2.0 * np.sum(np.maximum(pictures - 1, 0))
        outer += 2.0 * np.sum(pictures > 0)
        count += float(np.sum(pictures > 0))
    mean_square = between / max(outer, 1.0) / (before.share**2 if before else 1.0)
    ratio = within / max(inner, 1.0) / max(valid.sum() / max(count, 1.0) * mean_square, 1e-18)
    return Shared(group, float(np.clip(np.sqrt(ratio), _LEAST_SHARE, 1.0)))


def enough(good: np.ndarray, given: np.ndarray, tracks: Tracks) -> np.ndarray:
    """`good` [S, P] without the flights that keep too few of their pictures, `given` [S] at first.

    With one camera the distance of a ball follows from its fall alone: such a fit may diverge.
    """
    moments = np.array([len(np.unique(t[g])) for t, g in zip(tracks.times, good, strict=True)])
    eyes = np.array([len(np.unique(p[g], axis=0)) for p, g in zip(tracks.position, good, strict=True)])
    count = good.sum(axis=1)
    enough = (count >= _MIN_PICTURES) & (moments >= _MIN_MOMENTS) & (eyes >= _MIN_CAMERAS)
    enough &= count >= (1.0 - _MOST_LOST) * given
    return good & enough[:, None]


def _scale(size: np.ndarray, valid: np.ndarray) -> float:
    """Deviation of one axis (px) from the median length of the residuals, which six unknowns a flight make smaller."""
    used = valid.any(axis=1)
    pixels = 2.0 * valid.sum()
    freedom = max(pixels - 6.0 * used.sum(), 1.0)
    return float(np.median(size[valid])) / _RAYLEIGH_MEDIAN * float(np.sqrt(pixels / freedom))


__all__ = [
    "Paths",
    "Refined",
    "as_tracks",
    "enough",
    "measure_sightings",
    "refine",
    "refine_survey",
    "trimmed_fit",
]
