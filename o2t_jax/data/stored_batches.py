"""Endless shuffled batches of a stored set, read ahead by a thread: the training iterator of a system that has one."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from o2t_jax.data.stored import StoredSet
from o2t_jax.data.workers import Workers
from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    from o2t_jax.types import Batch, PyTree


class StoredBatches:
    """A `BatchIterator`: batch t is a pure function of the set, the split, the seed and t.

    Every epoch is a permutation of the split's samples (grain's `MapDataset.shuffle`, which needs no memory for it). A
    batch may reach from one epoch into the next.

    Args:
        stored: an open set; closed with the iterator.
        batch: samples per step, over all processes; may exceed the split's number.
        seeds: one, or S of them, each with batches of its own: leaves [S, B, ...].
        position: `get_state()` of an earlier iterator, to go on from there.
        prepare: (samples as stored, their indices, the step) -> the system's batch, such as a choice of names; runs in
            the thread.
        place: puts a batch of numpy arrays on the device(s); runs in the thread.
        process_index, process_count: this process reads its own share of every batch and no more.
        ahead: batches that wait, placed, while one more is read.

    Raises: UsageError for an unknown or empty split, or a batch that the processes cannot share.
    """

    def __init__(
        self,
        stored: StoredSet,
        split: str,
        batch: int,
        *,
        seeds: Sequence[int] = (0,),
        position: Mapping[str, Any] | None = None,
        prepare: Callable[[dict[str, np.ndarray], np.ndarray, int], Batch] = lambda samples, indices, step: samples,
        place: Callable[[Batch], PyTree] = lambda batch: batch,
        process_index: int = 0,
        process_count: int = 1,
        ahead: int = 1,
    ) -> None:
        import grain

        if not stored.size(split):
            raise UsageError(f"{stored.path}: {split} has no samples: make a set with --{split} above 0")
        if batch < 1 or batch % process_count:
            raise UsageError(f"batch={batch} must be a positive multiple of the {process_count} processes")
        share = batch // process_count
        places = np.arange(process_index * share, (process_index + 1) * share)
        orders = [grain.MapDataset.range(stored.size(split)).shuffle(seed=_mixed(seed)).repeat() for seed in seeds]

        def indices(step: int) -> np.ndarray:
            drawn = np.array([[order[int(place)] for place in step * batch + places] for order in orders])
            return drawn if len(orders) > 1 else drawn[0]

        def draw(step: int) -> PyTree:
            chosen = indices(step)
            return place(prepare(stored.read(split, chosen), chosen, step))

        self._next = 0 if position is None else int(position["next_step"])
        self._workers = Workers(draw, first=self._next, threads=1, ahead=ahead + 1, name="stored-batches")
        self._waited, self._delivered = 0.0, 0
        # An iterator that is dropped without `close` must not leave its thread, which holds the set, not the iterator.
        self._finalizer = weakref.finalize(self, _shut_down, self._workers, stored)

    def start(self) -> None:
        """Begins to read in the background; returns at once."""
        self._workers.start()

    def __iter__(self) -> StoredBatches:
        return self

    def __next__(self) -> PyTree:
        self.start()
        begun = time.monotonic()
        batch = next(self._workers)
        self._waited += time.monotonic() - begun
        self._delivered += 1
        self._next += 1
        return batch

    def get_state(self) -> dict[str, Any]:
        """Position after the last batch that was returned: {"next_step": t}."""
        return {"next_step": self._next}

    def stats(self) -> dict[str, float]:
        """Since the start of this process: seconds waited, batches."""
        return {"waited_seconds": self._waited, "batches": float(self._delivered)}

    def close(self) -> None:
        """Ends the thread and closes the set. Safe to call twice."""
        self._finalizer()


def _mixed(seed: int) -> int:
    """grain orders epoch e of seed s as epoch 0 of seed s + e: neighbouring seeds must not become neighbours there."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


def _shut_down(workers: Workers, stored: StoredSet) -> None:
    workers.close()
    stored.close()


__all__ = ["StoredBatches"]
