"""The law from measured tracks, with intervals: bundle adjustment, every ball's state unknown beside the law.

A track is one ball's contact-free flight seen in a few pictures: pixels, times, cameras. A fit of the law to
triangulated states would mistake their noise for motion (errors in variables bias g low). Here the states are unknowns
too, so the fit is maximum likelihood under pixel noise. The law's covariance is the inverse of the normal matrix after
elimination of the states (Schur complement). `Places` are tracks in space, with no camera; the same fit serves both.
Beside g(z) a force of the velocity (`physics.forces`) can be fitted: its parameters follow the law's.
Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., A6.3 (sparse least squares).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from o2t_jax.evaluation.o2t.law import FORMS
from o2t_jax.evaluation.o2t.schur import gauss_newton
from o2t_jax.geometry.camera import Intrinsics, pixel_directions, project, world_to_camera
from o2t_jax.physics.forces import FORCES, NONE, Vector
from o2t_jax.physics.gravity import LAWS
from o2t_jax.physics.integrators import rkn4_step, rkn4_vector_step

STATE = 6  # position (x, y, z) in m and velocity in m/s at the track's first time
FLIGHT_STEPS = 8  # of fourth order between two pictures: 1e-8 m for the laws of `FORMS` over a second
_STATE_STEP, _LAW_STEP = 1e-4, 1e-3  # of the central differences, whose error is of order step^2
_MIN_SHARE = 0.1


class Tracks(NamedTuple):
    """S tracks of up to P pictures each, at times that do not fall; several cameras may see one moment.

    `pixels` [S, P, 2] (u, v); `times` [S, P] s; the cameras' `position` [S, P, 3] m, `azimuth`, `elevation` [S, P] deg.
    A shorter track repeats its last picture, with weight 0 (`fit_tracks`).
    """

    pixels: np.ndarray
    times: np.ndarray
    position: np.ndarray
    azimuth: np.ndarray
    elevation: np.ndarray


class Places(NamedTuple):
    """S tracks measured in space: `points` [S, P, 3] m, with noise alike in all directions; `times` [S, P] s."""

    points: np.ndarray
    times: np.ndarray


class TrackFit(NamedTuple):
    """A law fitted to tracks. `half_width` is that of the intervals at `level`; `noise` of one axis, in px.

    Of `Places` the noise and the residuals are in m.
    """

    form: str
    values: np.ndarray  # [P]
    covariance: np.ndarray  # [P, P]
    half_width: np.ndarray  # [P]
    level: float
    noise: float
    squared_sum: float  # px^2, of all residuals
    freedom: int  # residuals less unknowns
    states: np.ndarray  # [S, 6]
    converged: bool
    residual: np.ndarray  # [S, P, 2] px, measured less predicted; a shared error is scaled by `Shared.share`
    influence: np.ndarray  # [S, L]: how far each track pulls the law; its sum over the tracks is zero
    force: str = NONE.name

    @property
    def names(self) -> tuple[str, ...]:
        """Of `values`: the law's parameters, then the force's."""
        return LAWS[self.form].names + FORCES[self.force].names


class Shared(NamedTuple):
    """Errors that pictures of a track have in common: `group` [P] of each picture, and `share` in 0..1.

    A group's pictures have an error of their own, deviation s, and a common one, deviation t, in either axis. Then
    x - (1 - share) mean(x), share = s / sqrt(s^2 + n t^2) with n pictures to a group, is white with deviation s: least
    squares of that is the best linear estimate (generalised least squares). `share` 1: nothing is common.
    """

    group: np.ndarray
    share: float


def fly(states: np.ndarray, form: str, values: np.ndarray, times: np.ndarray, force: str = NONE.name) -> np.ndarray:
    """Positions [S, P, 3] m at `times` [S, P] s, not falling, of `states` [S, 6] at each row's first time.

    `values`: the parameters of the law and of the force, [L] or [L, S].
    """
    if force != NONE.name:
        return _fly_forced(states, form, values, times, force)
    law = LAWS[form]
    elapsed = times - times[:, :1]
    z, v = states[:, 2], states[:, 5]
    heights = [z]
    for picture in range(1, times.shape[1]):
        h = (times[:, picture] - times[:, picture - 1]) / FLIGHT_STEPS
        for _ in range(FLIGHT_STEPS if np.any(h > 0) else 0):
            # A wild first guess may dive below the law's pole; it need only be finite there.
            z, v = rkn4_step(lambda x: law.g(np.maximum(x, law.z_min + 1.0), values), z, v, h)
        heights.append(z)
    level = states[:, None, :2] + states[:, None, 3:5] * elapsed[..., None]
    return np.concatenate([level, np.stack(heights, axis=1)[..., None]], axis=-1)


def _fly_forced(states: np.ndarray, form: str, values: np.ndarray, times: np.ndarray, force: str) -> np.ndarray:
    law, kind, own = LAWS[form], FORCES[force], len(LAWS[form].names)

    def pull(x: Vector, v: Vector) -> Vector:
        ax, ay, az = kind.acceleration(v, values[own:])
        return ax, ay, az - law.g(np.maximum(x[2], law.z_min + 1.0), values[:own])

    x, v = (tuple(np.moveaxis(half, -1, 0)) for half in (states[:, :3], states[:, 3:]))
    places = [states[:, :3]]
    for picture in range(1, times.shape[1]):
        h = (times[:, picture] - times[:, picture - 1]) / FLIGHT_STEPS
        for _ in range(FLIGHT_STEPS if np.any(h > 0) else 0):
            x, v = rkn4_vector_step(pull, x, v, h)
        places.append(np.stack(x, axis=-1))
    return np.stack(places, axis=1)


def fit_tracks(
    tracks: Tracks | Places,
    intrinsics: Intrinsics | None = None,
    form: str = "hyperbolic",
    *,
    force: str = NONE.name,
    weights: np.ndarray | None = None,
    start: tuple[np.ndarray, np.ndarray] | None = None,
    noise: float | None = None,
    shared: Shared | None = None,
    level: float = 0.95,
    max_rounds: int = 30,
) -> TrackFit:
    """Fits a law of `evaluation.o2t.law.FORMS`, and a force of `physics.forces.FORCES`, to tracks by Gauss-Newton.

    Args:
      intrinsics: of the pictures; None for `Places`.
      weights: [S, P] of the pictures' squared residuals; 0 is no picture. All alike where None.
      start: states [S, 6] and law [L] to start from, such as those of an earlier fit; None finds them.
      noise: standard deviation of a coordinate; None estimates it from the residuals (Student's t then).
      shared: errors that pictures of a track have in common; None where there are none.
    Raises: ValueError where there are not more measurements than unknowns.
    """
    if form not in FORMS:
        raise ValueError(f"form {form!r} is none of {', '.join(FORMS)}")
    shape = tracks.times.shape
    weights = np.ones(shape) if weights is None else np.asarray(weights, np.float64)
    num_params = len(LAWS[form].names) + len(FORCES[force].names)
    axes = 3 if isinstance(tracks, Places) else 2
    model = TrackModel(tracks, intrinsics, form, force)
    # A track of three pictures or fewer determines its own state at most, and nothing of the law.
    seen = np.sum(weights > 0, axis=1)
    freedom = int(np.sum(np.maximum(axes * seen - STATE, 0))) - num_params
    if freedom < 1:
        raise ValueError(f"{shape[0]} tracks of {shape[1]} pictures cannot fix {STATE} unknowns each and {form}")

    def white(rows: np.ndarray) -> np.ndarray:
        """Of [S, axes P] or [S, axes P, K]."""
        root = np.sqrt(weights).repeat(axes, axis=1).reshape(rows.shape[:2] + (1,) * (rows.ndim - 2))
        return root * _less_shared(rows, weights, shared)

    states, values = start or (model.first_states(weights), np.zeros(num_params))
    states, values, residual, converged = _minimised(model, white, states, values, max_rounds)
    squares = float(np.sum(residual**2))
    by_state, by_law = (white(j) for j in model.jacobians(states, values))
    _, _, normal, pull = gauss_newton(residual, by_state, by_law)
    sigma = np.sqrt(squares / freedom) if noise is None else noise
    tail = 0.5 * (1.0 + level)
    quantile = special.stdtrit(freedom, tail) if noise is None else special.ndtri(tail)
    inverse = np.linalg.inv(normal)
    covariance = sigma**2 * inverse
    half_width = quantile * np.sqrt(np.diag(covariance))
    numbers = float(sigma), squares, freedom
    plain = _less_shared(model.residual(states, values), weights, shared).reshape(*shape, axes)
    influence = pull @ inverse
    return TrackFit(form, values, covariance, half_width, level, *numbers, states, converged, plain, influence, force)


def _minimised(
    model: TrackModel,
    white: Callable[[np.ndarray], np.ndarray],
    states: np.ndarray,
    values: np.ndarray,
    max_rounds: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """States, law, whitened residual, and whether it ended by itself: Gauss-Newton with halved steps."""
    residual, converged = white(model.residual(states, values)), False
    for _ in range(max_rounds):
        by_state, by_law = (white(j) for j in model.jacobians(states, values))
        state_step, law_step, _, _ = gauss_newton(residual, by_state, by_law)
        share, previous = 1.0, float(np.sum(residual**2))
        while True:
            moved = states + share * state_step, values + share * law_step
            residual = white(model.residual(*moved))
            squares = float(np.sum(residual**2))
            if squares <= previous * (1 + 1e-9) or share < _MIN_SHARE:
                break
            share *= 0.5
        states, values = moved
        converged = previous - squares <= 1e-8 * (squares + 1e-12) and bool(np.all(np.abs(law_step) < 1e-4))
        if converged:
            break
    return states, values, residual, converged


def first_states(tracks: Tracks, intrinsics: Intrinsics, weights: np.ndarray) -> np.ndarray:
    """States [S, 6] to start from: of all pictures' rays at once, under one gravity common to all tracks.

    A point on a ray has no part across it: (1 - d d') (x + v t - g t^2 / 2 - camera) = 0, linear in x, v and g.
    """
    rays = pixel_directions(tracks.pixels, world_to_camera(tracks.azimuth, tracks.elevation), intrinsics)
    across = np.eye(3) - rays[..., :, None] * rays[..., None, :]  # [S, P, 3, 3]
    elapsed = (tracks.times - tracks.times[:, :1])[..., None, None]
    by_state = np.concatenate([across, across * elapsed], axis=-1)
    by_law = -0.5 * elapsed * elapsed * across[..., 2:]
    origin = np.einsum("spij,spj->spi", across, tracks.position)
    count, pictures = weights.shape
    distance = np.ones((count, pictures))
    states = np.zeros((count, STATE))
    for _ in range(2):  # once more weighed by distance: noise counts in angle
        root = (np.sqrt(weights) / distance)[..., None]
        rows = (root * origin).reshape(count, -1)
        jacobians = [(root[..., None] * j).reshape(count, 3 * pictures, -1) for j in (by_state, by_law)]
        states, law, _, _ = gauss_newton(rows, *jacobians)
        points = fly(states, "constant", law, tracks.times)
        distance = np.maximum(np.linalg.norm(points - tracks.position, axis=-1), 1.0)
    return states


def first_states_of_places(tracks: Places, weights: np.ndarray) -> np.ndarray:
    """States [S, 6] to start from: parabolas under one gravity common to all tracks."""
    count = len(tracks.times)
    elapsed = (tracks.times - tracks.times[:, :1])[..., None, None]
    identity = np.broadcast_to(np.eye(3), (*tracks.times.shape, 3, 3))
    root = np.sqrt(weights)[..., None, None]
    by_state = root * np.concatenate([identity, identity * elapsed], axis=-1)
    by_law = root * -0.5 * elapsed * elapsed * identity[..., 2:]
    rows = (root[..., 0] * tracks.points).reshape(count, -1)
    return gauss_newton(rows, by_state.reshape(count, -1, STATE), by_law.reshape(count, -1, 1))[0]


class TrackModel(NamedTuple):
    """What is predicted of `tracks`."""

    tracks: Tracks | Places
    intrinsics: Intrinsics | None
    form: str
    force: str

    def first_states(self, weights: np.ndarray) -> np.ndarray:
        """States [S, 6] to start from."""
        if isinstance(self.tracks, Places):
            return first_states_of_places(self.tracks, weights)
        assert self.intrinsics is not None
        return first_states(self.tracks, self.intrinsics, weights)

    def residual(self, states: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Measured less predicted, [S, axes P]."""
        tracks = self.tracks
        points = fly(states, self.form, values, tracks.times, self.force)
        if isinstance(tracks, Places):
            return (tracks.points - points).reshape(len(states), -1)
        assert self.intrinsics is not None
        rotation = world_to_camera(tracks.azimuth, tracks.elevation)
        seen, _ = project(points, tracks.position, rotation, self.intrinsics)
        return (tracks.pixels - seen).reshape(len(states), -1)

    def jacobians(self, states: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of the prediction [S, axes P]: by the track's state [S, axes P, 6], by the law [S, axes P, L]."""
        sizes = np.array([_STATE_STEP] * STATE + [_LAW_STEP] * len(values))
        count, unknowns = len(states), len(sizes)
        steps = np.concatenate([np.diag(sizes), -np.diag(sizes)])
        # One call for the copies of all unknowns and signs: numpy's cost is in the number of calls.
        moved = (states + steps[:, None, :STATE]).reshape(-1, STATE)
        laws = (values + steps[:, STATE:]).repeat(count, axis=0).T
        copied = (np.tile(field, (2 * unknowns,) + (1,) * (field.ndim - 1)) for field in self.tracks)
        copies = self._replace(tracks=type(self.tracks)(*copied))
        residual = copies.residual(moved, laws).reshape(2, unknowns, count, -1)
        slopes = np.moveaxis((residual[1] - residual[0]) / (2.0 * sizes[:, None, None]), 0, -1)
        return slopes[..., :STATE], slopes[..., STATE:]


def _less_shared(rows: np.ndarray, weights: np.ndarray, shared: Shared | None) -> np.ndarray:
    """`rows` [S, 2P, ...] whitened for `shared` errors, with means weighted by `weights` [S, P]."""
    if shared is None or shared.share == 1.0:
        return rows
    shape, rows = rows.shape, rows.reshape(*weights.shape, 2, -1).copy()
    for group in np.unique(shared.group):
        columns = shared.group == group
        weight = weights[:, columns, None, None]
        mean = (weight * rows[:, columns]).sum(axis=1, keepdims=True) / np.maximum(weight.sum(axis=1), 1e-12)[:, None]
        rows[:, columns] -= (1.0 - shared.share) * mean
    return rows.reshape(shape)
