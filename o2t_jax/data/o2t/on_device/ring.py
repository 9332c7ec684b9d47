"""The ring of samples on the device, and the draw of a batch from it: `data.ring.Ring` in JAX."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.geometry.para import MODES, NUM_PICTURES, PARA_FIELDS


class DeviceRing(NamedTuple):
    """N samples, slot = index mod N.

    Attributes: `pictures` uint8 [N, 5, H, W, 3], `para` [N, 5, 6], `k`, `n`, `mode` int32 [N]; `index` int32 [N], -1
    where there is none yet; `valid` bool [N], false for a sample of which no candidate was accepted.
    """

    pictures: Any
    para: Any
    k: Any
    n: Any
    mode: Any
    index: Any
    valid: Any


class Drawn(NamedTuple):
    """What a draw of B samples met, int32: `missed` [], those that wanted a mode which was absent; `modes` [3]."""

    missed: Any
    modes: Any


def empty_ring(capacity: int, image_size: tuple[int, int]) -> DeviceRing:
    """A ring without samples."""
    none = jnp.zeros(capacity, jnp.int32)
    pictures = jnp.zeros((capacity, NUM_PICTURES, *image_size, 3), jnp.uint8)
    para = jnp.zeros((capacity, NUM_PICTURES, len(PARA_FIELDS)), jnp.float32)
    # Each its own memory: the ring is donated.
    return DeviceRing(pictures, para, none, none + 0, none + 0, none - 1, jnp.zeros(capacity, bool))


def draw_batch(
    ring: DeviceRing, key: jax.Array, low: Any, high: Any, weights: Any, batch: int
) -> tuple[dict[str, jax.Array], Drawn]:
    """`batch` valid samples of the indices [low, high): the mode by `weights` [3], then uniformly among that mode's.

    Where none of a mode is there, those present are drawn instead, by their weights (by their numbers, where these are
    all zero); where none is valid at all, the rest of the ring. Samples repeat within a batch only where a mode has
    fewer than are asked for.
    """
    of_modes, of_others, of_slots = jax.random.split(key, 3)
    held = ring.valid & (ring.index >= low) & (ring.index < high)
    held = jnp.where(held.any(), held, ring.valid)
    kinds = jnp.where(held, ring.mode, len(MODES))
    counts = (kinds[:, None] == jnp.arange(len(MODES))).sum(axis=0, dtype=jnp.int32)

    wanted = _by_weight(of_modes, weights, batch)
    absent = counts[wanted] == 0
    usable = jnp.where(counts > 0, weights, 0.0)
    usable = jnp.where(usable.sum() > 0.0, usable, counts.astype(jnp.float32))
    wanted = jnp.where(absent, _by_weight(of_others, usable, batch), wanted)

    # Slots in random order within their mode: the i-th draw of a mode takes its i-th slot, and begins again at the end.
    order = jnp.lexsort((jax.random.uniform(of_slots, kinds.shape), kinds))
    starts = jnp.cumsum(counts) - counts
    same = wanted[:, None] == wanted[None, :]
    rank = jnp.tril(same, -1).sum(axis=1, dtype=jnp.int32)
    slots = order[starts[wanted] + rank % jnp.maximum(counts[wanted], 1)]
    names = ("pictures", "para", "k", "n", "mode")
    taken = {name: getattr(ring, name)[slots] for name in names}
    modes = (taken["mode"][:, None] == jnp.arange(len(MODES))).sum(axis=0, dtype=jnp.int32)
    return taken, Drawn(absent.sum(dtype=jnp.int32), modes)


def _by_weight(key: jax.Array, weights: Any, count: int) -> jax.Array:
    """`count` draws of 0..K - 1 with probabilities proportional to `weights` [K]."""
    cumulative = jnp.cumsum(weights)
    chosen = (jax.random.uniform(key, (count, 1)) * cumulative[-1] >= cumulative).sum(axis=1)
    # Rounding could reach the sum itself: the last one of any weight is meant.
    last = weights.shape[0] - 1 - jnp.argmax(weights[::-1] > 0.0)
    return jnp.minimum(chosen, last).astype(jnp.int32)


__all__ = ["DeviceRing", "Drawn", "draw_batch", "empty_ring"]
