"""Endless batches of samples that never leave the device: `block` makes them, `ring` keeps them and draws from them.

Which samples a step can draw is as in `data.buffer`: by step s P(s) samples are made, and the last `pool_size` of them
count. Samples are made in blocks; those of a block that are ahead of P(s) wait in the ring and are not drawn yet. So a
batch is a function of (seed, step) alone, and a resumed run makes the ring again. To the device go a block's first
index and the curriculum's numbers, from it come counts.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.data.buffer import DRAW_STREAM, checked_position
from o2t_jax.data.o2t.acceptance import CUT, STILL
from o2t_jax.data.o2t.curriculum import Curriculum
from o2t_jax.data.o2t.on_device.block import BlockMaker, Report, stream
from o2t_jax.data.o2t.on_device.ring import DeviceRing, Drawn, draw_batch, empty_ring
from o2t_jax.data.o2t.on_device.shots import mixes
from o2t_jax.data.o2t.pair_source import CURES
from o2t_jax.data.ring import BufferConfig
from o2t_jax.errors import UsageError
from o2t_jax.geometry.para import MODES

MAX_BLOCK = 64


def block_size(buffer: BufferConfig) -> int:
    """Samples of a block: many, since a block takes long to start, but no more than the first step needs."""
    return min(MAX_BLOCK, buffer.initial_fill)


class DeviceSamples(Iterator[dict[str, jax.Array]]):
    """Implements `o2t_jax.types.BatchIterator`; batches as `sample.spec_for` says, of arrays on the device.

    Args: `maker` of blocks of `block_size(buffer)`; `position`: what `get_state` gave, None to start at step 0;
    `progress(done, total, per_second)` is called while the ring fills. `buffer.render_workers` and `buffer.buffer` have
    no meaning here.
    """

    def __init__(
        self,
        maker: BlockMaker,
        curriculum: Curriculum,
        buffer: BufferConfig,
        *,
        progress: Callable[[int, int, float], None] | None = None,
        position: Mapping[str, Any] | None = None,
    ) -> None:
        self.maker, self.curriculum, self.config, self.progress = maker, curriculum, buffer, progress
        self._step, self._pool_size = checked_position(position, buffer)
        self._first_step = self._step
        size = maker.size
        self._capacity = (-(-self._pool_size // size) + 1) * size
        self._made = self._first = max(0, buffer.produced(self._step) - self._pool_size) // size * size
        self._make, self._draw = _programs(maker, buffer.batch)
        self._ring: DeviceRing | None = None
        self._totals = Drawn(jnp.int32(0), jnp.zeros(len(MODES), jnp.int32))
        self._unread: list[tuple[int, Report]] = []
        self.cast = self.still = self.cut = self.invalid = 0
        self._filled_in: float | None = None
        self._waited = 0.0

    def __next__(self) -> dict[str, jax.Array]:
        begun = time.monotonic()
        if self._filled_in is None:
            self._fill(begun)
            self._filled_in, begun = time.monotonic() - begun, time.monotonic()
        self._make_until(self.config.produced(self._step))
        high = self.config.produced(self._step)
        numbers = np.array([self._step, max(0, high - self._pool_size), high], np.int32)
        weights = np.array(self.curriculum.at(self._step).probabilities, np.float32)
        batch, self._totals = self._draw(self._ring, self._totals, *jax.device_put((numbers, weights)))
        self._step += 1
        self._waited += time.monotonic() - begun
        return batch

    def _fill(self, begun: float) -> None:
        self._ring = empty_ring(self._capacity, self.maker.image_size)
        total = self.config.produced(self._step)
        while self._made < total:
            self._make_until(self._made + 1)
            self._read()  # a run that can have no sample ends here, and a signal is noticed
            if self.progress is not None:
                done = min(self._made, total) - self._first
                self.progress(done, total - self._first, done / max(time.monotonic() - begun, 1e-9))

    def _make_until(self, index: int) -> None:
        """Makes blocks until samples below `index` are in the ring."""
        while self._made < index:
            self._read()  # the block before: finished long ago
            wanted = range(self._made, self._made + self.maker.size)
            mix = mixes([self.curriculum.at(self.config.step_of(i)) for i in wanted])
            self._ring, report = self._make(self._ring, *jax.device_put((np.int32(self._made), mix)))
            self._unread.append((self._made, report))
            self._made += self.maker.size

    def _read(self) -> None:
        """Adds up the reports of blocks. Raises UsageError for one without a single sample."""
        for first, report in self._unread:
            chosen, cast, still, cut = jax.device_get(report)
            lost = int((chosen < 0).sum())
            self.invalid += lost
            self.cast, self.still, self.cut = self.cast + int(cast), self.still + int(still), self.cut + int(cut)
            if lost == len(chosen):
                cause, count = (STILL, int(still)) if still >= cut else (CUT, int(cut))
                raise UsageError(
                    f"scene {self.maker.scene!r}: all {int(cast)} shots of samples {first} to {first + lost - 1} were "
                    f"rejected, {count} of them because {cause}: {CURES[cause]}"
                )
        self._unread = []

    def get_state(self) -> dict[str, int]:
        """`next_step` and `pool_size` (the ring's own), as `data.buffer.Buffer`'s."""
        return {"next_step": self._step, "pool_size": self._pool_size}

    def stats(self) -> dict[str, float]:
        """Since the start of this process: `data.pipeline.Pipeline`'s numbers.

        `rendered`: samples made. `cast`: shots cast for them. `rejects`: those of them that were not accepted.
        `invalid`: samples for which none was.
        """
        self._read()
        totals = jax.device_get(self._totals)
        made, batches = self._made - self._first, self._step - self._first_step
        drawn = batches * self.config.batch
        values = {
            "waited_seconds": self._waited,
            "fill_seconds": self._filled_in or 0.0,
            "batches": float(batches),
            "rendered": float(made),
            "drawn": float(drawn),
            "reuse": drawn / made if made else 0.0,
            "reuse_target": self.config.reuse,
            "mode_absent": float(totals.missed),
            "cast": float(self.cast),
            "rejects": float(self.still + self.cut),
            "invalid": float(self.invalid),
        }
        for name, count in zip(MODES, totals.modes, strict=True):
            values[f"fraction_{name}"] = float(count) / drawn if drawn else 0.0
        return values

    def close(self) -> None:
        """Gives the ring's memory back. Safe to call twice."""
        self._ring, self._unread = None, []


@functools.lru_cache(maxsize=4)
def _programs(maker: BlockMaker, batch: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Compiled once for all iterators of a program: to make a block (the ring is donated), and to draw a batch."""
    return jax.jit(maker.make, donate_argnums=0), jax.jit(functools.partial(_draw, maker.seed, batch))


def _draw(
    seed: int, batch: int, ring: DeviceRing, totals: Drawn, numbers: jax.Array, weights: jax.Array
) -> tuple[dict[str, jax.Array], Drawn]:
    """One batch, of the step and the indices [low, high) in `numbers` [3], and the totals with it."""
    key = jax.random.fold_in(stream(seed, DRAW_STREAM), numbers[0])
    taken, drawn = draw_batch(ring, key, numbers[1], numbers[2], weights, batch)
    return taken, jax.tree.map(jnp.add, totals, drawn)


__all__ = ["MAX_BLOCK", "DeviceSamples", "block_size"]
