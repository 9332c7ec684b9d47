"""A mask tower trained on one film, without labels: the sightings of what a classical tracker followed, seen anew.

The tracker says where to look (crops round each track, gaps included); the tower says what of a crop is the object. Its
sightings are tracks of the same form, so that the same laws are fitted to them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from o2t_jax.data.recorded.film import Film
from o2t_jax.data.recordings.background import Background
from o2t_jax.data.recordings.crops import MARGIN, SIDE, Crops, cut_crops
from o2t_jax.data.recordings.tracks import Track, make_track
from o2t_jax.models.recording.swapping import FilmTower, centres, film_loss, object_swap, window
from o2t_jax.training.progress import Tell, nobody
from o2t_jax.types import PyTree

STEPS, BATCH, RATE = 250, 16, 3e-3
REACH = 2.8  # radii of the object round the crop's middle in which it is looked for
LEAST_REACH = 8.0  # px
AREA = 0.02  # cost of a mask's pixel: `film_loss`
SURE = (0.1, 0.9)  # of the mask, below and above which it is 0 and 1: dust does not move the centre
ROUGH = (0.5, 5.0)  # how unsure a sighting may be beside the usual one
_CHUNK = 32


def see_by_network(
    film: Film,
    background: Background,
    tracks: Sequence[Track],
    tell: Tell = nobody,
    *,
    steps: int = STEPS,
    seed: int = 0,
) -> list[Track]:
    """The `tracks` of a film, each seen by a tower of its own that is trained on it; about a minute a track.

    A track keeps its order; one in which the tower finds nothing that moves as an object has score 0.
    """
    found = []
    for number, crops in enumerate(cut_crops(film.colours(), background, tracks)):
        params = train_tower(crops, lambda count: tell(f"training object {number + 1}", count, steps), steps, seed)  # noqa: B023
        seen = sightings(params, crops)
        # A mask may be larger than the object where the background is plain.
        found.append(dataclasses.replace(seen, radius=float(np.fmin(seen.radius, tracks[number].radius))))
    return found


def train_tower(
    crops: Crops, tell: Callable[[int], None] = lambda count: None, steps: int = STEPS, seed: int = 0
) -> PyTree:
    """Parameters of a `FilmTower` after `steps` batches of crops, shifted at random by up to a third of the radius."""
    rng = np.random.default_rng(seed)
    params = FilmTower().init(jax.random.key(seed), *jnp.zeros((2, 1, SIDE, SIDE, 3)))["params"]
    step, weight = _step(steps), _window_of(crops)
    state = _optimiser(steps).init(params)
    far = int(np.clip(round(crops.radius / 3), 1, MARGIN))
    for number in range(steps):
        rows = rng.choice(len(crops.times), BATCH, replace=len(crops.times) < BATCH)
        x, y = MARGIN + rng.integers(-far, far + 1, 2)
        part = np.s_[rows, y : y + SIDE, x : x + SIDE]
        params, state = step(params, state, crops.pictures[part], crops.still[part], weight, np.int32(number))
        tell(number + 1)
    return params


def sightings(params: PyTree, crops: Crops) -> Track:
    """Where a trained tower sees the object in each crop, as a track.

    A sighting's uncertainty follows from what the swap with the frame before leaves unexplained, over the gradient of
    the object's picture (the Cramér-Rao bound of a shift), in units of the track's own jitter.
    """
    inner = np.s_[:, MARGIN : MARGIN + SIDE, MARGIN : MARGIN + SIDE]
    pictures, still = crops.pictures[inner], crops.still[inner]
    parts = [
        [np.asarray(x) for x in _look()(params, *_chunk(pictures, still, at), _window_of(crops))]
        for at in range(0, len(pictures), _CHUNK)
    ]
    mask, error, slope = (np.concatenate(x)[: len(pictures)] for x in zip(*parts, strict=True))
    area = mask.sum(axis=(1, 2))
    seen = area > 4
    if seen.sum() < 5:
        nothing = np.zeros(0)
        return Track(nothing, np.zeros((0, 2)), nothing, nothing, nothing, np.zeros(0, bool), float("nan"), 0.0)
    mask, area = mask[seen], area[seen]
    points = np.asarray(centres(jnp.asarray(mask)))
    long, wide = _widths(mask, points)
    rough = np.sqrt(error[seen] / np.maximum(slope[seen], 1e-9))
    rough = np.clip(rough / max(float(np.median(rough)), 1e-12), *ROUGH)
    places = crops.in_film(points, seen)
    radius = crops.factor * 2 * wide
    outside = (places - radius[:, None] < 0) | (places + radius[:, None] > np.array(crops.size) - 1)
    scale = crops.factor
    return make_track(
        crops.times[seen],
        places,
        areas=area * scale**2,
        wide=wide * scale,
        long=long * scale,
        cut=np.any(outside, axis=1),
        rough=rough,
    )


def _widths(mask: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations [N] of masks along and across, px."""
    at = np.arange(mask.shape[1])
    away = np.stack(np.broadcast_arrays(at[None, None, :], at[None, :, None]), axis=-1) - points[:, None, None]
    spread = np.einsum("nyx,nyxi,nyxj->nij", mask, away, away) / mask.sum(axis=(1, 2))[:, None, None]
    narrow, wide = np.sqrt(np.maximum(np.linalg.eigvalsh(spread), 0.05)).T
    return wide, narrow


