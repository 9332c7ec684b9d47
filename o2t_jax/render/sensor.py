"""Camera effects: a `Renderer` that wraps another one. Without effects the pictures are unchanged.

An effect (noise, compression, ...) is a function `(picture uint8 [H, W, 3], rng) -> picture`. Its random numbers come
from the picture's setup, time and pose, so that pictures stay a pure function of the renderer's arguments, in
any order, in any batch, on any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from o2t_jax.types import Renderer

Effect = Callable[[np.ndarray, np.random.Generator], np.ndarray]
# Keeps these streams apart from those of samples, whose seeds are short lists of small numbers.
_STREAM = 0x5E4507


def picture_key(setup_seed: int, time: float, angles: np.ndarray, position: np.ndarray) -> tuple[int, ...]:
    """The seed of one picture's random numbers, by its setup, `time` s, `angles` [2] deg, camera `position` [3] m."""
    pose = np.array([time, *angles, *position], np.float64) + 0.0  # -0 is 0
    return _STREAM, int(setup_seed), *pose.view(np.uint32).tolist()


def picture_rng(setup_seed: int, time: float, angles: np.ndarray, position: np.ndarray) -> np.random.Generator:
    """Generator for one picture, seeded by its `picture_key`."""
    return np.random.default_rng(picture_key(setup_seed, time, angles, position))


def posed(
    count: int, times: np.ndarray, angles: np.ndarray, positions: np.ndarray
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Time s, angles [2] deg and camera position [3] m of each of `count` pictures; single ones hold for all."""
    moments = np.broadcast_to(np.reshape(times, -1), count)
    return zip(moments, np.broadcast_to(angles, (count, 2)), np.broadcast_to(positions, (count, 3)), strict=True)


class Wrapping:
    """What stands before a `renderer`, whose attributes it has beside its own: truth, check, close, ..."""

    renderer: Renderer

    def __getattr__(self, name: str) -> Any:
        if name == "renderer":  # not there while an instance is unpickled
            raise AttributeError(name)
        return getattr(self.renderer, name)


class Sensor(Wrapping):
    """Applies all `effects` in order to each picture of `renderer`.

    An effect returns a new array of the same shape and type: pictures may be shared, or be read-only.
    """

    def __init__(self, renderer: Renderer, effects: tuple[Effect, ...] = ()) -> None:
        self.renderer, self.effects = renderer, effects

    def render(
        self,
        setup_seed: int,
        times: np.ndarray,
        angles: np.ndarray,
        observer_positions: np.ndarray,
        image_size: tuple[int, int],
    ) -> np.ndarray:
        """See `types.Renderer.render`."""
        pictures = self.renderer.render(setup_seed, times, angles, observer_positions, image_size)
        if not self.effects:
            return pictures
        taken = np.empty_like(pictures)
        views = posed(len(pictures), times, angles, observer_positions)
        for i, (picture, view) in enumerate(zip(pictures, views, strict=True)):
            rng = picture_rng(setup_seed, *view)
            for effect in self.effects:
                picture = effect(picture, rng)
            taken[i] = picture
        return taken


__all__ = ["Effect", "Sensor", "Wrapping", "picture_key", "picture_rng", "posed"]
