"""The replay ring: samples made by worker threads, kept in memory, drawn at random, replaced oldest first.

By step s the workers have made P(s) = initial_fill + floor(s * batch / reuse) samples, the ring holds the indices
[P(s) - pool_size, P(s)), and index i is made as the curriculum wants it at the first step with P(s) > i. So what a
draw at step s sees depends on the seed alone, whatever the threads' timing, and a resumed run makes the last
`pool_size` samples again. That is `buffer = deterministic`. With `buffer = free` workers and training run on
independently (the original guide's way): quicker where rendering is the bottleneck, not repeatable.

Samples may be any pytree of arrays of fixed shapes (`o2t_jax.data.ring` keeps them). Samples of several kinds that are
drawn with probabilities of their own are told apart by `ring.Strata`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grain
import numpy as np

from o2t_jax.data.ring import BufferConfig, Ring, Strata
from o2t_jax.errors import UsageError
from o2t_jax.types import PyTree

# Beside the streams of `o2t_jax.data.o2t.sample.SPLITS` (0 and 1): draws may not repeat a sample's random numbers.
_DRAW_STREAM = 2

MakeElement = Callable[[int, int], PyTree]


class Stopped(Exception):
    """Raised in worker and prefetch threads to leave early when the iterator closes; never reaches a user."""


class Monitor:
    """What happens behind an iterator: counters, the first error, the order to stop. Shared between threads."""

    def __init__(self, strata: int = 0) -> None:
        self.lock = threading.Condition()
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self.step = 0
        self.in_flight = 0
        self.rendered = 0
        self.drawn = 0
        self.missed = 0
        self.fill_done = 0
        self.fill_total = 0
        self.counters: dict[str, int] = {}
        self.drawn_by_stratum = np.zeros(strata, np.int64)

    def fail(self, error: BaseException) -> None:
        with self.lock:
            if self.error is None and not isinstance(error, Stopped):
                self.error = error
            self.lock.notify_all()

    def check(self) -> None:
        """Raises the first error of any thread, or Stopped."""
        if self.error is not None:
            raise self.error
        if self.stop.is_set():
            raise Stopped

    def close(self, patience: float = 10.0) -> None:
        """Asks all threads to leave and waits for the samples being made, for at most `patience` seconds."""
        self.stop.set()
        with self.lock:
            self.lock.notify_all()
            self.lock.wait_for(lambda: self.in_flight == 0, timeout=patience)


class ReplayDataset(grain.IterDataset):
    """Endless random batches out of a ring, as a grain dataset.

    Args: `make(index, step)` makes sample `index` as wanted at `step`: a pytree of arrays, the same for the same
    arguments, called from several threads. `seed` and `process_index` pick the draws; `strata` weighs them.
    `counters`: integer entries that are summed for the statistics and not part of a batch.
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
    ) -> None:
        super().__init__()
        self.make, self.config, self._entropy = make, config, (seed, _DRAW_STREAM, process_index)
        self.strata, self.counters = strata, tuple(counters)
        self.monitor = Monitor(len(strata.names) if strata else 0)

    def __iter__(self) -> ReplayIterator:
        return ReplayIterator(self)

    def rng(self, step: int) -> np.random.Generator:
        """The random numbers of the draw at `step`: they depend on the seed, the step and the process alone."""
        seed, stream, process = self._entropy
        return np.random.default_rng((seed, stream, step, process))


