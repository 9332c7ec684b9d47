"""The simplest data there is: a pure function from a step to a batch. Enough for systems without a render buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from o2t_jax.training.contract import DataRequest
from o2t_jax.types import Batch


class BatchesByStep:
    """A `BatchIterator` over the global batches `make_batch(step)`, steps 0, 1, ...; its position is the next step."""

    def __init__(self, make_batch: Callable[[int], Batch], request: DataRequest):
        self._make_batch = make_batch
        self._share = request.share
        self._step = 0
        if request.position is not None:
            self.set_state(request.position)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch = self._share(self._make_batch(self._step))
        self._step += 1
        return batch

    def get_state(self) -> dict[str, Any]:
        return {"next_step": self._step}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._step = int(state["next_step"])
