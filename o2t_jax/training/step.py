"""One training step as a pure function: gradients over micro-batches and devices, then one optimiser update.

Whatever the number of devices or micro-batches, a step does the same thing to the same global batch: losses are
means over samples, so shards of equal size average exactly; random numbers belong to a sample's place in the
global batch, not to a device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from o2t_jax.training.contract import LossFn, StepFn
from o2t_jax.training.state import TrainState
from o2t_jax.types import Array, Batch, PyTree


def make_train_step(
    loss_fn: LossFn, tx: optax.GradientTransformation, *, axis_name: str | None = None, micro_batches: int = 1
) -> StepFn:
    """Builds `step(state, batch) -> (state, metrics)`.

    Args:
        loss_fn: see `contract.LossFn`.
        tx: the optimiser that `state.opt_state` belongs to.
        axis_name: name of the mapped device axis the step will run under; None for one device.
        micro_batches: pieces a device's batch is cut into, one after the other, to save memory.

    Returns:
        A pure function. Its metrics are those of `loss_fn`, reduced over micro-batches and devices, and `loss` and
        `grad_norm` (global norm of the gradient before any clipping in `tx`).
    """
    gradients = make_gradients(loss_fn, axis_name=axis_name, micro_batches=micro_batches)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Any]]:
        grads, (metrics, extra) = gradients(state, batch)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        state = state.replace(step=state.step + 1, params=params, opt_state=opt_state, extra=extra)
        return state, {**metrics, "grad_norm": optax.tree.norm(grads)}

    return step


def make_gradients(
    loss_fn: LossFn, *, axis_name: str | None = None, micro_batches: int = 1
) -> Callable[[TrainState, Batch], tuple[PyTree, tuple[dict[str, Any], PyTree]]]:
    """Builds `gradients(state, batch) -> (grads, (metrics, extra))`: the first half of a step.

    `batch` holds this device's samples; its leading size must be divisible by `micro_batches`.
    """
    grad_fn = jax.value_and_grad(loss_fn, has_aux=True)

    def gradients(state: TrainState, batch: Batch):
        keys = sample_keys(state, batch, axis_name)
        if micro_batches == 1:
            (loss, (metrics, extra)), grads = grad_fn(state.params, state.extra, batch, keys)
        else:
            loss, metrics, extra, grads = _accumulate(grad_fn, state, batch, keys, micro_batches)
        metrics = {**metrics, "loss": loss}
        if axis_name is not None:
            grads, metrics, extra = _over_devices(grads, metrics, extra, axis_name)
        return grads, (metrics, extra)

    return gradients


def _over_devices(
    grads: PyTree, metrics: Mapping[str, Any], extra: PyTree, axis_name: str
) -> tuple[PyTree, dict[str, Any], PyTree]:
    """Averages over the devices: means of gradients, scalars and floats of `extra`, sums of (sum, count) pairs."""
    floats = [leaf for leaf in jax.tree.leaves(extra) if _is_float(leaf)]
    devices = jax.lax.axis_size(axis_name)
    # A mean of integers is a float, and the mean of `devices` times as much is the sum.
    scaled = _reduce_metrics(metrics, lambda x: 1.0 * x, lambda x: devices * x)
    grads, reduced, floats = _all_mean((grads, scaled, floats), axis_name)
    means = iter(floats)
    return grads, reduced, jax.tree.map(lambda x: next(means) if _is_float(x) else x, extra)


def _all_mean(tree: PyTree, axis_name: str) -> PyTree:
    """Means over the devices (integers' must be whole numbers), by one all-reduce for each type of number.

    Left alone, a step asks for one a leaf. XLA joins them, but 256 at most and on some devices up to a size only; each
    that is left costs its latency, over a network of many hosts the larger part. The price is one copy.
    """
    leaves, structure = jax.tree.flatten(tree)
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    places: dict[Any, list[int]] = {}
    for place, leaf in enumerate(leaves):
        places.setdefault(leaf.dtype, []).append(place)
    for dtype, alike in places.items():
        flat = jax.lax.pmean(jnp.concatenate([leaves[place].ravel() for place in alike]), axis_name).astype(dtype)
        begin = 0
        for place in alike:
            shape, size = leaves[place].shape, leaves[place].size
            leaves[place] = flat[begin : begin + size].reshape(shape)
            begin += size
    return jax.tree.unflatten(structure, leaves)


def sample_keys(state: TrainState, batch: Batch, axis_name: str | None = None) -> Array:
    """Typed random keys [b], one a sample: folded from the run's key, the step and the place in the global batch."""
    size = jax.tree.leaves(batch)[0].shape[0]
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * size
    key = jax.random.fold_in(jax.random.wrap_key_data(jnp.asarray(state.key)), state.step)
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, first + jnp.arange(size))


def _accumulate(grad_fn: Callable, state: TrainState, batch: Batch, keys: Array, pieces: int):
    """Runs the pieces of a batch one after the other and averages: the memory of one piece, the gradient of all."""

    def cut(x: Array) -> Array:
        if x.shape[0] % pieces:
            raise ValueError(f"a batch of {x.shape[0]} samples cannot be cut into {pieces} equal micro-batches")
        return x.reshape(pieces, x.shape[0] // pieces, *x.shape[1:])

    def body(total, piece):
        (loss, (metrics, extra)), grads = grad_fn(state.params, state.extra, *piece)
        # Every piece starts from the same `extra`; floats average over pieces like gradients do.
        extra = jax.tree.map(lambda acc, x: acc + x if _is_float(x) else x, total[1], extra)
        return (jax.tree.map(jnp.add, total[0], grads), extra), (loss, metrics)

    zero = (
        jax.tree.map(jnp.zeros_like, state.params),
        jax.tree.map(lambda x: jnp.zeros_like(x) if _is_float(x) else x, state.extra),
    )
    (grads, extra), (loss, metrics) = jax.lax.scan(body, zero, jax.tree.map(cut, (batch, keys)))
    grads, extra = jax.tree.map(lambda x: x / pieces if _is_float(x) else x, (grads, extra))
    metrics = _reduce_metrics(metrics, lambda x: jnp.mean(x, axis=0), lambda x: jnp.sum(x, axis=0))
    return jnp.mean(loss), metrics, extra, grads


def _reduce_metrics(metrics: Mapping[str, Any], mean: Callable, total: Callable) -> dict[str, Any]:
    """Scalars are means over equally many samples: average. (sum, count) pairs add up."""
    return {
        name: tuple(map(total, value)) if isinstance(value, tuple) else mean(value) for name, value in metrics.items()
    }


def _is_float(x: Array) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)
