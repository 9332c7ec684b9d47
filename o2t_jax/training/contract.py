"""The contract between training and a system. Nothing here depends on a model or a data set.

A system is a model with its data and its measurements: everything `experiments.train` needs to train it. The loop,
checkpoints, devices, accumulation, logging and resuming are the same for all systems.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import optax

from o2t_jax.training.state import TrainState
from o2t_jax.training.statistics import Statistic
from o2t_jax.types import Array, Batch, BatchIterator, Evaluator, PyTree, SampleSource

StepFn = Callable[[TrainState, Batch], tuple[TrainState, dict[str, Any]]]
Readout = Callable[[TrainState], dict[str, Any] | None]


class LossFn(Protocol):
    """`(params, extra, batch, keys, step) -> (loss, (metrics, statistics))`, pure; sees any equal share of a batch.

    - `extra`: the state's collections that are not trained by gradient, as they are before this step.
    - `batch`: arrays whose leading size is the share's number of samples b; `keys`: typed random keys [b], one for each
      sample. If a sample's random numbers are drawn from its own key, they do not depend on the number of devices.
    - `step`: int32 [], updates made so far.
    - `loss` is a mean over samples, each normalised by itself (never by a sum over the batch).
    - `metrics`: flat, name -> scalar mean over the b samples, or name -> (sum, count) for a mean over some of them,
      added up exactly over micro-batches, devices and the steps between two log lines.
    - `statistics`: flat, name -> `statistics.Sum`, `Max` or `Gather`: the numbers that `advance` needs from the batch.
    """

    def __call__(
        self, params: PyTree, extra: PyTree, batch: Batch, keys: Array, step: Array
    ) -> tuple[Array, tuple[dict[str, Any], Mapping[str, Statistic]]]: ...


class AdvanceFn(Protocol):
    """`(extra, params, statistics, step, key) -> extra`: the collections after a step, from the updated parameters.

    Runs once per step, after the update, identically on every device. Running means, averaged copies of the weights,
    target networks and codebooks are updated here. `statistics`: name -> the whole batch's array; `step`: int32 [],
    updates made before this one; `key`: the step's own random key, the same on every device.
    """

    def __call__(
        self, extra: PyTree, params: PyTree, statistics: Mapping[str, Array], step: Array, key: Array
    ) -> PyTree: ...


@dataclasses.dataclass(frozen=True)
class Best:
    """Which evaluated number picks the best checkpoint: a scalar "<evaluator>/<name>", smallest or largest."""

    name: str = "test/loss"
    mode: Literal["min", "max"] = "min"

    def __post_init__(self) -> None:
        if self.mode not in ("min", "max"):
            raise ValueError(f"mode={self.mode!r} must be 'min' or 'max'")


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a run fits into this machine. See `resources.make_plan`.

    Attributes:
        pool_size: samples that the data's buffer may hold; 0 when the system asked for none.
        micro_batch: samples that one device processes at a time.
        micro_batches: micro-batches per step, in sequence; devices x micro_batches x micro_batch = the global batch.
        devices: devices over all processes.
        warnings: lines for the user about values that were made smaller than requested.
    """

    pool_size: int
    micro_batch: int
    micro_batches: int
    devices: int
    warnings: tuple[str, ...] = ()

    def saved(self) -> dict[str, int]:
        """What a checkpoint keeps of it, by name: all but the warnings."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "warnings"}


@dataclasses.dataclass(frozen=True)
class DataRequest:
    """The arguments from which a system makes its training iterator.

    Attributes:
        position: the iterator's `get_state()` from when the checkpoint was saved; None for a new run.
        plan: use `plan.pool_size`, not the config's.
        progress: call `progress(done, total)`, or with samples per second as a third argument, while a buffer fills. It
            keeps the user informed and checks for signals. It may raise; do not catch that.
        put: sends one host batch to the step's devices without waiting. An iterator may call it in a thread of its own
            and yield the result; the loop calls it on batches of numpy arrays.
        seeds: seeds of the states that train in this program: one, or S of them side by side (batches [S, B, ...]).
        process_index, process_count: an iterator yields this process's share, batch / process_count samples.
    """

    position: Mapping[str, Any] | None
    plan: Plan
    progress: Callable[..., None]
    put: Callable[[Batch], Batch]
    seeds: tuple[int, ...] = (0,)
    process_index: int = 0
    process_count: int = 1

    def share(self, batch: Batch) -> Batch:
        """This process's share of a global host batch, for data that every process makes in full."""

        def cut(x: Array) -> Array:
            size = x.shape[0] // self.process_count
            return x[self.process_index * size : (self.process_index + 1) * size]

        return batch if self.process_count == 1 else jax.tree.map(cut, batch)


