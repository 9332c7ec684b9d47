"""Close-ups of the balls whose flights a survey has found, and the law from them.

A survey's cameras are far away: one of their pixels is about 4 cm at a ball. The survey's fit gives each ball's place
to millimetres at any moment of its flight, so cameras can be placed a metre or two from it, where a pixel is 2 mm. Four
moments of each flight are taken, since beginning, middle and end constrain a curvature best; all of them lie within the
contact-free time that the survey saw. The plan uses the survey's fit alone, so all information comes from pictures.

The matting of a shaded ball misses its centre by an offset that depends on the view's bearing and elevation. Where all
moments share these, the offset is constant and does not change a curvature. A flight's cameras therefore keep both, as
far as the ground permits. They look upwards, so that the background is the sky.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t.bundle_adjustment import fly
from o2t_jax.evaluation.o2t.refined_law import Refined, refine
from o2t_jax.evaluation.o2t.sights import Sightings, SightsBalls, SurveyWindows
from o2t_jax.geometry.camera import intrinsics_for, look_at
from o2t_jax.types import Renderer

PICTURE_PX = 512
BALL_SHARE = 0.31  # a ball's radius as a share of the picture's side, as far as `NEAREST_M` lets a camera come
TOWER_BALL_PX = 7.0  # and its radius, to a factor of 1.4, in what the mask tower gets to see: as in its training
NEAREST_M, LOWEST_M = 1.0, 0.3  # of a camera: to the ball's centre, and above the ground
ELEVATION_DEG = (10.0, 25.0)  # of the view, upwards: a flight's lowest and highest
# Shares of a flight's time. A curvature is measured best with half of the pictures in the middle. There are two moments
# there, not one, so that the fit is overdetermined.
MOMENTS = (0.0, 0.45, 0.55, 1.0)
FEWEST_CAMERAS, MOST_CAMERAS = 2, 4  # at a moment
_GATE_SHARE = 0.04  # of the picture's side: how far from the expected place a ball may be seen
# A ball that is partly hidden, or something else, has another radius than the ball in the flight's other pictures.
_SAME_RADIUS = 0.02
_MOST_FACTOR = 16

A = TypeVar("A")
B = TypeVar("B")


class CloseUps(NamedTuple):
    """N close-ups, flight by flight and equally many of each: `sights.FlightPictures` that are yet to be rendered.

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


