"""From a source to batches on the device: replay ring, placement, and a thread that stays one batch ahead.

    with Pipeline(make, buffer, seed, place=put_on_devices, ...) as batches:
        for batch in batches: ...

The next batch is drawn and placed while the step before it runs. An error in any thread surfaces in the next
`__next__` as it was raised. Leaving the `with` block (also by Ctrl-C) ends all threads.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import grain

from o2t_jax.data.replay import MakeElement, Monitor, ReplayDataset
from o2t_jax.data.ring import MAX_SEED, BufferConfig, Strata
from o2t_jax.errors import UsageError
from o2t_jax.types import PyTree

Progress = Callable[[int, int, float], None]
_POLL_S = 0.02
_PROGRESS_EVERY_S = 0.25


class Pipeline:
    """Endless batches with a position; implements `o2t_jax.types.BatchIterator`.

    Args: `make(index, step)`, `seed`, `strata`, `counters` as in `ReplayDataset`; `buffer` holds the
    sizes, per process. `place` puts a batch of numpy arrays on the device(s); it runs in the prefetch thread and may
    keep the arrays, which are never written again. `prefetch`: batches that wait, placed. `process_index` of
    `process_count` draws its own stream. `progress(done, total, per_second)` is called from the waiting thread while
    the ring fills.

    Threads start with `start()`, at the latest with the first batch: starting before the model compiles hides the fill.
    """

    def __init__(
        self,
        make: MakeElement,
        buffer: BufferConfig,
        seed: int,
        *,
        place: Callable[[PyTree], PyTree] | None = None,
        process_index: int = 0,
        process_count: int = 1,
        strata: Strata | None = None,
        counters: Sequence[str] = (),
        prefetch: int = 1,
        progress: Progress | None = None,
    ) -> None:
        if not 0 <= seed <= MAX_SEED:
            raise UsageError(f"seed={seed} must be in 0..{MAX_SEED}")
        if not 0 <= process_index < process_count:
            raise UsageError(f"process_index={process_index} must be in 0..{process_count - 1}")
        if prefetch < 1:
            raise UsageError(f"prefetch={prefetch} must be at least 1")
        self.buffer, self.progress = buffer, progress
        self._names = strata.names if strata else ()
        self._place = place or (lambda batch: batch)
        self._prefetch = prefetch
        self._new_dataset = lambda: ReplayDataset(
            make,
            buffer,
            seed,
            process_index=process_index,
            strata=strata,
            counters=counters,
        )
        self._waited = self._filled_in = 0.0
        self._handed_out = 0
        self._started = False
        self._build(None)

    def _build(self, state: Mapping[str, int] | None) -> None:
        dataset = self._new_dataset()
        self._monitor = dataset.monitor
        placed = dataset.map(self._place)
        iterator: Any = iter(grain.experimental.ThreadPrefetchIterDataset(placed, prefetch_buffer_size=self._prefetch))
        if state is not None:
            iterator.set_state(dict(state))
        self._state = iterator.get_state()
        self._iterator = [iterator]
        # A pipeline that is dropped without `close` (an exception in a notebook) must not leave threads behind. The
        # list lets the finalizer drop the iterator too: grain's own clean-up fails when the interpreter is half gone.
        self._finalizer = weakref.finalize(self, _shut_down, self._monitor, self._iterator)
        self._started = self._filled = False

    def start(self) -> None:
        """Begins to fill the ring in the background; returns at once."""
        if not self._iterator:
            raise ValueError("the pipeline is closed")
        if not self._started:
            self._started = True
            self._begun = time.monotonic()
            self._iterator[0].start_prefetch()

    def __iter__(self) -> Iterator[PyTree]:
        return self

    def __next__(self) -> PyTree:
        self.start()
        if not self._filled:
            self._wait_for_fill()
        # Before the batches that are ready: the run is over, and soon is better than late.
        if self._monitor.error is not None:
            raise self._monitor.error
        begun = time.monotonic()
        batch = next(self._iterator[0])
        self._state = self._iterator[0].get_state()
        self._waited += time.monotonic() - begun
        self._handed_out += 1
        return batch

    def _wait_for_fill(self) -> None:
        monitor, waiting, told = self._monitor, time.monotonic(), float("-inf")
        while monitor.error is None and not monitor.stop.is_set():
            done, total, now = monitor.fill_done, monitor.fill_total, time.monotonic()
            if total and (done >= total or now - told >= _PROGRESS_EVERY_S):
                told = now
                if self.progress is not None:
                    self.progress(done, total, done / max(now - self._begun, 1e-9))
                if done >= total:
                    break
            time.sleep(_POLL_S)
        self._filled = True
        self._filled_in = time.monotonic() - waiting

    def get_state(self) -> dict[str, int]:
        """Position after the last batch handed out, whatever has been drawn ahead: JSON-serialisable."""
        return dict(self._state)

    def set_state(self, state: Mapping[str, int]) -> None:
        """Goes to a saved position; the ring is made again for it, with the saved pool's size."""
        self.close()
        self._build(state)

    def stats(self) -> dict[str, float]:
        """Since the start of this process: seconds waited (`fill_seconds` apart), counts, realised reuse and modes."""
        monitor = self._monitor
        drawn, rendered = monitor.drawn, monitor.rendered
        values = {
            "waited_seconds": self._waited,
            "fill_seconds": self._filled_in,
            "batches": float(self._handed_out),
            "rendered": float(rendered),
            "drawn": float(drawn),
            "reuse": drawn / rendered if rendered else 0.0,
            "reuse_target": self.buffer.reuse,
            "mode_absent": float(monitor.missed),
        }
        values.update({key: float(count) for key, count in monitor.counters.items()})
        for name, count in zip(self._names, monitor.drawn_by_stratum, strict=True):
            values[f"fraction_{name}"] = float(count) / drawn if drawn else 0.0
        return values

    def close(self) -> None:
        """Ends all threads. Safe to call twice."""
        self._finalizer()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _shut_down(monitor: Monitor, iterator: list[Any]) -> None:
    # The order to stop first: the prefetch thread may be waiting for samples, and grain joins it.
    monitor.close()
    while iterator:
        iterator.pop().close()
