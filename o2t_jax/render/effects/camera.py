"""A camera model: all effects of a film in the order in which a camera has them."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float, UInt8

from o2t_jax.render.effects import Render
from o2t_jax.render.effects.frames import kept_frames, repeated_frames
from o2t_jax.render.effects.h264 import decode, encode
from o2t_jax.render.effects.lens import lens, matrix_of
from o2t_jax.render.effects.noise import noise
from o2t_jax.render.effects.shutter import exposed, rolling
from o2t_jax.render.sensor import Effect


@dataclasses.dataclass(frozen=True)
class Camera:
    """How a film is taken; the default changes nothing.

    Attributes: `exposure` s; `readout` s from the first row to the last; `distortion`, OpenCV's (k1, k2, p1, p2, k3);
    `focal`, focal length in widths of the picture, for the distortion; `noise` levels; `dropped`, share of frames lost;
    `repeats`, whether the one before is shown instead of a lost one; `bits` bit/s of H.264, 0: not compressed.
    """

    exposure: float = 0.0
    readout: float = 0.0
    distortion: tuple[float, ...] = ()
    focal: float = 1.0
    noise: float = 0.0
    dropped: float = 0.0
    repeats: bool = False
    bits: float = 0.0

    def effects(self, size: tuple[int, int]) -> tuple[Effect, ...]:
        """Those on single pictures of `size` (H, W), for a `Sensor`."""
        found: tuple[Effect, ...] = ()
        if self.distortion:
            found += (lens(matrix_of(size, self.focal * size[1]), self.distortion),)
        return (*found, noise(self.noise)) if self.noise else found

    def film(
        self, render: Render, times: Float[np.ndarray, " T"], seed: int | tuple[int, ...]
    ) -> tuple[Float[np.ndarray, " K"], UInt8[np.ndarray, "K H W 3"]]:
        """Time stamps and pictures of the film of `render` at `times` s. The same arguments give the same film."""
        rng = np.random.default_rng(seed)
        kept = kept_frames(len(times), self.dropped, rng)
        frames = rolling(exposed(render, self.exposure), self.readout)(times[kept])
        effects = self.effects((frames.shape[1], frames.shape[2]))
        if effects:
            frames = frames.copy()
        for picture in frames if effects else ():
            for effect in effects:
                picture[...] = effect(picture, rng)
        stamps = times[kept]
        if self.repeats:
            shown = np.searchsorted(kept, repeated_frames(kept, len(times)))
            stamps, frames = times, frames[shown]
        if self.bits:
            frames = decode(encode(frames, stamps, self.bits))[1]
        return stamps, frames


__all__ = ["Camera"]
