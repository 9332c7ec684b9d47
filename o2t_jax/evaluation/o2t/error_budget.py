"""Where an error of g comes from: the law found again with what the network saw put right, one part at a time.

For worlds of constant gravity, where the flight through P1 (at t1) and P2 (at t1 + tk) is at t1 + tn at

    P1 + (P2 - P1) tn / tk + g (tk tn - tn^2) / 2 upwards,

so that g alone is left to be found: the least Huber loss of that point's distance from the ray to the target. The law
is trained on the same loss (`models/o2t/loss.py`); here there is no network, batch or learning rate. Each part (the
sighting in the target, the four that P1 and P2 are triangulated from, the scatter of these alone) is taken from the
network while the rest is true. This separates errors that cancel from errors that are small.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.batches import in_batches
from o2t_jax.evaluation.o2t.sights import BallRays, SightsBalls
from o2t_jax.geometry.camera import intrinsics_for, project, triangulate, world_to_camera

FEWEST = 20
_ROUNDS = 50
_FLIPS = 20
_BATCH = 32
_LARGE_BATCH = 2  # of pictures that are larger than the network's


class Estimate(NamedTuple):
    """g in m/s^2 and its standard error, from the scatter of the samples."""

    g: float
    error: float


class Keypoint(NamedTuple):
    """How sightings miss along one axis of the picture, px: in the mean, per px from the centre, and in scatter."""

    offset: float
    slope: float
    scatter: float


def sight_samples(network: SightsBalls, batch: Mapping[str, np.ndarray], factor: int = 1) -> BallRays:
    """The ball in all five pictures of N samples, `direction` float64 [N, 5, 3] in the frame of camera 1.

    `factor`, a power of two: how much larger the pictures are than those that the network was trained on.
    """
    pictures, para = batch["pictures"], batch["para"]
    if factor == 1:
        found = in_batches(lambda rows: network.sight(pictures[rows], para[rows]), len(para), _BATCH)
        return found._replace(direction=found.direction.astype(np.float64))

    def close(rows: np.ndarray) -> BallRays:
        seen = network.sight_close(pictures[rows].reshape(-1, *pictures.shape[2:]), factor)
        return BallRays(*(np.reshape(part, (len(rows), -1, *np.shape(part)[1:])) for part in seen))

    found = in_batches(close, len(para), _LARGE_BATCH)
    rotation = world_to_camera(para[..., 4].astype(np.float64), para[..., 5].astype(np.float64))
    return found._replace(direction=np.einsum("npij,npi->npj", rotation, found.direction))


def budget(
    para: np.ndarray, position: np.ndarray, direction: np.ndarray, seen: np.ndarray, huber: float
) -> dict[str, Any]:
    """The parts of an error of g.

    Args:
      para: [N, 5, 6] of FUTURE samples.
      position: [N, 5, 3] m, the ball's true place in each of the five pictures, in the frame of `para`.
      direction, seen: [N, 5, 3] and [N, 5], what the network saw (`sight_samples`).
      huber: m, where the law's loss turns linear.
    Returns: `samples`; by name an `Estimate`: `none` (all true), `target`, `inputs`, `scatter` (the inputs' errors with
      random signs: no bias, the same noise), `all`, `differences` (`second_difference` of all); `keypoints`: `u`, `v`,
      a `Keypoint` each.
    Raises: UsageError where fewer than 20 samples show the ball in all five pictures.
    """
    para = np.asarray(para, np.float64)
    origin, true_ray = para[..., 1:4], _unit(position - para[..., 1:4])
    points, crossed = _inputs(origin, direction)
    whole = seen.all(axis=1) & crossed
    if whole.sum() < FEWEST:
        raise UsageError(
            f"only {whole.sum()} of {len(whole)} samples show the ball in all pictures: give more --samples"
        )
    para, origin, position, direction, true_ray, points = (
        x[whole] for x in (para, origin, position, direction, true_ray, points)
    )
    true_points, times = position[:, [0, 2]], para[:, [2, 4], 0] - para[:, :1, 0]
    error = points - true_points
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], (_FLIPS, len(error), 1, 1))

    def found(points: np.ndarray, ray: np.ndarray) -> Estimate:
        return find_g(points, origin[:, 4], ray[:, 4], times, huber)

    flipped = [found(true_points + sign * error, true_ray).g for sign in signs]
    return {
        "samples": int(whole.sum()),
        "none": found(true_points, true_ray),
        "target": found(true_points, direction),
        "inputs": found(points, true_ray),
        "scatter": Estimate(float(np.mean(flipped)), float(np.std(flipped) / _FLIPS**0.5)),
        "all": found(points, direction),
        "differences": second_difference(points, origin[:, 4], direction[:, 4], times),
        "keypoints": keypoints(para, direction, true_ray),
    }


def find_g(points: np.ndarray, origin: np.ndarray, ray: np.ndarray, times: np.ndarray, huber: float) -> Estimate:
    """The g of least Huber loss; see the module's docstring.

    Args: `points` [N, 2, 3] m at t1 and t2; `origin` [N, 3] m and unit `ray` [N, 3] of the target's sighting; `times`
    [N, 2] s from t1 to t2 and to the target; `huber` m, where the loss turns linear.
    """
    tk, tn = times[:, :1], times[:, 1:]
    up = np.array([0.0, 0.0, 1.0])
    fixed = _across(points[:, 0] + (points[:, 1] - points[:, 0]) * tn / tk - origin, ray)
    slope = _across(0.5 * (tk * tn - tn**2) * up, ray)
    g = 0.0
    for _ in range(_ROUNDS):
        miss = fixed + g * slope
        weight = np.minimum(1.0, huber / np.maximum(np.linalg.norm(miss, axis=-1), 1e-12))
        curvature = np.sum(weight * np.sum(slope**2, axis=-1))
        g -= np.sum(weight * np.sum(slope * miss, axis=-1)) / curvature
    pull = weight * np.sum(slope * miss, axis=-1)
    return Estimate(float(g), float(np.sqrt(np.sum(pull**2)) / curvature))


def second_difference(points: np.ndarray, origin: np.ndarray, ray: np.ndarray, times: np.ndarray) -> Estimate:
    """g with nothing learned: each sample's second difference of three heights, and the median of these.

    Args: as for `find_g`. The third height is the ray's, where it passes the place to which P1 and P2 lead on a map.
    """
    tk, tn = times.T
    first, second = points[:, 0], points[:, 1]
    place = (first + (second - first) * (tn / tk)[:, None] - origin)[:, :2]
    third = origin[:, 2] + ray[:, 2] * np.sum(place * ray[:, :2], axis=-1) / np.sum(ray[:, :2] ** 2, axis=-1)
    before, after = (second[:, 2] - first[:, 2]) / tk, (third - second[:, 2]) / (tn - tk)
    each = -2.0 * (after - before) / tn
    middle = np.median(each)
    return Estimate(float(middle), 1.2533 * _scatter(each - middle) / len(each) ** 0.5)


def keypoints(para: np.ndarray, direction: np.ndarray, true_ray: np.ndarray) -> dict[str, Keypoint]:
    """Of directions [N, 5, 3] against the true ones: how they miss in pixels of the pictures that were trained on.

    Pixels of a 64 px picture's focal length, whatever the pictures' size.
    """
    lens = intrinsics_for(64, 64)
    rotation = world_to_camera(para[..., 4], para[..., 5])
    centre = np.array([lens.cx, lens.cy])
    true, found = (project(x, np.zeros(3), rotation, lens)[0].reshape(-1, 2) - centre for x in (true_ray, direction))
    points = {}
    for axis, name in enumerate("uv"):
        columns = np.stack([np.ones(len(true)), true[:, axis]], axis=-1)
        miss = found[:, axis] - true[:, axis]
        (offset, slope), *_ = np.linalg.lstsq(columns, miss, rcond=None)
        points[name] = Keypoint(float(np.mean(miss)), float(slope), _scatter(miss - columns @ (offset, slope)))
    return points


def _inputs(origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P1 and P2 [N, 2, 3] by triangulation, and whether [N] both pairs of rays meet."""
    found = [triangulate(origin[:, i], direction[:, i], origin[:, i + 1], direction[:, i + 1]) for i in (0, 2)]
    return np.stack([point for point, _ in found], axis=1), found[0][1] & found[1][1]


def _scatter(rest: np.ndarray) -> float:
    """The standard deviation of normal numbers about zero, from their median size: stray ones do not count."""
    return float(1.4826 * np.median(np.abs(rest)))


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _across(x: np.ndarray, ray: np.ndarray) -> np.ndarray:
    return x - ray * np.sum(x * ray, axis=-1, keepdims=True)


__all__ = ["Estimate", "Keypoint", "budget", "find_g", "keypoints", "second_difference", "sight_samples"]
