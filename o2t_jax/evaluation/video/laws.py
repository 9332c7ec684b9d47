"""The law that dreamt pictures obey: a clip's own constant, measured on the object's track, beside the true one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float
from scipy import signal

from o2t_jax.evaluation.dynamics import objects
from o2t_jax.physics.video.swings import Pendulum, SpringMass

Places = Float[np.ndarray, "clips frames 2"]  # px of 64, y up
Tracks = Float[np.ndarray, "clips frames"]
Clips = Float[np.ndarray, " clips"]
Pictures = Float[np.ndarray, "clips frames height width"]
_SWING = 4.0  # px, root mean square: nearer to its rest a swing is not pulled and says nothing about its period
LAG = 4  # frames between the places of a second difference: over one frame it would be mostly noise
_FREE = 1e-2  # px/frame²: a ball whose acceleration differs by more from the clip's gravity has met a wall


@dataclasses.dataclass(frozen=True)
class Law:
    """How a set's constant shows.

    Attributes: `quantity` and its `unit`; `measured`, places -> the quantity of each clip, NaN where there is none;
    `of_constant`, the clip's constant -> the quantity; `usable`, which true tracks can show it.
    """

    quantity: str
    unit: str
    measured: Callable[[Places], Clips]
    of_constant: Callable[[Clips], Clips]
    usable: Callable[[Places, Clips], Bool[np.ndarray, " clips"]]


def angular_rate(angle: Tracks, pull: Tracks, friction: float = 0.0, lag: int = LAG) -> Clips:
    """w of angle'' = -w² pull - friction angle', rad/frame, from second differences of `angle` over `lag` frames.

    NaN where w² < 0.

    A second difference over `lag` frames is the sum of those over one frame, weighted by a triangle; each of these is
    the acceleration's mean by Numerov's weights 1/12, 10/12, 1/12, with an error of the sixth order.
    """
    second = _second(angle, lag) + 0.5 * friction * lag * (angle[:, 2 * lag :] - angle[:, : -2 * lag])
    weights = np.convolve(lag - np.abs(np.arange(1 - lag, lag)), [1 / 12, 10 / 12, 1 / 12])
    pulled = signal.convolve(pull, weights[None], "valid")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(-np.sum(second * pulled, axis=1) / np.sum(np.square(pulled), axis=1))


def acceleration(track: Tracks, lag: int = LAG) -> Clips:
    """Mean second difference over `lag` frames, px/frame²."""
    return np.mean(_second(track, lag), axis=1) / lag**2


def places_in(
    pictures: Pictures, background: Float[np.ndarray, "height width"], threshold: float, scale: Float[np.ndarray, "3 2"]
) -> Places:
    """Places of the object, px of 64: the centroid under the map `scale` (`calibration`). NaN where there is none."""
    found = objects.centroids(pictures[..., None], background[..., None], threshold)
    return found @ scale[:2] + scale[2]


def calibration(
    pictures: Pictures, background: Float[np.ndarray, "height width"], threshold: float, places: Places
) -> Float[np.ndarray, "3 2"]:
    """The affine map from centroids to places: a rod or a spring is part of the centroid, and follows the bob."""
    found = objects.centroids(pictures[..., None], background[..., None], threshold).reshape(-1, 2)
    known = np.isfinite(found).all(axis=1)
    rows = np.concatenate([found[known], np.ones((int(known.sum()), 1))], axis=1)
    return np.linalg.lstsq(rows, places.reshape(-1, 2)[known], rcond=None)[0]


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Measured against true values over clips.

    Attributes: `slope` and squared correlation `r_squared` of the line of measured over true values; `error`, median
    relative error; `share` of the usable clips in which the quantity could be measured.
    """

    slope: float
    r_squared: float
    error: float
    share: float


def agreement(measured: Clips, truth: Clips) -> Agreement:
    """Of the clips with a measured value; NaN where fewer than three have one."""
    known = np.isfinite(measured)
    share = float(np.mean(known)) if len(known) else 0.0
    if np.count_nonzero(known) < 3:
        return Agreement(float("nan"), float("nan"), float("nan"), share)
    ours, real = measured[known], truth[known]
    error = float(np.median(np.abs(ours / real - 1.0)))
    apart = real - np.mean(real)
    slope = float(np.sum(apart * ours) / np.sum(np.square(apart)))
    spread = float(np.sum(np.square(ours - np.mean(ours))))
    fitted = slope**2 * float(np.sum(np.square(apart)))
    return Agreement(slope, fitted / spread if spread > 1e-12 else 0.0, error, share)


def _second(track: Tracks, lag: int) -> Tracks:
    return track[:, 2 * lag :] - 2.0 * track[:, lag:-lag] + track[:, : -2 * lag]


def _swings(offset: Tracks) -> Bool[np.ndarray, " clips"]:
    return np.sqrt(np.mean(np.square(offset[:, LAG:-LAG]), axis=1)) >= _SWING


def _angle(places: Places) -> Tracks:
    x, y = np.moveaxis(places - np.array(Pendulum.pivot), -1, 0)
    return np.arctan2(x, -y)


def _offset(places: Places) -> Tracks:
    return places[..., 0] - SpringMass.rest


def _free(places: Places, gravity: Clips) -> Bool[np.ndarray, " clips"]:
    """Whether nothing but gravity acts in any frame."""
    off = _second(places, 1) - np.stack([np.zeros_like(gravity), -gravity], axis=-1)[:, None]
    return np.max(np.abs(off), axis=(1, 2)) < _FREE


LAWS: Mapping[str, Law] = {
    "pendulum": Law(  # period of small swings
        "period",
        "frames",
        lambda places: 2.0 * np.pi / angular_rate(_angle(places), np.sin(_angle(places)), Pendulum.damping),
        lambda gravity: 2.0 * np.pi * np.sqrt(Pendulum.length / gravity),
        lambda places, _: _swings(Pendulum.length * np.sin(_angle(places))),
    ),
    "spring_mass": Law(
        "period",
        "frames",
        lambda places: 2.0 * np.pi / angular_rate(_offset(places), _offset(places), SpringMass.damping),
        lambda stiffness: 2.0 * np.pi / np.sqrt(stiffness),
        lambda places, _: _swings(_offset(places)),
    ),
    "projectile": Law(
        "acceleration", "px/frame²", lambda places: -acceleration(places[..., 1]), lambda gravity: gravity, _free
    ),
}

__all__ = ["LAG", "LAWS", "Agreement", "Law", "acceleration", "agreement", "angular_rate", "calibration", "places_in"]
