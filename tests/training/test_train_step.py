"""The pure step: accumulation changes nothing, randomness belongs to samples, metrics add up exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from o2t_jax.training.state import TrainState
from o2t_jax.training.step import make_gradients, make_train_step, sample_keys

BATCH = 12


def loss_fn(params, extra, batch, keys):
    noise = 0.3 * jax.vmap(lambda key: jax.random.normal(key, (4,)))(keys)
    hidden = jnp.tanh((batch["x"] + noise) @ params["first"])
    error = jnp.mean((hidden @ params["second"] - batch["y"]) ** 2, axis=-1)
    odd = batch["kind"] % 2 == 1
    extra = {"mean": 0.9 * extra["mean"] + 0.1 * hidden.mean(0), "calls": extra["calls"] + 1}
    return error.mean(), ({"odd": (jnp.sum(error * odd), jnp.sum(odd)), "size": jnp.abs(hidden).mean()}, extra)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    params = {"first": rng.normal(size=(4, 16)), "second": rng.normal(size=(16, 2))}
    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)
    extra = {"mean": jnp.ones(16), "calls": jnp.zeros((), jnp.int32)}
    state = TrainState.create(params=params, tx=optax.adam(1e-3), key=jax.random.key(7), extra=extra)
    batch = {
        "x": rng.normal(size=(BATCH, 4)).astype(np.float32),
        "y": rng.normal(size=(BATCH, 2)).astype(np.float32),
        "kind": np.array([0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 4], np.int32),  # the odd ones all in the first piece
    }
    return state, batch


@pytest.mark.parametrize("pieces", [2, 3, 12])
def test_accumulated_gradient_equals_the_whole_batch(problem, pieces):
    state, batch = problem
    whole, (metrics, extra) = jax.jit(make_gradients(loss_fn))(state, batch)
    parts, (metrics_p, extra_p) = jax.jit(make_gradients(loss_fn, micro_batches=pieces))(state, batch)
    for name in whole:
        scale = jnp.max(jnp.abs(whole[name]))
        assert jnp.max(jnp.abs(parts[name] - whole[name])) <= 1e-6 * scale, name
    np.testing.assert_allclose(extra_p["mean"], extra["mean"], rtol=1e-6)
    assert extra_p["calls"] == extra["calls"] == 1
    np.testing.assert_allclose(metrics_p["loss"], metrics["loss"], rtol=1e-6)
    np.testing.assert_allclose(metrics_p["size"], metrics["size"], rtol=1e-6)
    np.testing.assert_allclose(metrics_p["odd"], metrics["odd"], rtol=1e-6)
    assert metrics_p["odd"][1] == 2  # a count, not a mean of counts


def test_a_loss_normalised_over_the_batch_would_be_caught(problem):
    """The comparison above has teeth: dividing by a sum over the batch changes the accumulated gradient."""
    state, batch = problem

    def wrong(params, extra, batch, keys):
        total, count = loss_fn(params, extra, batch, keys)[1][0]["odd"]
        return total / jnp.maximum(count, 1), ({}, extra)

    whole, _ = jax.jit(make_gradients(wrong))(state, batch)
    parts, _ = jax.jit(make_gradients(wrong, micro_batches=3))(state, batch)
    difference = jnp.max(jnp.abs(parts["second"] - whole["second"])) / jnp.max(jnp.abs(whole["second"]))
    assert difference > 1e-2


def test_every_sample_and_step_has_its_own_key(problem):
    state, batch = problem
    states = [state, state.replace(step=jnp.int32(1)), state.replace(key=jax.random.PRNGKey(8))]
    draws = [np.asarray(jax.vmap(jax.random.uniform)(sample_keys(each, batch))) for each in states]
    assert len(np.unique(np.concatenate(draws))) == 3 * BATCH


def test_step_is_pure_and_follows_the_optimiser(problem):
    state, batch = problem
    step = jax.jit(make_train_step(loss_fn, optax.adam(1e-3)))
    first, metrics = step(state, batch)
    again, _ = step(state, batch)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), first, again))
    assert first.step == 1 and state.step == 0
    np.testing.assert_array_equal(first.key, state.key)
    grads, _ = jax.jit(make_gradients(loss_fn))(state, batch)
    squares = sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(grads))
    np.testing.assert_allclose(metrics["grad_norm"], squares**0.5, rtol=1e-5)
    # Adam's first step moves every weight by the learning rate against its gradient's sign.
    moved = first.params["second"] - state.params["second"]
    np.testing.assert_allclose(moved, -1e-3 * np.sign(grads["second"]), rtol=1e-3)


def test_uneven_micro_batches_are_refused(problem):
    state, batch = problem
    with pytest.raises(ValueError, match="12 samples cannot be cut into 5"):
        make_gradients(loss_fn, micro_batches=5)(state, batch)
