"""The pure step: accumulation changes nothing, randomness belongs to samples, metrics add up exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from o2t_jax.training.state import Initial, TrainState, of_seed
from o2t_jax.training.statistics import Gather, Max, Sum, values_of
from o2t_jax.training.step import make_gradients, make_train_step, sample_keys

BATCH = 12


def loss_fn(params, extra, batch, keys, step):
    noise = 0.3 * jax.vmap(lambda key: jax.random.normal(key, (4,)))(keys)
    hidden = jnp.tanh((batch["x"] + noise) @ params["first"])
    error = jnp.mean((hidden @ params["second"] - batch["y"]) ** 2, axis=-1)
    odd = batch["kind"] % 2 == 1
    statistics = {
        "hidden": Sum(hidden.sum(0)),
        "kinds": Sum(jnp.bincount(batch["kind"], length=5)),
        "largest": Max(hidden.max(0)),
        "rows": Gather(batch["x"]),
    }
    metrics = {"odd": (jnp.sum(error * odd), jnp.sum(odd)), "size": jnp.abs(hidden).mean(), "step": 1.0 * step}
    return error.mean(), (metrics, statistics)


def advance(extra, params, statistics, step, key):
    """A running mean, an averaged copy of the weights, and a draw of the step's own."""
    return {
        "mean": 0.9 * extra["mean"] + 0.1 * statistics["hidden"] / BATCH,
        "weights": jax.tree.map(lambda old, new: 0.5 * old + 0.5 * new, extra["weights"], params),
        "draw": jax.random.uniform(key),
    }


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    params = {"first": rng.normal(size=(4, 16)), "second": rng.normal(size=(16, 2))}
    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)
    extra = {"mean": jnp.ones(16), "weights": params, "draw": jnp.zeros(())}
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
    whole, (metrics, found) = jax.jit(make_gradients(loss_fn))(state, batch)
    parts, (metrics_p, found_p) = jax.jit(make_gradients(loss_fn, micro_batches=pieces))(state, batch)
    for name in whole:
        scale = jnp.max(jnp.abs(whole[name]))
        assert jnp.max(jnp.abs(parts[name] - whole[name])) <= 1e-6 * scale, name
    np.testing.assert_allclose(found_p["hidden"].value, found["hidden"].value, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found_p["kinds"].value, [1, 1, 1, 1, 8])
    np.testing.assert_allclose(found_p["largest"].value, found["largest"].value, rtol=1e-6)
    np.testing.assert_array_equal(found_p["rows"].rows, batch["x"])
    np.testing.assert_allclose(metrics_p["loss"], metrics["loss"], rtol=1e-6)
    np.testing.assert_allclose(metrics_p["size"], metrics["size"], rtol=1e-6)
    np.testing.assert_allclose(metrics_p["odd"], metrics["odd"], rtol=1e-6)
    assert metrics_p["odd"][1] == 2  # a count, not a mean of counts


def test_a_loss_normalised_over_the_batch_would_be_caught(problem):
    """The comparison above has teeth: dividing by a sum over the batch changes the accumulated gradient."""
    state, batch = problem

    def wrong(params, extra, batch, keys, step):
        total, count = loss_fn(params, extra, batch, keys, step)[1][0]["odd"]
        return total / jnp.maximum(count, 1), ({}, {})

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


def test_collections_advance_after_the_update_from_the_new_parameters(problem):
    state, batch = problem
    step = jax.jit(make_train_step(loss_fn, optax.adam(1e-3), advance))
    first, metrics = step(state, batch)
    second, _ = step(first, batch)
    assert metrics["step"] == 0 and first.step == 1
    for name in state.params:
        want = 0.5 * (0.5 * state.params[name] + 0.5 * first.params[name]) + 0.5 * second.params[name]
        np.testing.assert_allclose(second.extra["weights"][name], want, rtol=1e-6)
    assert first.extra["draw"] != second.extra["draw"] != 0
    again, _ = jax.jit(make_train_step(loss_fn, optax.adam(1e-3), advance, micro_batches=3))(state, batch)
    assert again.extra["draw"] == first.extra["draw"]
    np.testing.assert_allclose(again.extra["mean"], first.extra["mean"], rtol=1e-5)


def test_a_frozen_part_stays_and_has_no_share_in_the_clip(problem):
    state, batch = problem
    tx = optax.chain(optax.clip_by_global_norm(1e-3), optax.adamw(1e-2, weight_decay=0.1))
    state = state.replace(opt_state=tx.init(state.params))
    frozen, metrics = jax.jit(make_train_step(loss_fn, tx, frozen=("first",)))(state, batch)
    np.testing.assert_array_equal(frozen.params["first"], state.params["first"])
    assert np.any(frozen.params["second"] != state.params["second"])
    grads, _ = jax.jit(make_gradients(loss_fn))(state, batch)
    np.testing.assert_allclose(metrics["grad_norm"], jnp.linalg.norm(grads["second"]), rtol=1e-5)


def test_a_gather_of_too_many_rows_is_refused():
    with pytest.raises(ValueError, match=r"'codes' gathers 1025 rows, the limit is 1024"):
        values_of({"codes": Gather(jnp.zeros((1025, 2)))})


def test_seeds_side_by_side_are_their_single_runs(problem):
    """Each slice of a state of three seeds is what its seed alone gives, after three steps of Adam, to 1e-5."""
    tx = optax.adam(1e-2)

    def init(key):
        one, two = jax.random.split(jax.random.wrap_key_data(key))
        params = {"first": jax.random.normal(one, (4, 16)), "second": jax.random.normal(two, (16, 2))}
        return params, {"mean": jnp.zeros(16), "weights": params, "draw": jnp.zeros(())}

    def batch_of(seed):
        return {**problem[1], "x": problem[1]["x"] + np.float32(seed)}

    seeds = (3, 4, 5)
    step = make_train_step(loss_fn, tx, advance)
    together, many = Initial(init, tx, seeds).make(), jax.jit(jax.vmap(step))
    batches = jax.tree.map(lambda *x: np.stack(x), *map(batch_of, seeds))
    singles, one = [Initial(init, tx, (seed,)).make() for seed in seeds], jax.jit(step)
    for _ in range(3):
        together, _ = many(together, batches)
        singles = [one(state, batch_of(seed))[0] for state, seed in zip(singles, seeds, strict=True)]
    for i, single in enumerate(singles):
        found = of_seed(together, i)
        np.testing.assert_array_equal(found.key, single.key)
        for name in single.params:
            np.testing.assert_allclose(found.params[name], single.params[name], rtol=1e-5, atol=1e-5)
    assert np.max(np.abs(together.params["first"][0] - together.params["first"][1])) > 0.1
