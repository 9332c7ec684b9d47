"""The replay ring: samples made by worker threads, kept in memory, drawn at random, replaced oldest first.

By step s the workers have made P(s) = initial_fill + floor(s * batch / reuse) samples, the ring holds the indices
[P(s) - pool_size, P(s)), and index i is made as the curriculum wants it at the first step with P(s) > i. So what a
draw at step s sees depends on the seed alone, whatever the threads' timing, and a resumed run makes the last
`pool_size` samples again. That is `buffer = deterministic`. With `buffer = free` workers and training run on
independently (the original guide's way): quicker where rendering is the bottleneck, not repeatable.

Nothing here knows what a sample is: any pytree of arrays of fixed shapes will do. A source whose samples are of
several modes names the integer entry that tells them apart, and the modes' probabilities at a step.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import grain
import jax
import numpy as np

from o2t_jax.data.views import from_flat
from o2t_jax.errors import UsageError
from o2t_jax.types import PyTree

BUFFERS = ("deterministic", "free")
# Beside the streams of `o2t_jax.data.samples.SPLITS` (0 and 1): draws may not repeat a sample's random numbers.
_DRAW_STREAM = 2

MakeElement = Callable[[int, int], PyTree]
ModeWeights = Callable[[int], Sequence[float]]


@dataclass(frozen=True)
class BufferConfig:
    """Sizes of the buffer, per process; the field names are those of the flat config.

    `pool_size`: samples in the ring. `initial_fill`: samples made before the first step. `batch`: samples a step.
    `reuse`: how often a sample is drawn on average. `render_workers`: threads. `read_ahead`: finished samples that
    may wait outside the ring, None is enough for one step and two per worker.
    """

    pool_size: int
    initial_fill: int
    batch: int
    reuse: float = 4.0
    render_workers: int = 2
    buffer: str = "deterministic"
    read_ahead: int | None = None

    def __post_init__(self) -> None:
        for name in ("pool_size", "initial_fill", "batch", "render_workers"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} must be at least 1")
        if self.buffer not in BUFFERS:
            raise UsageError(f"buffer='{self.buffer}' is unknown: choose one of {', '.join(BUFFERS)}")
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
        if self.read_ahead is not None and self.read_ahead < self.render_workers:
            raise UsageError(f"read_ahead={self.read_ahead} must be at least render_workers={self.render_workers}")

    @classmethod
    def from_config(cls, config: Any) -> BufferConfig:
        """Picks the fields of the same names out of a flat config."""
        return from_flat(cls, config)

    @property
    def _ratio(self) -> Fraction:
        """New samples per step, exact: floats would let P(s) and its inverse disagree in a long run."""
        return Fraction(self.batch) / Fraction(self.reuse).limit_denominator(1_000_000)

    def produced(self, step: int) -> int:
        """P(step): samples made when the batch of `step` is drawn."""
        return self.initial_fill + int(step * self._ratio)

    def step_of(self, index: int) -> int:
        """The first step with P(step) > index: whose stage sample `index` belongs to."""
        missing = index + 1 - self.initial_fill
        return 0 if missing <= 0 else -int(-missing // self._ratio)

    @property
    def ahead(self) -> int:
        """Finished samples that may wait outside the ring."""
        if self.read_ahead is not None:
            return self.read_ahead
        return max(2 * self.render_workers, int(self._ratio) + 1 + self.render_workers)

    def host_samples(self) -> int:
        """Samples in host memory at most: the ring, what waits, what is being made, three batches in flight."""
        return self.pool_size + self.ahead + self.render_workers + 3 * self.batch


class Ring:
    """`pool_size` samples of one structure, allocated once at the first `put`; slot = index mod pool_size.

    `held` [pool_size]: the index of the sample in each slot, -1 where there is none yet.
    """

    def __init__(self, pool_size: int, mode_key: str | None = None) -> None:
        self.pool_size, self.mode_key = pool_size, mode_key
        self.held = np.full(pool_size, -1, np.int64)
        self._leaves: list[np.ndarray] = []
        self._structure: Any = None
        self._modes = np.full(pool_size, -1, np.int32)

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
        if self.mode_key is not None:
            self._modes[slot] = int(element[self.mode_key])
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
        """Slots [batch] for one batch: the mode by `weights`, then uniformly among that mode's slots.

        Where none of a mode is in the ring, the modes present stand in, by their weights. Slots repeat within a batch
        only where a mode has fewer than are asked for.
        Returns: (slots, how many draws wanted a mode that was absent).
        """
        if weights is None or self.mode_key is None:
            return _pick(rng, np.flatnonzero(self.held >= 0), batch), 0
        by_mode = [np.flatnonzero(self._modes == mode) for mode in range(len(weights))]
        counts = np.array([len(slots) for slots in by_mode])
        wanted = _draw_modes(rng, np.asarray(weights, np.float64), batch)
        absent = counts[wanted] == 0
        missed = int(absent.sum())
        if missed:
            usable = np.where(counts > 0, weights, 0.0)
            wanted[absent] = _draw_modes(rng, usable if usable.sum() > 0 else counts.astype(np.float64), missed)
        chosen = np.empty(batch, np.intp)
        for mode, slots in enumerate(by_mode):
            where = np.flatnonzero(wanted == mode)
            if len(where):
                chosen[where] = _pick(rng, slots, len(where))
        return chosen, missed

    def modes(self, slots: np.ndarray) -> np.ndarray:
        """Mode [B] of the samples in `slots`; -1 without a mode key."""
        return self._modes[slots]


def _draw_modes(rng: np.random.Generator, weights: np.ndarray, size: int) -> np.ndarray:
    cumulative = np.cumsum(weights)
    return np.searchsorted(cumulative, rng.random(size) * cumulative[-1], side="right")


def _pick(rng: np.random.Generator, slots: np.ndarray, size: int) -> np.ndarray:
    """`size` of `slots`, uniformly; without repeats where there are enough."""
    return rng.choice(slots, size, replace=size > len(slots))


class Stopped(Exception):  # noqa: N818 - an order, not an error
    """Raised in worker and prefetch threads to leave early when the iterator closes; never reaches a user."""


class Monitor:
    """What happens behind an iterator: counters, the first error, the order to stop. Shared between threads."""

    def __init__(self, modes: int = 0) -> None:
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
        self.drawn_by_mode = np.zeros(modes, np.int64)

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
    arguments, called from several threads. `seed` and `process_index` pick the draws. `mode_key`, `mode_weights`:
    the integer entry of a sample that is its mode, and `mode_weights(step)`, the modes' probabilities.
    `counters`: integer entries that are summed for the statistics and not handed on.
    """

    def __init__(
        self,
        make: MakeElement,
        config: BufferConfig,
        seed: int,
        *,
        process_index: int = 0,
        mode_key: str | None = None,
        mode_weights: ModeWeights | None = None,
        counters: Sequence[str] = ("rejects",),
    ) -> None:
        super().__init__()
        if (mode_key is None) != (mode_weights is None):
            raise ValueError("mode_key and mode_weights belong together: give both or neither")
        self.make, self.config, self._entropy = make, config, (seed, _DRAW_STREAM, process_index)
        self.mode_key, self.mode_weights, self.counters = mode_key, mode_weights, tuple(counters)
        self.monitor = Monitor(len(mode_weights(0)) if mode_weights else 0)

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
        self._base_index: int | None = None
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
        """`next_step`, `pool_size` (what the ring really has); in free mode also `next_index`."""
        state = {"next_step": self._step, "pool_size": self._pool_size}
        if self._free:
            state["next_index"] = self._next_index
        return state

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
        self._base_index = int(state["next_index"]) if "next_index" in state else None

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
        self._ring = Ring(self._pool_size, self._dataset.mode_key)
        self._monitor.step = self._step
        produced = config.produced(self._step)
        if self._free:
            # A free ring cannot be had again: go on with new samples, as many as a first fill.
            first = produced - config.initial_fill if self._base_index is None else self._base_index
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
        weights = dataset.mode_weights(self._step) if dataset.mode_weights else None
        slots, missed = self._ring.choose(dataset.rng(self._step), dataset.config.batch, weights)
        monitor.drawn += len(slots)
        monitor.missed += missed
        if weights is not None:
            monitor.drawn_by_mode += np.bincount(self._ring.modes(slots), minlength=len(weights))
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
        assert self._base_index is not None
        base = self._base_index

        def wanted() -> bool:
            drawn = (self._step - self._base_step) * config.batch
            return self._next_index - base < self._pool_size + drawn

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