class System(abc.ABC):
    """A model, its data and its measurements. Only `init`, `loss`, `tx` and a source of batches are required.

    A registered system also has `predict` and `hidden`, which a test over all systems calls.

    Batches come from `train_iterator`, or from `make_batch` where samples are made in JAX.
    `build(config)` in a system's module returns a system; `o2t_jax.systems.SYSTEMS` names the module.
    """

    name: str = "system"
    tx: optax.GradientTransformation
    evaluators: Mapping[str, Evaluator] = {}  # scalars are logged as "<evaluator>/<name>"
    test_fields: Sequence[
        str
    ] = ()  # config fields that only the evaluators read: `experiments.evaluate --set` takes them
    headline_scores: Sequence[str] = ()  # "<evaluator>/<name>": repeated at the top of `experiments.evaluate --json`
    # Name -> ("<evaluator>/<table>", columns): the table's rows as a dict nested by the values of these columns, at the
    # top of `experiments.evaluate --json` under that name.
    headline_tables: Mapping[str, tuple[str, Sequence[str]]] = {}
    # Logged numbers that `experiments.curves` compares: training's and the held-out one, "" for that of `best`.
    loss_curves: tuple[str, str] = ("train/loss", "")
    periods: Mapping[str, int] = {}  # steps between two calls of an evaluator; config.eval_every by default
    best: Best = Best()
    # Learned quantities of the world, by name, computed from a host copy of the state (`opt_state` may be None): JSON
    # types, or None for nothing. Saved as `<step>/<name>` with every checkpoint; scalars are logged as "<name>/<key>".
    readouts: Mapping[str, Readout] = {}
    # "<read-out>/<key>" -> largest allowed difference between the trained numbers of two starts, in the number's own
    # unit. A number with an interval ("<key>_low", "<key>_high" beside "<key>") needs none: the intervals must overlap.
    agreement: Mapping[str, float] = {}
    pool_size: int = 0  # requested number of samples in the data's buffer
    pool_on_device: bool = False  # whether the buffer is in the memory of the device, not of the host
    sample_spec: Mapping[str, jax.ShapeDtypeStruct] | None = None  # one sample of a batch, no leading axis
    size_fields: tuple[str, ...] = ("batch",)  # config fields that make one sample cheaper, for error messages
    # `(seed, step) -> the global batch of that step`, pure and in JAX, both arguments int32 []. Systems that have it
    # can train several seeds in one program (`config.seeds`).
    make_batch: Callable[[Array, Array], Batch] | None = None
    sample_sources: Sequence[SampleSource] = ()  # what `experiments.generate` writes, each as a set of its own

    @abc.abstractmethod
    def init(self, key: Array) -> tuple[PyTree, PyTree]:
        """Parameters and `extra` (a dict of dicts of arrays, or empty) at step 0; runs under `jax.jit`."""

    @abc.abstractmethod
    def loss(
        self, params: PyTree, extra: PyTree, batch: Batch, keys: Array, step: Array
    ) -> tuple[Array, tuple[dict[str, Any], Mapping[str, Statistic]]]:
        """See `LossFn`."""

    def advance(
        self, extra: PyTree, params: PyTree, statistics: Mapping[str, Array], step: Array, key: Array
    ) -> PyTree:
        """See `AdvanceFn`. By default nothing but the parameters changes."""
        return extra

    def train_iterator(self, request: DataRequest) -> BatchIterator:
        """Endless batches from `request.position` on; with several processes, each yields its share.

        `get_state()` belongs to the batch that the following `next` returns, regardless of prefetching, and is the same
        on every process. Optional methods: `start()`, to begin in the background while the step compiles;
        `stats() -> {name: number}`, logged as "data/<name>"; `close()`.
        """
        if self.make_batch is None:
            raise NotImplementedError(f"system {self.name!r} has neither `train_iterator` nor `make_batch`")
        from o2t_jax.training.iterator import made_in_jax

        return made_in_jax(self.make_batch, request)

    def predict(self, params: PyTree, extra: PyTree, batch: Batch) -> PyTree:
        """The model's prediction for a batch, from the entries it may see: arrays [B, ...]. Pure, under `jax.jit`."""
        raise NotImplementedError(f"system {self.name!r} does not predict")

    def hidden(self, batch: Batch) -> dict[str, Array]:
        """For each array that holds targets or the future: name -> bool, of the array's shape, True at such entries.

        The gradient of `predict` by these entries must be zero. A test over all systems checks this.
        """
        raise NotImplementedError(f"system {self.name!r} does not declare its hidden entries")

    def check(self) -> None:
        """Raises UsageError if something outside the program that training needs is missing or wrong.

        Called before compilation, which may take minutes, and before a workdir is claimed.
        """
        return None

    def digests(self) -> Mapping[str, str]:
        """What files give the parameters their meaning, such as the words that a network numbers: name -> its digest.

        Kept with every checkpoint. Where one differs today, the parameters are refused (`checkpoint`).
        """
        return {}

    def activation_bytes(self, batch: int) -> int:
        """Bytes of device memory that one step over `batch` samples needs in addition to state and gradients.

        By default the size of the arrays that the loss keeps for its backward pass, from their shapes. Compiler
        optimisations are not considered, so it may be an overestimate. 0 without a `sample_spec`.
        """
        if self.sample_spec is None:
            return 0
        one, two = self._residual_bytes
        return max(0, one + (batch - 1) * (two - one))

    @functools.cached_property
    def _residual_bytes(self) -> tuple[int, int]:
        """Bytes that the backward passes of one and of two samples read."""
        params, extra = jax.eval_shape(self.init, jax.ShapeDtypeStruct((2,), jnp.uint32))

        def kept(size: int) -> int:
            def backward(params: PyTree, extra: PyTree, batch: Batch, keys: jax.Array) -> Any:
                def loss(params: PyTree) -> Any:
                    return self.loss(params, extra, batch, jax.random.wrap_key_data(keys), jnp.int32(0))

                return jax.vjp(loss, params, has_aux=True)[1]

            batch = {
                name: jax.ShapeDtypeStruct((size, *x.shape), x.dtype) for name, x in (self.sample_spec or {}).items()
            }
            saved = jax.eval_shape(backward, params, extra, batch, jax.ShapeDtypeStruct((size, 2), jnp.uint32))
            return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(saved))

        return kept(1), kept(2)

    def scalars(self, step: int) -> Mapping[str, float]:
        """Numbers that depend on the step alone, logged as "train/<name>", such as the learning rate."""
        return {}

    def summary(self, metrics: Mapping[str, float]) -> str:
        """The model's part of the progress line."""
        return f"loss {metrics['loss']:.4g}"

    def headline(self, readouts: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
        """The read-outs' part of the line "complete: ...", such as ("g0 9.81",)."""
        return ()

    def truth(self) -> dict[str, Any] | None:
        """The hidden truth of a simulated world, for `truth.json`; None if there is none."""
        return None

    def notes(self, plan: Plan) -> list[str]:
        """Lines to print before the run starts, such as its cost and its limits."""
        return []