def plan_close_ups(
    windows: SurveyWindows, survey: Refined, most: int, *, seed: int = 0, size: int | None = None
) -> CloseUps:
    """Cameras close to where a survey's fit expects the balls.

    Args:
      windows: what the survey was fitted to.
      most: pictures in all. Where it is too few for all flights, those are taken that constrain the law best.
      seed: of the cameras' bearings.
      size: px a side; None: `PICTURE_PX`.
    Raises: UsageError where `most` is too few for two flights.
    """
    paths, size = survey.paths, size or PICTURE_PX
    times = paths.first[:, None] + np.array(MOMENTS) * (paths.last - paths.first)[:, None]
    ordered = np.concatenate([paths.epoch[:, None], times], axis=1)
    places = fly(paths.states, survey.fit.form, survey.fit.values, ordered)[:, 1:]  # [F, moments, 3]
    above = np.flatnonzero(places[..., 2].min(axis=1) > 0.0)
    count = min(len(above), most // (len(MOMENTS) * FEWEST_CAMERAS))
    if count < 2:
        raise UsageError(f"{most} close-ups of {len(above)} flights are too few for a law: give more")
    chosen = above[most_informative((paths.last - paths.first)[above], places[above, :, 2].mean(axis=1), count)]
    cameras = int(np.clip(most // (len(MOMENTS) * count), FEWEST_CAMERAS, MOST_CAMERAS))
    first_window = np.array([np.flatnonzero(windows.flight == flight)[0] for flight in paths.flight[chosen]])
    radius = windows.radius[first_window]
    focal = intrinsics_for(size, size).focal
    distance = np.maximum(radius * focal / (BALL_SHARE * size), NEAREST_M)
    target = np.repeat(places[chosen], cameras, axis=1)  # [F, moments x cameras, 3]
    rng = np.random.default_rng((seed, 1))
    place = _around(target, distance, cameras, rng)
    angles = np.stack(look_at(place, target), axis=-1)
    # Each picture is turned by up to half a pixel: else all cameras of a moment would round the ball's rim alike.
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
    # The views of two cameras are perpendicular; more are spread evenly around the ball.
    turn = np.radians(90.0 if cameras == 2 else 360.0 / cameras) * np.arange(cameras)
    bearing = rng.uniform(0.0, 2.0 * np.pi, (len(target), 1)) + np.tile(turn, target.shape[1] // cameras)
    highest = (target[..., 2] - LOWEST_M) / distance[:, None]  # sine of the elevation that the ground permits
    low, high = np.sin(np.radians(ELEVATION_DEG))
    # One elevation for all of a flight, but a lower one at a moment at which the ground leaves no room for `low`.
    below = distance[:, None] * np.minimum(np.clip(highest.min(axis=1, keepdims=True), low, high), highest)
    aside = np.sqrt(distance[:, None] ** 2 - below**2)
    return target - np.stack([aside * np.cos(bearing), aside * np.sin(bearing), below], axis=-1)


def most_informative(span: np.ndarray, height: np.ndarray, count: int) -> np.ndarray:
    """The numbers [count] of the flights that together constrain alpha best; the others are dropped one by one.

    Args: `span` [F] s and mean `height` [F] m of the flights. A flight of T s determines its own g, which is
    g0 + alpha / (height + 10), with a variance proportional to T^-4.
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


def measure_close_ups(network: SightsBalls, renderer: Renderer, close_ups: CloseUps, workers: int = 1) -> Sightings:
    """Renders the close-ups, `workers` flights in parallel, and finds the ball in them with the network."""
    groups = [np.flatnonzero(close_ups.flight == flight) for flight in dict.fromkeys(close_ups.flight.tolist())]
    focal, size = intrinsics_for(close_ups.size, close_ups.size).focal, (close_ups.size, close_ups.size)

    def render(rows: np.ndarray) -> np.ndarray:
        para = close_ups.para[rows]
        return renderer.render(int(close_ups.setup_seed[rows[0]]), para[:, 0], para[:, 4:], para[:, 1:4], size)

    pixels, seen = np.full((len(close_ups.flight), 2), np.nan), np.zeros(len(close_ups.flight), bool)
    with ThreadPoolExecutor(workers) as pool:
        for rows, pictures in zip(groups, _ahead(pool, render, groups, workers + 1), strict=True):
            found = network.sight_close(np.asarray(pictures), int(close_ups.factor[rows[0]]))
            direction, sine = found.direction.astype(np.float64), found.sin_radius.astype(np.float64)
            with np.errstate(divide="ignore", invalid="ignore"):
                pixels[rows] = focal * direction[:, :2] / direction[:, 2:] + 0.5 * close_ups.size
            radius = sine * np.linalg.norm(close_ups.position[rows] - close_ups.para[rows, 1:4], axis=-1)
            whole = found.seen
            if whole.any():
                middle = np.median(radius[whole])
                seen[rows] = whole & (np.abs(radius - middle) < _SAME_RADIUS * middle)
    return Sightings(pixels, seen)


def _ahead(pool: Executor, function: Callable[[A], B], items: list[A], ahead: int) -> Iterator[B]:
    """The function's values in order, computed at most `ahead` items early: all pictures would not fit in memory."""
    waiting = deque(pool.submit(function, item) for item in items[:ahead])
    for number in range(len(items)):
        value = waiting.popleft().result()
        if number + ahead < len(items):
            waiting.append(pool.submit(function, items[number + ahead]))
        yield value


def refine_close_ups(close_ups: CloseUps, sightings: Sightings) -> Refined:
    """The law from close-ups alone. Raises: UsageError where too few of them show a ball."""
    size = close_ups.size
    return refine(close_ups, sightings, intrinsics_for(size, size), gate_px=_GATE_SHARE * size, camera_errors=True)


__all__ = ["CloseUps", "measure_close_ups", "most_informative", "plan_close_ups", "refine_close_ups"]
