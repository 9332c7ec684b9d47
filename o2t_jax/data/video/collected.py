"""Clips that were collected while something acted, as samples to store beside those of a set (`types.SampleSource`)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from o2t_jax.data.records import named_leaves
from o2t_jax.data.simulated import in_blocks
from o2t_jax.data.video.clips import Clips, clip_of
from o2t_jax.types import Array, PyTree

_BLOCK = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Collected:
    """Clips of the same set, frames and size as `like`, which follow from `params`, leaves [N, ...]: split "train"."""

    like: Clips
    params: PyTree

    @property
    def name(self) -> str:
        """The set's."""
        return self.like.name

    @property
    def description(self) -> Mapping[str, Any]:
        """As `like`'s: such clips are read in one pool with those."""
        return self.like.description

    @property
    def seed(self) -> int:
        """The seed of `like`."""
        return self.like.seed

    @property
    def splits(self) -> Mapping[str, int]:
        """All are for training."""
        return {"train": len(jax.tree.leaves(self.params)[0])}

    @property
    def spec(self) -> dict[str, jax.ShapeDtypeStruct]:
        """As `like`'s."""
        return self.like.spec

    @functools.cached_property
    def _make(self) -> Callable[..., dict[str, Any]]:
        like = self.like
        return jax.jit(jax.vmap(lambda params: clip_of(like.video, params, like.frames, like.size)))

    def make(self, split: str, indices: np.ndarray) -> dict[str, np.ndarray]:
        """See `types.SampleSource`."""
        made = in_blocks(lambda block: self._make(_at(self.params, block)), np.asarray(indices), _BLOCK)
        return {name: np.asarray(leaf) for name, leaf in named_leaves(made).items()}


class Shuffled:
    """A control: clips `like` their source's training clips, each with the pushes of the next one."""

    def __init__(self, source: Clips, count: int) -> None:
        self.source, self.count = source, count
        self.name, self.description, self.seed, self.spec = source.name, source.description, source.seed, source.spec
        self.splits = {"train": count}

    def make(self, split: str, indices: np.ndarray) -> dict[str, np.ndarray]:
        """See `types.SampleSource`."""
        found = self.source.make(split, indices)
        return {**found, "actions": self.source.make(split, (np.asarray(indices) + 1) % self.count)["actions"]}


def _at(params: PyTree, indices: Array) -> PyTree:
    return jax.tree.map(lambda x: np.asarray(x)[indices], params)


__all__ = ["Collected", "Shuffled"]
