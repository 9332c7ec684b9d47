"""Clips of one set, made on the device: a pure function of (seed, split, index). `experiments.generate` stores them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.data.records import named_leaves
from o2t_jax.data.simulated import in_blocks, sequence_key, split_number
from o2t_jax.errors import UsageError
from o2t_jax.physics.primitives import Drawing
from o2t_jax.physics.video.base import Acted, Motion, VideoSet
from o2t_jax.render.planar import draw, to_bytes
from o2t_jax.types import Array

FRAMES, SIZE = 30, 64  # as the original's
SIZES = (32, 64)
ACTIONS = 2
_SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
_BLOCK = 16  # clips that one call of the compiled program makes


def picture(video: VideoSet, motion: Motion, params: Any, size: int) -> jax.Array:
    """One frame, [size, size] grey, 0 to 1; `motion` without its first axis."""
    shown = video.show(motion, params)
    if isinstance(shown, Drawing):
        return draw(shown, size, size)[..., 0]
    side = shown.shape[0] // size
    return jnp.mean(shown.reshape(size, side, size, side), axis=(1, 3))


def make_clip(video: VideoSet, key: jax.Array, frames: int, size: int) -> dict[str, Any]:
    """One clip of T = `frames` frames, of constants and a start drawn by `key`; see `clip_of`."""
    return clip_of(video, video.draw(key), frames, size)


def clip_of(video: VideoSet, params: Any, frames: int, size: int) -> dict[str, Any]:
    """The clip of T = `frames` frames that follows from `params`.

    Returns: `pictures` uint8 [T, size, size]; `states` [T, D] (px of 64 and frames, see `VideoSet.entries`); `places`
    [T, K, 2] px of 64, y up, of the things that move, and which of them are `seen` [K]; `actions` [T - 1, 2], zero
    where nothing is pushed; `constant` [], the one that differs from clip to clip (0: none); `params`, all that the
    clip was made from; `rewards`, `continues` [T] of sets that have them (`Acted`).
    """
    motion = video.move(params, frames)
    rows = motion._replace(seen=jnp.broadcast_to(motion.seen, (frames, *motion.seen.shape)))
    pictures = jax.lax.map(lambda now: to_bytes(picture(video, now, params, size)), rows)
    named = named_leaves(params)
    constants = [leaf for name, leaf in named.items() if name.rpartition("/")[2] == video.constant]
    acted = video.acted(motion, params) if isinstance(video, Acted) else {"actions": jnp.zeros((frames - 1, ACTIONS))}
    return {
        "pictures": pictures,
        "states": motion.state,
        "places": motion.place,
        "seen": motion.seen,
        "constant": constants[0] if video.constant else jnp.zeros(()),
        **acted,
        "params": jax.tree.map(jnp.asarray, params),
    }


@dataclasses.dataclass(frozen=True)
class Clips:
    """Clips of a set, of `frames` frames of `size` px.

    As samples to store: see `types.SampleSource`. Raises: UsageError for a size or a number of frames that cannot be.
    """

    video: VideoSet
    seed: int
    frames: int = FRAMES
    size: int = SIZE

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise UsageError(f"size={self.size} px must be one of {', '.join(map(str, SIZES))}")
        if self.frames < 2:
            raise UsageError(f"frames={self.frames}: a clip has at least 2 frames")

    @functools.cached_property
    def _make(self) -> Callable[..., dict[str, Any]]:
        def one(seed: Any, split: Any, index: Any) -> dict[str, Any]:
            return make_clip(self.video, sequence_key(seed, split, index), self.frames, self.size)

        return jax.jit(jax.vmap(one, (None, None, 0)))

    def batch(self, split: str, indices: Array) -> dict[str, Any]:
        """Clips `indices` int [B] of a split, leaves [B, ...] as in `make_clip`, on the host.

        The bits of a clip do not depend on the others asked for (`in_blocks`). Raises: UsageError for an unknown split.
        """
        number = split_number(split)
        return in_blocks(lambda block: self._make(self.seed, number, block), np.asarray(indices, np.uint32), _BLOCK)

    @property
    def name(self) -> str:
        """The set's."""
        return self.video.name

    @property
    def splits(self) -> Mapping[str, int]:
        """Streams of their own (`sequence_key`): no clip is in two of them. Their sum is the original's number."""
        return {split: round(share * self.video.clips) for split, share in _SHARES.items()}

    @property
    def description(self) -> dict[str, Any]:
        """Set, frames, size, the constant that varies and its limits, the state's entries."""
        video = self.video
        return {
            "set": video.name,
            "frames": self.frames,
            "size": self.size,
            "constant": {video.constant: [0.5 * video.nominal, 2.0 * video.nominal]} if video.constant else {},
            "entries": list(video.entries),
        }

    @property
    def spec(self) -> dict[str, jax.ShapeDtypeStruct]:
        """See `types.SampleSource`."""
        return self._spec

    @functools.cached_property
    def _spec(self) -> dict[str, jax.ShapeDtypeStruct]:
        one = jax.eval_shape(lambda: make_clip(self.video, jax.random.key(0), self.frames, self.size))
        return named_leaves(one)

    def make(self, split: str, indices: np.ndarray) -> dict[str, np.ndarray]:
        """`batch`, as flat names."""
        return {name: np.asarray(leaf) for name, leaf in named_leaves(self.batch(split, indices)).items()}


__all__ = ["ACTIONS", "FRAMES", "SIZE", "SIZES", "Clips", "clip_of", "make_clip", "picture"]