class ReplayIterator(grain.DatasetIterator):
    """Position: the step whose batch comes next. One thread may advance it; `close` may come from another."""

    def __init__(self, dataset: ReplayDataset) -> None:
        super().__init__()
        self._dataset, self._monitor = dataset, dataset.monitor
        self._free = dataset.config.buffer == "free"
        self._pool_size = dataset.config.pool_size
        self._step = 0
        self._base_index = self._base_step = 0
        self._ring: Ring | None = None
        self._reader: Any = None
        self._next_index = 0
        self._filler: threading.Thread | None = None
        # Held for a copy into or out of a free ring; the monitor's lock, which every worker needs, is not.
        self._ring_lock = threading.Lock()

    def __next__(self) -> PyTree:
        try:
            self._monitor.check()
            if self._ring is None:
                self._open()
            return self._next_free() if self._free else self._next_deterministic()
        except Exception as error:
            self._monitor.fail(error)
            raise

    def get_state(self) -> dict[str, int]:
        """`next_step` and `pool_size` (what the ring really has): the same on every process of a distributed run."""
        return {"next_step": self._step, "pool_size": self._pool_size}

    def set_state(self, state: Mapping[str, int]) -> None:
        """Before the first batch only: the ring is filled for `next_step` when that batch is asked for."""
        if self._ring is not None:
            raise ValueError("set_state after the first batch: make a new iterator")
        config = self._dataset.config
        step, pool_size = int(state["next_step"]), int(state["pool_size"])
        if step < 0 or pool_size < max(config.batch, config.initial_fill):
            raise UsageError(
                f"the saved data position (step {step}, pool_size {pool_size}) does not fit batch={config.batch} "
                f"and initial_fill={config.initial_fill}: start a new workdir"
            )
        self._step, self._pool_size = step, pool_size

    def close(self) -> None:
        """Stops all threads; a sample being made is finished first."""
        if self._closed:
            return
        super().close()
        self._monitor.close()
        if self._reader is not None:
            self._reader.close()
        if self._filler is not None and self._filler is not threading.current_thread():
            self._filler.join(timeout=10.0)

    # --- making samples

    def _open(self) -> None:
        config = self._dataset.config
        self._ring = Ring(self._pool_size, self._dataset.strata.key if self._dataset.strata else None)
        self._monitor.step = self._step
        produced = config.produced(self._step)
        if self._free:
            # A free ring cannot be had again: start as at first, with samples beyond what `_fill_freely` allows before.
            first = self._pool_size + self._step * config.batch if self._step else 0
            self._monitor.fill_total = config.initial_fill
        else:
            first = max(0, produced - self._pool_size)
            self._monitor.fill_total = produced - first
        self._next_index = first
        options = grain.ReadOptions(num_threads=config.render_workers, prefetch_buffer_size=config.ahead)
        self._reader = iter(grain.MapDataset.range(sys.maxsize).map(self._make).to_iter_dataset(options))
        self._reader.set_state({"next_index": first})
        if self._free:
            self._base_index, self._base_step = first, self._step
            self._filler = threading.Thread(target=self._fill_freely, name="replay-filler", daemon=True)
            self._filler.start()

    def _make(self, index: int) -> PyTree:
        """Runs in a worker thread."""
        monitor = self._monitor
        with monitor.lock:
            monitor.check()
            monitor.in_flight += 1
        try:
            step = monitor.step if self._free else self._dataset.config.step_of(index)
            return self._dataset.make(index, step)
        except Exception as error:
            # Told at once: in the queue the error would wait behind the samples that come before it.
            monitor.fail(error)
            raise
        except BaseException as error:
            # A renderer that calls sys.exit would end the prefetch thread without a word, and the consumer would wait.
            wrapped = RuntimeError(f"a worker thread raised {type(error).__name__}: {error}")
            monitor.fail(wrapped)
            raise wrapped from error
        finally:
            with monitor.lock:
                monitor.in_flight -= 1
                monitor.lock.notify_all()

    def _pull(self) -> tuple[int, PyTree]:
        """The next sample in order of index, its counters taken out."""
        monitor = self._monitor
        monitor.check()
        try:
            element = next(self._reader)
        except BaseException:
            # Closing from another thread breaks the reader in many ways; only the reason matters.
            monitor.check()
            raise
        index, self._next_index = self._next_index, self._next_index + 1
        if self._dataset.counters and isinstance(element, Mapping):
            element = dict(element)
            for key in self._dataset.counters:
                if key in element:
                    monitor.counters[key] = monitor.counters.get(key, 0) + int(element.pop(key))
        return index, element

    def _store(self, index: int, element: PyTree) -> None:
        assert self._ring is not None
        self._ring.put(index, element)
        self._monitor.rendered += 1
        self._monitor.fill_done = min(self._monitor.fill_done + 1, self._monitor.fill_total)

    # --- drawing

    def _draw(self) -> PyTree:
        assert self._ring is not None
        dataset, monitor = self._dataset, self._monitor
        weights = dataset.strata.weights(self._step) if dataset.strata else None
        slots, missed = self._ring.choose(dataset.rng(self._step), dataset.config.batch, weights)
        monitor.drawn += len(slots)
        monitor.missed += missed
        if weights is not None:
            monitor.drawn_by_stratum += np.bincount(self._ring.strata(slots), minlength=len(weights))
        batch = self._ring.take(slots)
        self._step += 1
        return batch

    def _next_deterministic(self) -> PyTree:
        target = self._dataset.config.produced(self._step)
        while self._next_index < target:
            self._store(*self._pull())
        return self._draw()

    def _next_free(self) -> PyTree:
        monitor = self._monitor
        with monitor.lock:
            monitor.lock.wait_for(
                lambda: monitor.error or monitor.stop.is_set() or monitor.fill_done >= monitor.fill_total
            )
            monitor.check()
        with self._ring_lock:
            batch = self._draw()
        with monitor.lock:
            monitor.step = self._step
            monitor.lock.notify_all()
        return batch

    def _fill_freely(self) -> None:
        """The free buffer's own thread: fills the pool, then makes at most one sample per sample drawn.

        More would only replace samples that nobody has seen, and would take the cores from the training step.
        """
        monitor, config = self._monitor, self._dataset.config

        def wanted() -> bool:
            drawn = (self._step - self._base_step) * config.batch
            return self._next_index - self._base_index < self._pool_size + drawn

        try:
            while True:
                with monitor.lock:
                    monitor.lock.wait_for(lambda: monitor.error or monitor.stop.is_set() or wanted())
                index, element = self._pull()
                with self._ring_lock:
                    self._store(index, element)
                with monitor.lock:
                    monitor.lock.notify_all()
        except BaseException as error:
            monitor.fail(error)
