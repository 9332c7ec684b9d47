"""One training step as a pure function: gradients over micro-batches and devices, one optimiser update, one `advance`.

A step gives the same result for the same global batch, whatever the number of devices or micro-batches. Losses are
means over samples, so shards of equal size average exactly. Each statistic declares its reduction. Random numbers
belong to a sample's index in the global batch, not to a device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from o2t_jax.training import statistics as stats
from o2t_jax.training.contract import AdvanceFn, LossFn, StepFn
from o2t_jax.training.parts import mask_of
from o2t_jax.training.state import TrainState
from o2t_jax.types import Array, Batch, PyTree

Statistics = Mapping[str, stats.Statistic]
_ADVANCE = 2**32 - 1  # folded into a step's key for `advance`; never the index of a sample in a batch


def make_train_step(
    loss: LossFn,
    tx: optax.GradientTransformation,
    advance: AdvanceFn | None = None,
    *,
    frozen: Sequence[str] = (),
    axis_name: str | None = None,
    micro_batches: int = 1,
) -> StepFn:
    """Builds `step(state, batch) -> (state, metrics)`.

    Args:
        loss: see `contract.LossFn`.
        tx: the optimiser that `state.opt_state` belongs to.
        advance: see `contract.AdvanceFn`; None leaves `state.extra` as it is.
        frozen: parts of the parameters (see `parts`) that are not trained: no gradient, no decay, no share in a clip.
        axis_name: name of the mapped device axis the step will run under; None for one device.
        micro_batches: number of pieces of a device's batch, processed in sequence to save memory.

    Returns:
        A pure function. Its metrics are those of `loss`, reduced over micro-batches and devices, plus `loss` and
        `grad_norm` (global norm of the gradient before any clipping in `tx`).
    """
    gradients = make_gradients(loss, frozen=frozen, axis_name=axis_name, micro_batches=micro_batches)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Any]]:
        grads, (metrics, statistics) = gradients(state, batch)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        if frozen:
            updates = jax.tree.map(lambda x, held: jnp.zeros_like(x) if held else x, updates, mask_of(updates, frozen))
        params = optax.apply_updates(state.params, updates)
        extra = state.extra
        if advance is not None:
            key = jax.random.fold_in(_step_key(state), jnp.uint32(_ADVANCE))
            extra = advance(extra, params, stats.values_of(statistics), state.step, key)
        state = state.replace(step=state.step + 1, params=params, opt_state=opt_state, extra=extra)
        return state, {**metrics, "grad_norm": optax.tree.norm(grads)}

    return step


def make_gradients(
    loss: LossFn, *, frozen: Sequence[str] = (), axis_name: str | None = None, micro_batches: int = 1
) -> Callable[[TrainState, Batch], tuple[PyTree, tuple[dict[str, Any], Statistics]]]:
    """Builds `gradients(state, batch) -> (grads, (metrics, statistics))`: the first half of a step.

    `batch` holds this device's samples; its leading size must be divisible by `micro_batches`.
    """

    def held_loss(params: PyTree, *rest: Any):
        if frozen:
            held = mask_of(params, frozen)
            params = jax.tree.map(lambda x, hold: jax.lax.stop_gradient(x) if hold else x, params, held)
        return loss(params, *rest)

    grad_fn = jax.value_and_grad(held_loss, has_aux=True)

    def gradients(state: TrainState, batch: Batch):
        keys = sample_keys(state, batch, axis_name)
        if micro_batches == 1:
            (value, (metrics, statistics)), grads = grad_fn(state.params, state.extra, batch, keys, state.step)
        else:
            value, metrics, statistics, grads = _accumulate(grad_fn, state, batch, keys, micro_batches)
        metrics = {**metrics, "loss": value}
        if axis_name is not None:
            grads, metrics, statistics = _over_devices(grads, metrics, statistics, axis_name)
        return grads, (metrics, statistics)

    return gradients


def _over_devices(
    grads: PyTree, metrics: Mapping[str, Any], statistics: Statistics, axis_name: str
) -> tuple[PyTree, dict[str, Any], Statistics]:
    """Over the devices: means of gradients and scalars, sums of (sum, count) pairs, each statistic's own reduction."""
    devices = jax.lax.axis_size(axis_name)
    # A mean of integers is a float. The mean of `devices` times a value is the sum.
    scaled = reduce_metrics(metrics, lambda x: 1.0 * x, lambda x: devices * x)
    scaled_sums = jax.tree.map(lambda x: devices * x, stats.sums_of(statistics))
    grads, reduced, sums = _all_mean((grads, scaled, scaled_sums), axis_name)
    return grads, reduced, stats.over_devices(statistics, sums, axis_name)


def _all_mean(tree: PyTree, axis_name: str) -> PyTree:
    """Means over the devices (those of integers must be whole numbers), by one all-reduce for each number type.

    Otherwise a step would issue one all-reduce for each leaf. XLA joins them, but at most 256, and on some devices only
    up to a size. Each remaining one costs its latency, which dominates over a network of many hosts. The price of
    joining them here is one copy.
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
    """Typed random keys [b], one per sample, folded from the run's key, the step and the index in the global batch."""
    size = jax.tree.leaves(batch)[0].shape[0]
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * size
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(_step_key(state), first + jnp.arange(size))


def _step_key(state: TrainState) -> Array:
    return jax.random.fold_in(jax.random.wrap_key_data(jnp.asarray(state.key)), state.step)


def _accumulate(grad_fn: Callable, state: TrainState, batch: Batch, keys: Array, pieces: int):
    """Averages over the pieces of a batch, processed in sequence: memory of one piece, gradient of all."""

    def cut(x: Array) -> Array:
        if x.shape[0] % pieces:
            raise ValueError(f"a batch of {x.shape[0]} samples cannot be cut into {pieces} equal micro-batches")
        return x.reshape(pieces, x.shape[0] // pieces, *x.shape[1:])

    def body(total, piece):
        (value, aux), grads = grad_fn(state.params, state.extra, *piece, state.step)
        return jax.tree.map(jnp.add, total, grads), (value, *aux)

    zero = jax.tree.map(jnp.zeros_like, state.params)
    grads, (value, metrics, statistics) = jax.lax.scan(body, zero, jax.tree.map(cut, (batch, keys)))
    grads = jax.tree.map(lambda x: x / pieces, grads)
    metrics = reduce_metrics(metrics, lambda x: jnp.mean(x, axis=0), lambda x: jnp.sum(x, axis=0))
    return jnp.mean(value), metrics, stats.over_pieces(statistics), grads


def reduce_metrics(metrics: Mapping[str, Any], mean: Callable, total: Callable) -> dict[str, Any]:
    """Averages scalars, which are means over equally many samples, and adds up (sum, count) pairs."""
    return {
        name: tuple(map(total, value)) if isinstance(value, tuple) else mean(value) for name, value in metrics.items()
    }
