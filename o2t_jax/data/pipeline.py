"""From a function that makes samples to batches on the device, with a thread that stays one batch ahead.

    with Pipeline(make, buffer, seed, place=put_on_devices, ...) as batches:
        for batch in batches: ...

The next batch is drawn and placed while the step before it runs. An error in any thread is raised by the next
`__next__` as it was raised there. Leaving the `with` block (also by Ctrl-C) ends all threads.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from o2t_jax.data.buffer import Buffer, MakeElement
from o2t_jax.data.children import InChildren
from o2t_jax.data.ring import MAX_SEED, BufferConfig, Strata
from o2t_jax.data.workers import Workers
from o2t_jax.errors import UsageError
from o2t_jax.types import PyTree

FillProgress = Callable[[int, int, float], None]
_PROGRESS_EVERY_S = 0.25


class Pipeline(Iterator[PyTree]):
    """Endless batches with a position; implements `o2t_jax.types.BatchIterator`.

    Args: `make(index, step)`, `seed`, `strata`, `counters`, `position`, `children` as in `Buffer`; `buffer` holds the
    sizes, per process. `place` puts a batch of numpy arrays on the device(s); it runs in the prefetch thread and may
    keep the arrays, which are never written again. `prefetch`: batches that wait, placed, while one more is drawn.
    `process_index` of `process_count` draws its own stream. `progress(done, total, per_second)` is called from the
    waiting thread while the ring fills.

    Threads start with `start()`, at the latest with the first batch: starting before the model compiles hides the fill.
    """

    def __init__(
        self,
        make: MakeElement,
        buffer: BufferConfig,
        seed: int,
        *,
        place: Callable[[PyTree], PyTree] = lambda batch: batch,
        process_index: int = 0,
        process_count: int = 1,
        strata: Strata | None = None,
        counters: Sequence[str] = (),
        prefetch: int = 1,
        progress: FillProgress | None = None,
        position: Mapping[str, Any] | None = None,
        children: InChildren | None = None,
    ) -> None:
        if not 0 <= seed <= MAX_SEED:
            raise UsageError(f"seed={seed} must be in 0..{MAX_SEED}")
        if not 0 <= process_index < process_count:
            raise UsageError(f"process_index={process_index} must be in 0..{process_count - 1}")
        if prefetch < 1:
            raise UsageError(f"prefetch={prefetch} must be at least 1")
        self.progress = progress
        self._names = strata.names if strata else ()
        drawn = Buffer(
            make,
            buffer,
            seed,
            process_index=process_index,
            strata=strata,
            counters=counters,
            position=position,
            children=children,
        )

        def draw(_: int) -> tuple[PyTree, dict[str, int]]:
            batch = next(drawn)
            return place(batch), drawn.get_state()

        self._buffer = drawn
        self._batches = Workers(draw, first=0, threads=1, ahead=prefetch + 1, name="replay-prefetch")
        self._state = drawn.get_state()
        self._begun: float | None = None
        self._filled_in: float | None = None
        self._waited, self._delivered = 0.0, 0
        # A pipeline that is dropped without `close` (an exception in a notebook) must not leave threads behind: they
        # hold the buffer, not the pipeline.
        self._finalizer = weakref.finalize(self, _shut_down, self._batches, drawn)

    def start(self) -> None:
        """Begins to fill the ring in the background; returns at once."""
        if not self._finalizer.alive:
            raise ValueError("the pipeline is closed")
        if self._begun is None:
            self._begun = time.monotonic()
            self._buffer.start()
            self._batches.start()

    def __next__(self) -> PyTree:
        self.start()
        if self._filled_in is None:
            self._filled_in = self._wait_for_fill()
        # Before the batches that are ready: the run is over, and sooner is better.
        if self._buffer.error is not None:
            raise self._buffer.error
        begun = time.monotonic()
        batch, self._state = next(self._batches)
        self._waited += time.monotonic() - begun
        self._delivered += 1
        return batch

    def _wait_for_fill(self) -> float:
        """Waits for the first batch, with reports of progress; returns for how long, in seconds."""
        waiting = time.monotonic()
        while not self._batches.wait(_PROGRESS_EVERY_S):
            self._report()
        if self._buffer.error is None:
            self._report()
        return time.monotonic() - waiting

    def _report(self) -> None:
        if self.progress is not None and self._begun is not None:
            done, total = self._buffer.fill_done, self._buffer.fill_total
            self.progress(done, total, done / max(time.monotonic() - self._begun, 1e-9))

    def get_state(self) -> dict[str, int]:
        """Position after the last batch that was returned, however many have been drawn ahead: JSON-serialisable."""
        return dict(self._state)

    def stats(self) -> dict[str, float]:
        """Since the start of this process: seconds waited (`fill_seconds` apart), counts, realised reuse and modes."""
        buffer = self._buffer
        drawn, rendered = buffer.drawn, buffer.rendered
        values = {
            "waited_seconds": self._waited,
            "fill_seconds": self._filled_in or 0.0,
            "batches": float(self._delivered),
            "rendered": float(rendered),
            "drawn": float(drawn),
            "reuse": drawn / rendered if rendered else 0.0,
            "reuse_target": buffer.config.reuse,
            "mode_absent": float(buffer.missed),
        }
        values.update({key: float(count) for key, count in buffer.counters.items()})
        for name, count in zip(self._names, buffer.drawn_by_stratum, strict=True):
            values[f"fraction_{name}"] = float(count) / drawn if drawn else 0.0
        return values

    def close(self) -> None:
        """Ends all threads. Safe to call twice."""
        self._finalizer()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _shut_down(batches: Workers, buffer: Buffer) -> None:
    batches.stop()
    buffer.close()  # first: the prefetch thread may be waiting for samples
    batches.close()


__all__ = ["FillProgress", "Pipeline"]
