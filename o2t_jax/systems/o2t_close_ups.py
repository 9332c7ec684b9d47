"""The law in a network's weights, trained further on close-ups of flights.

`evaluation.o2t.close_ups.refine_close_ups` fits the same pictures by bundle adjustment. Here they become points and
rays that train the network's own weights (`models.o2t.law_finetune`); that law is reported as a result of its own.
"""

from __future__ import annotations

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t.close_ups import MOMENTS, CloseUps
from o2t_jax.evaluation.o2t.sights import Sightings
from o2t_jax.geometry.camera import intrinsics_for, pixel_directions, world_to_camera
from o2t_jax.models.o2t.law_finetune import FlightRays, train_law
from o2t_jax.training.state import TrainState

STEPS = 20  # of a flight; every share in `close_ups.MOMENTS` is a whole number of them
# Rays of a moment that pass each other at a larger distance do not see the same thing.
_MEET_M = 0.01
_FEWEST = 2  # flights


def train_on_close_ups(state: TrainState, close_ups: CloseUps, sightings: Sightings) -> TrainState:
    """The state of a trained O2T system with its law trained on close-ups of flights; the other weights are unchanged.

    Raises: UsageError where the close-ups show too few flights at all their moments.
    """
    layer, _ = train_law(state.params["layer"], state.extra["visited"], flight_rays(close_ups, sightings))
    return state.replace(params={**state.params, "layer": layer})


def flight_rays(close_ups: CloseUps, sightings: Sightings) -> FlightRays:
    """The flights that two or more cameras saw at all their moments, with the rays of those cameras alone.

    All moments have the same cameras: the offset of a camera's matting is then constant over the moments and does not
    change a curvature. Raises: UsageError where fewer than two flights are left.
    """
    count = len(np.unique(close_ups.flight))
    shape = (count, len(MOMENTS), -1)
    para = close_ups.para.reshape(count, len(MOMENTS), -1, 6)
    finite = np.nan_to_num(sightings.pixels)
    direction = pixel_directions(
        finite,
        world_to_camera(close_ups.para[:, 4], close_ups.para[:, 5]),
        intrinsics_for(close_ups.size, close_ups.size),
    ).reshape(*shape, 3)
    seen = sightings.seen & np.all(np.isfinite(sightings.pixels), axis=-1)
    weight = np.broadcast_to(seen.reshape(shape).all(axis=1, keepdims=True), direction.shape[:3]).astype(float)
    origin = para[..., 1:4]
    place, miss = rays_meet(origin, direction, weight)
    good = (weight.sum(axis=-1) >= 2).all(axis=1) & (miss < _MEET_M).all(axis=1)
    if good.sum() < _FEWEST:
        raise UsageError(f"of {count} flights, close-ups show {int(good.sum())} at all moments: give more --zooms")
    times = para[good, :, 0, 0]
    middle = slice(1, -1)
    return FlightRays(
        place[good, 0],
        place[good, -1],
        (times[:, -1] - times[:, 0]) / STEPS,
        STEPS,
        tuple(round(STEPS * share) for share in MOMENTS[middle]),
        origin[good, middle],
        direction[good, middle],
        weight[good, middle],
    )


def rays_meet(origin: np.ndarray, direction: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points [..., 3] m nearest to bundles of rays, least squares, and how far the farthest ray misses [...] m.

    Args: `origin`, unit `direction` [..., C, 3]; `weight` [..., C], 0 for none. A bundle of fewer than two rays gives
    its first camera's place, and 0 for the distance.
    """
    across = np.eye(3) - direction[..., :, None] * direction[..., None, :]
    few = np.sum(weight > 0, axis=-1) < 2
    used = np.where(few[..., None, None, None], np.eye(3), weight[..., None, None] * across)
    aimed = np.where(few[..., None, None], origin[..., :1, :], origin)
    normal, right = used.sum(axis=-3), np.einsum("...cij,...cj->...i", used, aimed)
    point = np.linalg.solve(normal, right[..., None])[..., 0]
    offset = np.einsum("...cij,...cj->...ci", across, point[..., None, :] - origin)
    return point, np.max(np.linalg.norm(offset, axis=-1) * (weight > 0) * ~few[..., None], axis=-1)


__all__ = ["flight_rays", "rays_meet", "train_on_close_ups"]
