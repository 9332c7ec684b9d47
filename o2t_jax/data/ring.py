"""The memory of the replay buffer: its sizes, the ring of samples, and how a batch is drawn from it.

A sample is any pytree of arrays of fixed shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import numpy as np

from o2t_jax.config import unknown_choice
from o2t_jax.errors import UsageError
from o2t_jax.types import PyTree

MAX_SEED = 2**32 - 1
BUFFERS = ("deterministic", "free")


@dataclass(frozen=True)
class BufferConfig:
    """Sizes of the buffer, per process; the field names are those of the flat config.

    `pool_size`: samples in the ring. `initial_fill`: samples made before the first step. `batch`: samples a step.
    `reuse`: how often a sample is drawn on average. `render_workers`: threads. `buffer`: one of `BUFFERS`.
    """

    pool_size: int
    initial_fill: int
    batch: int
    reuse: float
    render_workers: int
    buffer: str

    def __post_init__(self) -> None:
        for name in ("pool_size", "initial_fill", "batch", "render_workers"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} must be at least 1: set --config.{name}=1 or more")
        if self.buffer not in BUFFERS:
            raise unknown_choice("buffer", self.buffer, BUFFERS)
        if not 1.0 <= self.reuse < float("inf"):
            raise UsageError(f"reuse={self.reuse} must be at least 1: below, samples are made that nobody draws")
        if self.pool_size < self.batch:
            raise UsageError(f"pool_size={self.pool_size} is below batch={self.batch}: raise pool_size or lower batch")
        if self.initial_fill > self.pool_size:
            raise UsageError(
                f"initial_fill={self.initial_fill} exceeds pool_size={self.pool_size}: "
                "lower initial_fill or raise pool_size"
            )
        if self.initial_fill < self.batch:
            raise UsageError(
                f"initial_fill={self.initial_fill} is below batch={self.batch}: the first batch would repeat samples; "
                "raise initial_fill"
            )

    @property
    def _ratio(self) -> Fraction:
        """New samples per step, exact: floats would let P(s) and its inverse disagree in a long run."""
        return Fraction(self.batch) / Fraction(self.reuse).limit_denominator(1_000_000)

    def produced(self, step: int) -> int:
        """P(step): samples made when the batch of `step` is drawn."""
        return self.initial_fill + int(step * self._ratio)

    def step_of(self, index: int) -> int:
        """The first step with P(step) > index: for which sample `index` is made."""
        missing = index + 1 - self.initial_fill
        return 0 if missing <= 0 else -int(-missing // self._ratio)

    @property
    def ahead(self) -> int:
        """Finished samples that may wait outside the ring: enough for one step, and for two a worker."""
        return max(2 * self.render_workers, int(self._ratio) + 1 + self.render_workers)

    def host_samples(self) -> int:
        """Samples in host memory at most: the ring, what waits, what is being made, three batches in flight."""
        return self.pool_size + self.ahead + self.render_workers + 3 * self.batch


class Strata(NamedTuple):
    """Kinds of samples that are drawn with probabilities of their own.

    Attributes: `key`, a sample's integer entry that says which kind it is, 0 to K - 1; `weights(step)` [K], the
    probabilities at a step; `names` [K], for the statistics.
    """

    key: str
    weights: Callable[[int], Sequence[float]]
    names: tuple[str, ...]


class Ring:
    """`pool_size` samples of one structure, allocated once at the first `put`; slot = index mod pool_size.

    `held` [pool_size]: the index of the sample in each slot, -1 where there is none yet. `stratum_key`: the entry of a
    sample that says its stratum (`Strata.key`), or None where all are alike.
    """

    def __init__(self, pool_size: int, stratum_key: str | None = None) -> None:
        self.pool_size, self.stratum_key = pool_size, stratum_key
        self.held = np.full(pool_size, -1, np.int64)
        self._leaves: list[np.ndarray] = []
        self._structure: Any = None
        self._strata = np.full(pool_size, -1, np.int32)

    def put(self, index: int, element: PyTree) -> None:
        """Stores sample `index` over the oldest one. Raises UsageError when its shapes differ from the first's."""
        found_leaves, structure = jax.tree_util.tree_flatten(element)
        leaves = [np.asarray(leaf) for leaf in found_leaves]
        if self._structure is None:
            self._structure = structure
            self._leaves = [np.empty((self.pool_size, *leaf.shape), leaf.dtype) for leaf in leaves]
        found = [(leaf.shape, leaf.dtype) for leaf in leaves]
        expected = [(ring.shape[1:], ring.dtype) for ring in self._leaves]
        if structure != self._structure or found != expected:
            raise UsageError(f"sample {index} has other entries or shapes than the first: {found}, not {expected}")
        slot = index % self.pool_size
        for ring, leaf in zip(self._leaves, leaves, strict=True):
            ring[slot] = leaf
        if self.stratum_key is not None:
            self._strata[slot] = int(element[self.stratum_key])
        self.held[slot] = index

    def take(self, slots: np.ndarray) -> PyTree:
        """The samples in `slots` [B], stacked along a new first axis, in fresh memory.

        Fresh, because on CPU a JAX array may alias the numpy memory it was made from: writing the next batch into the
        same buffer would change a batch in flight.
        """
        taken = []
        for ring in self._leaves:
            out = np.empty((len(slots), *ring.shape[1:]), ring.dtype)
            # mode="clip" skips numpy's buffered copy for out=; the slots are in range.
            np.take(ring, slots, axis=0, out=out, mode="clip")
            taken.append(out)
        return jax.tree_util.tree_unflatten(self._structure, taken)

    def choose(self, rng: np.random.Generator, batch: int, weights: Sequence[float] | None) -> tuple[np.ndarray, int]:
        """Slots [batch] for one batch: the stratum by `weights`, then uniformly among that stratum's slots.

        Where none of a stratum is in the ring, those present are drawn instead, by their weights. Slots repeat within
        a batch only where a stratum has fewer than are asked for.
        Returns: (slots, how many draws wanted a stratum that was absent).
        """
        if weights is None or self.stratum_key is None:
            return _pick(rng, np.flatnonzero(self.held >= 0), batch), 0
        by_stratum = [np.flatnonzero(self._strata == stratum) for stratum in range(len(weights))]
        counts = np.array([len(slots) for slots in by_stratum])
        wanted = _draw_strata(rng, np.asarray(weights, np.float64), batch)
        absent = counts[wanted] == 0
        missed = int(absent.sum())
        if missed:
            usable = np.where(counts > 0, weights, 0.0)
            wanted[absent] = _draw_strata(rng, usable if usable.sum() > 0 else counts.astype(np.float64), missed)
        chosen = np.empty(batch, np.intp)
        for stratum, slots in enumerate(by_stratum):
            where = np.flatnonzero(wanted == stratum)
            if len(where):
                chosen[where] = _pick(rng, slots, len(where))
        return chosen, missed

    def strata(self, slots: np.ndarray) -> np.ndarray:
        """Stratum [B] of the samples in `slots`; -1 without a stratum key."""
        return self._strata[slots]


def _draw_strata(rng: np.random.Generator, weights: np.ndarray, size: int) -> np.ndarray:
    cumulative = np.cumsum(weights)
    return np.searchsorted(cumulative, rng.random(size) * cumulative[-1], side="right")


def _pick(rng: np.random.Generator, slots: np.ndarray, size: int) -> np.ndarray:
    """`size` of `slots`, uniformly; without repeats where there are enough."""
    return rng.choice(slots, size, replace=size > len(slots))
