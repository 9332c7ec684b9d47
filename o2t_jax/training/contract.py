"""What training asks of a system, and what it offers in return. Nothing here knows a model or a data set.

A system is a model with its data and its measurements: everything `experiments.train` needs to train it. The loop,
checkpoints, devices, accumulation, logging and resuming are the same for all.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import optax

from o2t_jax.training.state import TrainState
from o2t_jax.types import Array, Batch, BatchIterator, Evaluator, PyTree

StepFn = Callable[[TrainState, Batch], tuple[TrainState, dict[str, Any]]]


class LossFn(Protocol):
    """`(params, extra, batch, keys) -> (loss, (metrics, extra))`, pure; may see any equal share of the batch.

    - `batch`: arrays whose leading size is the share's number of samples b; `keys`: typed random keys [b], one a
      sample. Draw a sample's random numbers from its own key, and any number of devices draws the same.
    - `loss` is a mean over samples, each normalised by itself (never by a sum over the batch).
    - `metrics`: flat, name -> scalar mean over the b samples, or name -> (sum, count) for a mean over some of them,
      added up exactly over micro-batches, devices and the steps between two log lines.
    - `extra`: the next value of the state's non-gradient collections, made from the one that came in. Floats are
      averaged over the shares, which is exact for what is linear in means over samples (keep a masked running
      mean as its sum and its count); other types must not depend on the share.
    """

    def __call__(
        self, params: PyTree, extra: PyTree, batch: Batch, keys: Array
    ) -> tuple[Array, tuple[dict[str, Any], PyTree]]: ...


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a run fits into this machine. See `resources.make_plan`.

    Attributes:
        pool_size: samples that the data's buffer may hold; 0 when the system asked for none.
        micro_batch: samples that one device handles at a time.
        micro_batches: pieces one after the other; devices x micro_batches x micro_batch = the global batch.
        devices: devices over all processes.
        warnings: lines for the user about what was made smaller than asked.
    """

    pool_size: int
    micro_batch: int
    micro_batches: int
    devices: int
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class DataRequest:
    """What a system gets to make its training iterator from.

    Attributes:
        position: what the iterator's `get_state()` gave when the checkpoint was saved; None for a new run.
        plan: use `plan.pool_size`, not the config's.
        progress: call `progress(done, total)`, or with samples per second as a third argument, while a buffer fills:
            it keeps the user informed and lets a signal through (it may raise; pass that on).
        put: sends one host batch to where the step wants it, without waiting. An iterator may call it in a thread of
            its own and yield the result; batches of numpy arrays are put by the loop.
        process_index, process_count: an iterator yields this process's share, batch / process_count samples.
    """

    position: Mapping[str, Any] | None
    plan: Plan
    progress: Callable[..., None]
    put: Callable[[Batch], Batch]
    process_index: int = 0
    process_count: int = 1

    def share(self, batch: Batch) -> Batch:
        """This process's share of a global host batch: for data that every process makes in full."""

        def cut(x: Array) -> Array:
            size = x.shape[0] // self.process_count
            return x[self.process_index * size : (self.process_index + 1) * size]

        return jax.tree.map(cut, batch)


class System(abc.ABC):
    """A model, its data and its measurements. Three methods and `tx` are needed; the rest has defaults.

    `build(config)` in a system's module returns one; `o2t_jax.systems.SYSTEMS` names the module.
    """

    name: str = "system"
    tx: optax.GradientTransformation
    evaluators: Mapping[str, Evaluator] = {}  # scalars are logged as "<evaluator>/<name>"
    best_metric: str = "test/loss"  # which of them picks the best checkpoint (smaller is better)
    pool_size: int = 0  # samples the data's buffer would like to hold in host memory
    sample_spec: Mapping[str, jax.ShapeDtypeStruct] | None = None  # one sample of a batch, no leading axis
    size_fields: tuple[str, ...] = ("batch",)  # config fields that make one sample cheaper, for error messages

    @abc.abstractmethod
    def init(self, key: Array) -> TrainState:
        """The state at step 0; runs under `jax.jit`."""

    @abc.abstractmethod
    def loss_fn(
        self, params: PyTree, extra: PyTree, batch: Batch, keys: Array
    ) -> tuple[Array, tuple[dict[str, Any], PyTree]]:
        """See `LossFn`."""

    @abc.abstractmethod
    def train_iterator(self, request: DataRequest) -> BatchIterator:
        """Endless batches from `request.position` on; with several processes, each yields its share.

        `get_state()` belongs to the batch that `next` gives next, whatever was prefetched, and is the same on every
        process. Optional methods: `start()`, to begin in the background while the step compiles;
        `stats() -> {name: number}`, logged as "data/<name>"; `close()`.
        """

    def check(self) -> None:
        """Raises UsageError where something outside the program that training needs is missing or wrong.

        Called before anything is compiled, which may take minutes, and before a workdir is claimed.
        """
        return None

    def activation_bytes(self, batch: int) -> int:
        """Bytes of device memory that one step over `batch` samples needs beside state and gradients."""
        return 0

    def scalars(self, step: int) -> Mapping[str, float]:
        """Numbers that depend on the step alone, logged as "train/<name>", such as the learning rate."""
        return {}

    def summary(self, metrics: Mapping[str, float]) -> str:
        """The part of the progress line that speaks of the model."""
        return f"loss {metrics['loss']:.4g}"

    def read_law(self, state: TrainState) -> dict[str, Any] | None:
        """What the model says about the law, from a host copy of the state (`opt_state` may be None): JSON types.

        Saved with every checkpoint; its scalars are logged as "law/<name>".
        """
        return None

    def truth(self) -> dict[str, Any] | None:
        """The hidden truth of a simulated world, for `truth.json`; None where there is none."""
        return None

    def notes(self, plan: Plan) -> list[str]:
        """Lines to print before the run starts: what it will cost, what it will not reach."""
        return []
