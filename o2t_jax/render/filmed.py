"""A camera model in time: a `Renderer` each of whose pictures is a frame of a short film of its own.

Exposure, a rolling shutter and compression need what was before and after a picture, so they are no `sensor.Effect` on
single pictures. Here every picture has a film that only its own setup, time and pose decide, and pictures stay a pure
function of the renderer's arguments, in any order, in any batch.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.render.effects.camera import Camera
from o2t_jax.render.sensor import Wrapping, picture_key, posed
from o2t_jax.types import Renderer

AFTER = 2  # frames of a film after the picture, which an encoder may look at


@dataclasses.dataclass(frozen=True)
class FilmConfig:
    """How each picture is filmed; the default changes nothing.

    `noise` grey levels (standard deviation); `exposure` s, centred on the picture's time; `bits` of H.264 for each
    pixel of a frame, 0: not compressed; `fps` frames/s and `frames` of each picture's film where it is compressed.
    """

    noise: float = 0.0
    exposure: float = 0.0
    bits: float = 0.0
    fps: float = 30.0
    frames: int = 8

    def __post_init__(self) -> None:
        if self.frames <= AFTER + 1:
            raise UsageError(f"film.frames={self.frames} must be above {AFTER + 1}: set --config.film.frames=8")

    @property
    def acts(self) -> bool:
        """Whether pictures are changed at all."""
        return self.noise > 0 or self.exposure > 0 or self.bits > 0


class Filmed(Wrapping):
    """`renderer` seen by a camera.

    A compressed picture is a frame of its own film of `config.frames` frames, encoded and decoded in memory: the one
    before its last `AFTER`, or an earlier one where the film would begin before 0 s. What moves is held to stand where
    it starts before 0 s, which only an exposure there meets.
    """

    def __init__(self, renderer: Renderer, config: FilmConfig) -> None:
        self.renderer, self.config = renderer, config

    def render(
        self,
        setup_seed: int,
        times: np.ndarray,
        angles: np.ndarray,
        observer_positions: np.ndarray,
        image_size: tuple[int, int],
    ) -> np.ndarray:
        """See `types.Renderer.render`."""
        moments = np.reshape(np.asarray(times, np.float64), -1)
        count = max(len(moments), len(np.atleast_2d(angles)), len(np.atleast_2d(observer_positions)))
        views = posed(count, moments, angles, observer_positions)
        return np.stack(
            [self._picture(setup_seed, float(time), turn, place, image_size) for time, turn, place in views]
        )

    def _picture(
        self, setup_seed: int, time: float, turn: np.ndarray, place: np.ndarray, size: tuple[int, int]
    ) -> np.ndarray:
        def still(times: np.ndarray) -> np.ndarray:
            return self.renderer.render(setup_seed, np.maximum(times, 0.0), turn[None], place[None], size)

        film, at = self._film(time)
        config = self.config
        camera = Camera(config.exposure, noise=config.noise, bits=config.bits * config.fps * size[0] * size[1])
        return camera.film(still, film, picture_key(setup_seed, time, turn, place))[1][at]

    def _film(self, time: float) -> tuple[np.ndarray, int]:
        """Times of a picture's film, s, and which frame it is."""
        if not self.config.bits:
            return np.array([time]), 0
        before = min(self.config.frames - 1 - AFTER, int(time * self.config.fps))
        return time + (np.arange(self.config.frames) - before) / self.config.fps, before


__all__ = ["AFTER", "FilmConfig", "Filmed"]
