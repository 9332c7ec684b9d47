"""A short film as arrays, shrunk for a network, with its background; it learns from the first part only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from o2t_jax.errors import UsageError
from o2t_jax.types import Array

MOST = 400  # frames
MULTIPLE = 4  # px, of which height and width are multiples


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """`frames` uint8 [T, h, w, 3]; `still`, the median of those to learn from, uint8 [h, w, 3]; `times`, in units of
    `second` s from the first frame; `learn`, how many frames come before the held-out ones; `height` of the film, px.
    """

    frames: UInt8[np.ndarray, "T h w 3"]
    still: UInt8[np.ndarray, "h w 3"]
    times: Float[np.ndarray, " T"]
    second: float
    learn: int
    height: int

    def batch(self, seed: Any, step: Any, size: int, inputs: int, stride: int) -> dict[str, Array]:
        """Samples of the frames to learn from, a pure function of (seed, step): `inputs` frames, `stride` apart, and a
        later one: "frames" uint8 [B, inputs + 1, h, w, 3], "times" [B, inputs + 1]."""
        span = (inputs - 1) * stride
        key = jax.random.fold_in(jax.random.key(seed), step)
        of_first, of_target = jax.random.split(key)
        first = jax.random.randint(of_first, (size,), 0, self.learn - span - 1)
        ahead = jax.random.uniform(of_target, (size,))
        target = first + span + 1 + jnp.floor(ahead * (self.learn - 1 - span - first)).astype(jnp.int32)
        rows = jnp.concatenate([first[:, None] + stride * jnp.arange(inputs), target[:, None]], axis=1)
        return {"frames": jnp.asarray(self.frames)[rows], "times": jnp.asarray(self.times, jnp.float32)[rows]}

    def windows(self, firsts: Iterable[int], targets: Iterable[int], inputs: int, stride: int) -> dict[str, np.ndarray]:
        """The samples of these first frames and targets, as `batch`."""
        pairs = zip(firsts, targets, strict=True)
        rows = np.array([[*range(first, first + stride * inputs, stride), target] for first, target in pairs])
        return {"frames": self.frames[rows], "times": self.times[rows].astype(np.float32)}


def make_clip(
    frames: Iterable[tuple[float, UInt8[np.ndarray, "H W 3"]]], height: int, share: float, least: int
) -> Clip:
    """Reads a film. `height` px of the shrunk pictures; `share` of the frames to learn from; `least` of these.

    Raises: UsageError where the film is too short, or longer than `MOST` frames.
    """
    small, times, full = [], [], 0
    for time, picture in frames:
        if len(times) == MOST:
            raise UsageError(f"the film has more than {MOST} frames: set --config.start and --config.end")
        full = picture.shape[0]
        size = [MULTIPLE * max(4, round(x * height / full / MULTIPLE)) for x in picture.shape[:2]]
        small.append(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA))
        times.append(time)
    learn = int(share * len(times))
    if learn < least or learn > len(times) - 2:
        raise UsageError(
            f"{learn} of the film's {len(times)} frames are to learn from: at least {least} and two more are needed: "
            "set --config.start, end, share or stride"
        )
    stack = np.stack(small)
    still = np.median(stack[:learn], axis=0).round().astype(np.uint8)
    second = times[learn - 1] - times[0]
    return Clip(stack, still, (np.array(times) - times[0]) / second, second, learn, full)


__all__ = ["Clip", "make_clip"]