def _window_of(crops: Crops) -> np.ndarray:
    return window(SIDE, float(np.clip(REACH * crops.radius, LEAST_REACH, 0.5 * SIDE)))


def _chunk(pictures: np.ndarray, still: np.ndarray, at: int) -> tuple[np.ndarray, np.ndarray]:
    """`_CHUNK` crops from `at`; the last one is repeated to fill it."""
    rows = np.minimum(np.arange(at, at + _CHUNK), len(pictures) - 1)
    return pictures[rows], still[rows]


def _optimiser(steps: int) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(RATE, steps)))


@functools.cache
def _step(steps: int) -> Any:
    tower, tx = FilmTower(), _optimiser(steps)

    @jax.jit
    def step(params: PyTree, state: PyTree, pictures: Any, still: Any, weight: Any, number: Any) -> tuple[Any, Any]:
        crops, behind = (jnp.asarray(x, jnp.float32) / 255.0 for x in (pictures, still))
        # One colour first, so that there is a centre; then the object's own picture.
        plain = jnp.maximum(0.0, 1.0 - 2.0 * number / steps)
        slopes = jax.grad(lambda p: film_loss(tower, p, crops, behind, weight, plain, AREA))(params)
        updates, state = tx.update(slopes, state)
        return optax.apply_updates(params, updates), state

    return step


@functools.cache
def _look() -> Any:
    tower = FilmTower()

    @jax.jit
    def look(params: PyTree, pictures: Any, still: Any, weight: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Masks [N, S, S], what swaps leave [N], and the slope of the object's picture [N]."""
        crops, behind = (jnp.asarray(x, jnp.float32) / 255.0 for x in (pictures, still))
        mask = tower.apply({"params": params}, crops, behind) * weight
        mask = jnp.clip((mask - SURE[0]) / (SURE[1] - SURE[0]), 0.0, 1.0)
        others = jnp.roll(mask, 1, axis=0), jnp.roll(crops, 1, axis=0)
        error = object_swap(mask, crops, others, behind, weight)
        change = mask[..., None] * (crops - behind)
        slope = sum(jnp.mean(jnp.square(jnp.diff(change, axis=axis)), axis=(1, 2, 3)) for axis in (1, 2))
        return mask, error, slope  # type: ignore[return-value]

    return look


__all__ = ["see_by_network", "sightings", "train_tower"]
