"""Windows of three frames from a pool of scenes, drawn more often where something happens.

Of windows drawn evenly 95 % hold no event. Here a share of a batch is drawn from those with a collision, and each
window has the weight (probability if drawn evenly) / (probability as drawn): the weighted loss is that of even draws.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.types import Batch

CHANGED = 1e-3  # of the speed limit: a window in which any velocity changes by more is one with a collision
_WALLS = ("walls/ends", "walls/present")


class WindowPool:
    """Windows (t - 1, t, t + 1) of N scenes of T frames, held in memory: N (T - 2) of them.

    Args:
        scenes: arrays [N, ...] as `DiscScenes.make` returns them.
        speed: the speed limit, which `CHANGED` refers to.
        share: of the windows of a batch that are drawn among those with a collision; 0: all evenly.

    Raises: UsageError for a share outside 0 to 1 (1 would never show a window without one).
    """

    def __init__(self, scenes: Mapping[str, np.ndarray], speed: float, share: float) -> None:
        if not 0.0 <= share < 1.0:
            raise UsageError(f"collision_share={share:g} must be at least 0 and below 1: set --config.collision_share")
        self.scenes, self.share = scenes, share
        self.frames = scenes["position"].shape[1] - 2
        self.collides = collisions(scenes["velocity"], speed)[:, 1:].reshape(-1)
        self._hits = np.flatnonzero(self.collides)

    @property
    def size(self) -> int:
        """Number of windows."""
        return len(self.collides)

    def batch(self, seed: int, step: int, size: int) -> dict[str, np.ndarray]:
        """`size` windows, a pure function of (seed, step): see `take`, and "weight" [size]."""
        rng = np.random.default_rng((seed, step))
        share = self.share if len(self._hits) else 0.0
        special = rng.random(size) < share
        chosen = rng.integers(self.size, size=size)
        if len(self._hits):
            chosen = np.where(special, self._hits[rng.integers(len(self._hits), size=size)], chosen)
        often = (1.0 - share) + share * self.size / max(len(self._hits), 1) * self.collides[chosen]
        return self.take(chosen) | {"weight": (1.0 / often).astype(np.float32)}

    def take(self, windows: np.ndarray) -> dict[str, np.ndarray]:
        """Windows of these numbers [N]: "position" and "velocity" [N, 3, B, 2], and the scene's other arrays."""
        scene, first = np.divmod(windows, self.frames)
        times = first[:, None] + np.arange(3)
        return {
            "position": self.scenes["position"][scene[:, None], times],
            "velocity": self.scenes["velocity"][scene[:, None], times],
            **{name: self.scenes[name][scene] for name in ("mass", "radius", "present", *_WALLS)},
        }


def collisions(velocity: np.ndarray, speed: float) -> np.ndarray:
    """Whether [N, T - 1] any disc's velocity [N, T, B, 2] over `speed` changes by more than `CHANGED` in a step."""
    return np.any(np.abs(np.diff(velocity, axis=1)) > CHANGED * speed, axis=(2, 3))


class PoolBatches:
    """A `BatchIterator` over a pool: batch t is a pure function of the pool, the seed and t.

    Args: `seeds`, one, or S of them side by side (leaves [S, B, ...]); `position`, an earlier `get_state()`; `share`,
    this process's part of each batch as a slice.
    """

    def __init__(
        self,
        pool: WindowPool,
        batch: int,
        seeds: Sequence[int],
        position: Mapping[str, Any] | None = None,
        share: slice = slice(None),
    ) -> None:
        self._draw = functools.partial(pool.batch, size=batch)
        self._seeds, self._share = seeds, share
        self._next = 0 if position is None else int(position["next_step"])

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        drawn = [self._draw(seed, self._next) for seed in self._seeds]
        self._next += 1
        cut = [{name: x[self._share] for name, x in batch.items()} for batch in drawn]
        if len(cut) == 1:
            return cut[0]
        return {name: np.stack([batch[name] for batch in cut]) for name in cut[0]}

    def get_state(self) -> dict[str, Any]:
        """Position after the last batch that was returned: {"next_step": t}."""
        return {"next_step": self._next}


__all__ = ["CHANGED", "PoolBatches", "WindowPool", "collisions"]
