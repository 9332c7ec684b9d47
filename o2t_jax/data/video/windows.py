"""Training windows of several sets: clips made once at the start, then cut anywhere, a pure function of (seed, step).

Making clips inside the training step would cost the rendering of each clip up to the window's end, at every step, and
the compilation of nine generators; a pool of bytes costs a second or two a set, once, and a step nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from o2t_jax.data.stored import StoredSet
from o2t_jax.data.video.clips import Clips

_CHUNK = 128  # clips made between two reports of progress
_KEPT = ("pictures", "actions", "places", "seen", "constant")
_JUDGED = ("rewards", "continues")  # where the set has them


@dataclasses.dataclass(frozen=True)
class Pool:
    """Clips of K sets in memory.

    Attributes: `clips`, name -> their arrays [N, T, ...] (`make_clip`), in the order of `shares`; `shares`, name ->
    share of a batch, adding up to 1; `weights`, name -> weight of a clip's squared errors.
    """

    clips: Mapping[str, Mapping[str, np.ndarray]]
    shares: Mapping[str, float]
    weights: Mapping[str, float]

    def batch(self, seed: int, step: int, size: int, length: int) -> dict[str, np.ndarray]:
        """`size` windows of `length` frames of clips drawn for this step.

        `pictures` uint8 [B, length, S, S]; `actions` [B, length - 1, A]; `weight` [B]; `rewards` and `continues` [B,
        length] where every set has them. Each set has its share to within one clip, and places in the batch in the
        sets' order.
        """
        random = np.random.default_rng(np.random.SeedSequence([seed, step]))
        names = list(self.shares)
        edges = np.cumsum([self.shares[name] for name in names])
        # Systematic sampling: one draw for all, so that an even mix is even in every batch.
        which = np.searchsorted(edges, (random.random() + np.arange(size)) / size * edges[-1], side="right")
        whole = ("pictures", *(name for name in _JUDGED if all(name in clips for clips in self.clips.values())))
        rows: dict[str, list[Any]] = {name: [] for name in (*whole, "actions", "weight")}
        for k in np.minimum(which, len(names) - 1):
            clips = self.clips[names[k]]
            number = random.integers(len(clips["pictures"]))
            start = random.integers(clips["pictures"].shape[1] - length + 1)
            for name in whole:
                rows[name].append(clips[name][number, start : start + length])
            rows["actions"].append(clips["actions"][number, start : start + length - 1])
            rows["weight"].append(np.float32(self.weights[names[k]]))
        return {name: np.stack(parts) for name, parts in rows.items()}


def made(source: Clips, split: str, count: int, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """The first `count` clips of a split: `pictures`, `actions`, `places`, `seen`, `constant`, and if the set has them
    `rewards`, `continues`."""
    parts, kept = [], kept_of(source.spec)
    for first in range(0, count, _CHUNK):
        some = source.batch(split, np.arange(first, min(first + _CHUNK, count)))
        parts.append({name: np.asarray(some[name]) for name in kept})
        if progress is not None:
            progress(min(first + _CHUNK, count), count)
    return {name: np.concatenate([part[name] for part in parts]) for name in kept}


def stored(opened: StoredSet, count: int) -> dict[str, Any]:
    """Training clips of a stored set, as `made`: the first `count`, all where it is 0 or the set has fewer."""
    size = opened.size("train")
    found = opened.read("train", np.arange(min(count or size, size)))
    return {name: found[name] for name in kept_of(opened.spec)}


def kept_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of a clip's arrays that a pool holds."""
    return (*_KEPT, *(name for name in _JUDGED if name in spec))


def variance(pictures: np.ndarray) -> float:
    """Of a set's pictures uint8 [N, T, S, S] about their mean picture, in units of white squared."""
    mean = np.mean(pictures, axis=(0, 1), dtype=np.float64)
    square = np.mean([np.mean(np.square(clip.astype(np.float32)), axis=0) for clip in pictures], axis=0)
    return float(np.mean(square - mean**2)) / 255.0**2


__all__ = ["Pool", "kept_of", "made", "stored", "variance"]
