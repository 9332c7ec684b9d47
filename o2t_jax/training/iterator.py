"""The simplest data source: a pure function from a step to a batch, for systems without a render buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from o2t_jax.training.contract import DataRequest
from o2t_jax.types import Array, Batch


class BatchesByStep:
    """A `BatchIterator` over the global batches `make_batch(step)`, steps 0, 1, ...; its position is the next step.

    Each batch goes to the devices by the request's `put`.
    """

    def __init__(self, make_batch: Callable[[int], Batch], request: DataRequest):
        self._make_batch, self._put = make_batch, request.put
        self._share = request.share
        self._step = 0 if request.position is None else int(request.position["next_step"])

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch = self._put(self._share(self._make_batch(self._step)))
        self._step += 1
        return batch

    def get_state(self) -> dict[str, Any]:
        return {"next_step": self._step}


def made_in_jax(make_batch: Callable[[Array, Array], Batch], request: DataRequest) -> BatchesByStep:
    """Batches of a pure function `(seed, step) -> batch`: [B, ...], or [S, B, ...] for the request's S seeds."""
    if len(request.seeds) == 1:
        make = jax.jit(lambda step: make_batch(jnp.int32(request.seeds[0]), step))
    else:
        seeds = jnp.asarray(request.seeds, jnp.int32)
        make = jax.jit(lambda step: jax.vmap(make_batch, in_axes=(0, None))(seeds, step))
    return BatchesByStep(lambda step: make(jnp.int32(step)), request)
