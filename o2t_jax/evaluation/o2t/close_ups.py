"""A second look: close-ups of the balls whose flights a survey has found, and the law from them.

A survey's cameras see everything from afar, a pixel of theirs is some 4 cm. Once its fit says to millimetres where each
ball is at any moment of its flight, cameras can be put a metre or two from it: a pixel is then 2 mm. Of each flight
four moments are taken, since beginning, middle and end tell a curvature best, and all of them lie within the contact-
free time that the survey saw. Nothing is used but the survey's own fit, so nothing but pictures enters.

What a matting of a shaded ball misses of its centre depends on bearing and elevation and is alike at all moments that
share them: a constant, which a curvature does not feel. So a flight's cameras keep both, as far as the ground permits,
and look up: then the ball stands before the sky.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t.bundle_adjustment import fly
from o2t_jax.evaluation.o2t.refined_law import Refined, Sightings, refine
from o2t_jax.geometry.camera import intrinsics_for, look_at

PICTURE_PX = 512
BALL_SHARE = 0.31  # a ball's radius as a share of the picture's side, as far as `NEAREST_M` lets a camera come
TOWER_BALL_PX = 7.0  # and its radius, to a factor of 1.4, in what the mask tower gets to see: as in its training
NEAREST_M, LOWEST_M = 1.0, 0.3  # of a camera: to the ball's centre, and above the ground
ELEVATION_DEG = (10.0, 25.0)  # of the view, upwards: a flight's lowest and highest
# Shares of a flight's time. A curvature wants half of its pictures in the middle; two moments there, not one, so that
# something is left over to be checked.
MOMENTS = (0.0, 0.45, 0.55, 1.0)
FEWEST_CAMERAS, MOST_CAMERAS = 2, 4  # at a moment
_GATE_SHARE = 0.04  # of the picture's side: how far from the expected place a ball may be seen
# A ball that something hides a part of, or that is none, has another radius than in the flight's other pictures.
_SAME_RADIUS = 0.02
_MOST_FACTOR = 16

A = TypeVar("A")
B = TypeVar("B")


class CloseUps(NamedTuple):
    """N close-ups, as `refine.refine` takes them, flight by flight and equally many of each.

    `para` float64 [N, 6]; `flight` [N], the survey's number; `camera`, `moment` [N] within the flight; `position`
    [N, 3] m and `radius` [N] m, expected; `setup_seed` [N]; `factor` [N]: how much smaller the tower sees them; `size`
    px a side.
    """

    para: np.ndarray
    flight: np.ndarray
    camera: np.ndarray
    moment: np.ndarray
    position: np.ndarray
    radius: np.ndarray
    setup_seed: np.ndarray
    factor: np.ndarray
    size: int


def take_close_ups(system: Any, state: Any, windows: Any, survey: Refined, most: int) -> tuple[CloseUps, Sightings]:
    """Close-ups of the flights of `survey` (`refine_run` of `windows`), and where the network sees the balls in them.

    Args: `system`, `state` as for `refine_run`; `system.source.renderer` makes the pictures, `most` of them.
    Raises: UsageError where `most` is too small for two flights.
    """
    zooms = plan_zooms(windows, survey, most, seed=int(system.config.seed))
    workers = int(system.config.render_workers)
    return zooms, measure_close_ups(system.model, state.params, system.source.renderer, zooms, workers)


def refine_close_ups(zooms: CloseUps, sightings: Sightings) -> Refined:
    """The law from close-ups alone. Raises: UsageError where too few of them show a ball."""
    intrinsics = intrinsics_for(zooms.size, zooms.size)
    return refine(zooms, sightings, intrinsics, gate_px=_GATE_SHARE * zooms.size, camera_errors=True)


def plan_zooms(windows: Any, survey: Refined, most: int, *, seed: int = 0, size: int | None = None) -> CloseUps:
    """Cameras close to where a survey's fit expects the balls.

    Args: `windows`: what the survey was fitted to (`FlightWindows`; `flight`, `setup_seed`, `radius` are used);
    `most`: pictures in all; `seed` of the bearings; `size` px, None: `PICTURE_PX`. With more flights than `most` is
    enough for, those that tell most about the law are taken. Raises: UsageError where it is not enough for two.
    """
    paths, size = survey.paths, size or PICTURE_PX
    times = paths.first[:, None] + np.array(MOMENTS) * (paths.last - paths.first)[:, None]
    ordered = np.concatenate([paths.epoch[:, None], times], axis=1)
    places = fly(paths.states, survey.fit.form, survey.fit.values, ordered)[:, 1:]  # [F, moments, 3]
    above = np.flatnonzero(places[..., 2].min(axis=1) > 0.0)
    count = min(len(above), most // (len(MOMENTS) * FEWEST_CAMERAS))
    if count < 2:
        raise UsageError(f"{most} close-ups of {len(above)} flights are too few for a law: give more")
    chosen = above[most_telling((paths.last - paths.first)[above], places[above, :, 2].mean(axis=1), count)]
    cameras = int(np.clip(most // (len(MOMENTS) * count), FEWEST_CAMERAS, MOST_CAMERAS))
    first_window = np.array([np.flatnonzero(windows.flight == flight)[0] for flight in paths.flight[chosen]])
    radius = windows.radius[first_window]
    focal = intrinsics_for(size, size).focal
    distance = np.maximum(radius * focal / (BALL_SHARE * size), NEAREST_M)
    target = np.repeat(places[chosen], cameras, axis=1)  # [F, moments x cameras, 3]
    rng = np.random.default_rng((seed, 1))
    place = _around(target, distance, cameras, rng)
    angles = np.stack(look_at(place, target), axis=-1)
    # Half a pixel off, each picture by itself: else all cameras of a moment would round the ball's rim alike.
    angles += np.degrees(rng.uniform(-0.5, 0.5, angles.shape) / focal)
    para = np.concatenate([np.repeat(times[chosen], cameras, axis=1)[..., None], place, angles], axis=-1)
    factor = 2.0 ** np.round(np.log2(radius / distance * focal / TOWER_BALL_PX))
    each = len(MOMENTS) * cameras
    return CloseUps(
        para.reshape(-1, 6),
        np.repeat(paths.flight[chosen], each),
        np.tile(np.arange(cameras), count * len(MOMENTS)),
        np.tile(np.repeat(np.arange(len(MOMENTS)), cameras), count),
        target.reshape(-1, 3),
        np.repeat(radius, each),
        np.repeat(windows.setup_seed[first_window], each),
        np.repeat(np.clip(factor, 1, _MOST_FACTOR).astype(int), each),
        size,
    )


def _around(target: np.ndarray, distance: np.ndarray, cameras: int, rng: np.random.Generator) -> np.ndarray:
    """Places [F, moments x cameras, 3] m of cameras at `distance` [F] m from `target` [F, moments x cameras, 3] m."""
    # Two look across each other; more stand around.
    turn = np.radians(90.0 if cameras == 2 else 360.0 / cameras) * np.arange(cameras)
    bearing = rng.uniform(0.0, 2.0 * np.pi, (len(target), 1)) + np.tile(turn, target.shape[1] // cameras)
    highest = (target[..., 2] - LOWEST_M) / distance[:, None]  # sine of the elevation that the ground permits
    low, high = np.sin(np.radians(ELEVATION_DEG))
    # One elevation for all of a flight; only where the ground does not leave room for `low`, that moment's is lower.
    below = distance[:, None] * np.minimum(np.clip(highest.min(axis=1, keepdims=True), low, high), highest)
    aside = np.sqrt(distance[:, None] ** 2 - below**2)
    return target - np.stack([aside * np.cos(bearing), aside * np.sin(bearing), below], axis=-1)


def most_telling(span: np.ndarray, height: np.ndarray, count: int) -> np.ndarray:
    """The numbers [count] of the flights that together tell most about alpha; the least telling are dropped one by one.

    Args: `span` [F] s and mean `height` [F] m of the flights. A flight of T s tells its own g to a variance like T^-4,
    and that is g0 + alpha / (height + 10).
    """
    kept, information = np.arange(len(span)), span**4
    form = np.stack([np.ones_like(height), 1.0 / (height + 10.0)], axis=-1)
    while len(kept) > count:
        rows, weight = form[kept], information[kept]
        inverse = np.linalg.pinv(np.einsum("f,fi,fj->ij", weight, rows, rows))
        leverage = weight * np.einsum("fi,ij,fj->f", rows, inverse, rows)
        # How much the variance of alpha grows without the flight (Sherman-Morrison).
        growth = weight * (rows @ inverse[:, 1]) ** 2 / np.maximum(1.0 - leverage, 1e-12)
        kept = np.delete(kept, np.argmin(growth))
    return kept


def measure_close_ups(model: Any, params: Any, renderer: Any, zooms: CloseUps, workers: int = 1) -> Sightings:
    """Renders the close-ups, `workers` flights at once, and has the network find the ball (`O2TModel.sight_close`)."""
    groups = [np.flatnonzero(zooms.flight == flight) for flight in dict.fromkeys(zooms.flight.tolist())]
    focal, size = intrinsics_for(zooms.size, zooms.size).focal, (zooms.size, zooms.size)

    def render(rows: np.ndarray) -> np.ndarray:
        para = zooms.para[rows]
        return renderer.render(int(zooms.setup_seed[rows[0]]), para[:, 0], para[:, 4:], para[:, 1:4], size)

    pixels, seen = np.full((len(zooms.flight), 2), np.nan), np.zeros(len(zooms.flight), bool)
    with ThreadPoolExecutor(workers) as pool:
        for rows, pictures in zip(groups, _ahead(pool, render, groups, workers + 1), strict=True):
            found = _sight(model, params, np.asarray(pictures), int(zooms.factor[rows[0]]))
            direction, sine, ball = (np.asarray(part, np.float64) for part in found)
            with np.errstate(divide="ignore", invalid="ignore"):
                pixels[rows] = focal * direction[:, :2] / direction[:, 2:] + 0.5 * zooms.size
            radius = sine * np.linalg.norm(zooms.position[rows] - zooms.para[rows, 1:4], axis=-1)
            whole = ball > 0
            if whole.any():
                middle = np.median(radius[whole])
                seen[rows] = whole & (np.abs(radius - middle) < _SAME_RADIUS * middle)
    return Sightings(pixels, seen)


@functools.partial(jax.jit, static_argnums=(0, 3))
def _sight(model: Any, params: Any, pictures: jax.Array, factor: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    pictures = pictures.astype(jnp.float32) / 255.0
    sighting = model.apply({"params": params}, pictures, factor, method="sight_close")
    return sighting.direction, sighting.sin_radius, sighting.seen


def _ahead(pool: Executor, function: Callable[[A], B], items: list[A], ahead: int) -> Iterator[B]:
    """The function's values in order, `ahead` of them in the making: pictures of a whole world would fill memory."""
    waiting = deque(pool.submit(function, item) for item in items[:ahead])
    for number in range(len(items)):
        value = waiting.popleft().result()
        if number + ahead < len(items):
            waiting.append(pool.submit(function, items[number + ahead]))
        yield value


__all__ = ["CloseUps", "measure_close_ups", "most_telling", "plan_zooms", "refine_close_ups", "take_close_ups"]
