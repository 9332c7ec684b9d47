"""The replay buffer: samples made by worker threads, kept in a ring, drawn at random, replaced oldest first.

By step s the workers have made P(s) = initial_fill + floor(s * batch / reuse) samples, the ring holds the indices
[P(s) - pool_size, P(s)), and index i is made for the first step with P(s) > i. So what a draw at step s sees depends
on the seed alone, whatever the threads' timing, and a resumed run makes the last `pool_size` samples again. That is
`buffer = deterministic`. With `buffer = free` workers and training run independently (the original guide's way):
faster where rendering is the bottleneck, not repeatable.

Samples may be any pytree of arrays of fixed shapes (`o2t_jax.data.ring` keeps them). `ring.Strata` separates samples
of several kinds that are drawn with probabilities of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from o2t_jax.data.children import InChildren
from o2t_jax.data.ring import BufferConfig, Ring, Strata
from o2t_jax.data.workers import Workers
from o2t_jax.errors import UsageError
from o2t_jax.types import PyTree

# Beside the streams of `o2t_jax.data.o2t.sample.SPLITS` (0 and 1): draws may not repeat a sample's random numbers.
DRAW_STREAM = 2

MakeElement = Callable[[int, int], PyTree]


class Buffer(Iterator[PyTree]):
    """Endless random batches of numpy arrays; position: the step whose batch comes next.

    Args: `make(index, step)` makes sample `index` as wanted at `step`: a pytree of arrays, the same for the same
    arguments, called from several threads. `seed` and `process_index` pick the draws; `strata` weighs them.
    `counters`: integer entries that are summed for the statistics and not part of a batch. `position`: what
    `get_state` gave, None to start at step 0; its pool size replaces the config's. `children` make the samples in
    place of the threads; the buffer ends them.

    One thread may draw; `close` may come from another. Threads begin with `start()`, at the latest with the first draw.
    """

    def __init__(
        self,
        make: MakeElement,
        config: BufferConfig,
        seed: int,
        *,
        process_index: int = 0,
        strata: Strata | None = None,
        counters: Sequence[str] = (),
        position: Mapping[str, Any] | None = None,
        children: InChildren | None = None,
    ) -> None:
        self.config = config
        self._seed, self._process_index = seed, process_index
        self._strata, self._counted = strata, tuple(counters)
        self._children = children
        self._step, self._pool_size = checked_position(position, config)
        self._ring = Ring(self._pool_size, strata.key if strata else None)
        self._free = config.buffer == "free"
        if self._free:
            # A free ring cannot be made again: fill a new one, with samples that no run to this step has made.
            first = self._pool_size + self._step * config.batch if self._step else 0
            self.fill_total = config.initial_fill
        else:
            first = max(0, config.produced(self._step) - self._pool_size)
            self.fill_total = config.produced(self._step) - first
        self.fill_done = self.rendered = self.drawn = self.missed = 0
        self.counters: dict[str, int] = {}
        self.drawn_by_stratum = np.zeros(len(strata.names) if strata else 0, np.int64)
        self._base_index, self._base_step, self._next_index = first, self._step, first

        def wanted(index: int) -> tuple[int, int]:
            return index, self._step if self._free else config.step_of(index)

        self._workers = Workers(
            lambda index: make(*wanted(index)),
            first=first,
            threads=config.render_workers,
            ahead=config.ahead,
            name="replay-worker",
            make_some=children and (lambda indices: children([wanted(index) for index in indices])),
            chunk=children.chunk if children else lambda: 1,
        )
        self._filler = threading.Thread(target=self._fill_freely, name="replay-filler", daemon=True)
        # Held for a copy into or out of a free ring; the workers' lock is not.
        self._ring_lock = threading.Lock()
        self._started = False

    def start(self) -> None:
        """Begins to fill the ring in the background; returns at once."""
        if not self._started:
            self._started = True
            self._workers.start()
            if self._free:
                self._filler.start()

    def __next__(self) -> PyTree:
        self.start()
        if self._free:
            self._wait_for_free_fill()
        else:
            while self._next_index < self.config.produced(self._step):
                self._store(next(self._workers))
        with self._ring_lock:
            batch = self._draw()
        with self._workers.changed:  # the free filler waits for the step
            self._step += 1
            self._workers.changed.notify_all()
        return batch

    def get_state(self) -> dict[str, int]:
        """`next_step` and `pool_size` (the ring's own): the same on every process of a distributed run."""
        return {"next_step": self._step, "pool_size": self._pool_size}

    @property
    def error(self) -> BaseException | None:
        """The first error of any thread."""
        return self._workers.error

    def close(self) -> None:
        """Ends all threads; a sample being made is finished first."""
        self._workers.stop()
        if self._children is not None:
            self._children.close()
        self._workers.close()
        if self._filler.is_alive() and self._filler is not threading.current_thread():
            self._filler.join(timeout=10.0)

    def _store(self, element: PyTree) -> None:
        """Puts the next sample into the ring, without its counters."""
        if self._counted:
            element = dict(element)
            for key in self._counted:
                if key in element:
                    self.counters[key] = self.counters.get(key, 0) + int(element.pop(key))
        self._ring.put(self._next_index, element)
        self._next_index += 1
        self.rendered += 1
        self.fill_done = min(self.fill_done + 1, self.fill_total)

    def _draw(self) -> PyTree:
        weights = self._strata.weights(self._step) if self._strata else None
        # The random numbers of a draw depend on the seed, the step and the process alone.
        rng = np.random.default_rng((self._seed, DRAW_STREAM, self._step, self._process_index))
        slots, missed = self._ring.choose(rng, self.config.batch, weights)
        self.drawn += len(slots)
        self.missed += missed
        if weights is not None:
            self.drawn_by_stratum += np.bincount(self._ring.strata(slots), minlength=len(weights))
        return self._ring.take(slots)

    def _wait_for_free_fill(self) -> None:
        workers = self._workers
        with workers.changed:
            workers.changed.wait_for(lambda: workers.over or self.fill_done >= self.fill_total)
            workers.check()

    def _fill_freely(self) -> None:
        """The free buffer's own thread: fills the pool, then stores at most one sample per sample drawn.

        More would only replace samples that were never drawn, and would take the cores from the training step.
        """
        workers = self._workers

        def wanted() -> bool:
            drawn = (self._step - self._base_step) * self.config.batch
            return self._next_index - self._base_index < self._pool_size + drawn

        try:
            while True:
                with workers.changed:
                    workers.changed.wait_for(lambda: workers.over or wanted())
                element = next(workers)
                with self._ring_lock:
                    self._store(element)
                with workers.changed:
                    workers.changed.notify_all()
        except BaseException as error:
            workers.fail(error)


def checked_position(position: Mapping[str, Any] | None, config: BufferConfig) -> tuple[int, int]:
    """Step and pool size of a position. Raises UsageError where they do not fit the config."""
    if position is None:
        return 0, config.pool_size
    step, pool_size = int(position["next_step"]), int(position["pool_size"])
    if step < 0 or pool_size < max(config.batch, config.initial_fill):
        raise UsageError(
            f"the saved data position (step {step}, pool_size {pool_size}) does not fit batch={config.batch} "
            f"and initial_fill={config.initial_fill}: start a new workdir"
        )
    return step, pool_size


__all__ = ["DRAW_STREAM", "Buffer", "MakeElement", "checked_position"]
