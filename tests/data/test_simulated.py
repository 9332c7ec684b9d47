"""Simulated sequences: pure in (seed, split, index), true to their world, and a training iterator over them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.data.simulated import SPLITS, SimulatedSequences
from o2t_jax.errors import UsageError
from o2t_jax.physics.environment import simulate
from o2t_jax.physics.envs import get_environment
from o2t_jax.training.contract import DataRequest, Plan
from o2t_jax.training.iterator import BatchesByStep

ENV = get_environment("pendulum")
DATA = SimulatedSequences(ENV, steps=6, dts=(0.05, 0.1), seed=3)


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_sequence_depends_on_its_three_numbers_alone():
    whole = DATA.batch("train", np.arange(8))
    assert whole["states"].shape == (8, 7, 2) and whole["actions"].shape == (8, 6, 1)
    turned = DATA.batch("train", np.arange(8)[::-1])
    same(jax.tree.map(lambda x: x[::-1], turned), whole)
    same(SimulatedSequences(ENV, 6, (0.05, 0.1), seed=3).batch("train", np.arange(8)), whole)
    same(DATA.batch_at("train", 1, 4), DATA.batch("train", np.arange(4, 8)))
    one = DATA.batch("train", np.array([5]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b[5], rtol=1e-5, atol=1e-5), one, whole)


def test_no_two_sequences_are_alike():
    kinds = [DATA.batch(split, np.arange(8)) for split in SPLITS] + [DATA.batch("train", np.arange(8), seed=4)]
    for numbers in ([kind["states"][:, 0] for kind in kinds], [kind["params"].damping for kind in kinds]):
        rows = np.concatenate([np.asarray(part).reshape(8, -1) for part in numbers])
        assert len(np.unique(rows, axis=0)) == len(rows)
    actions = np.stack([kind["actions"] for kind in kinds])
    assert len(np.unique(actions.reshape(len(kinds), -1), axis=0)) == len(kinds)


def test_states_follow_from_what_is_told_beside_them():
    batch = DATA.batch("test", np.arange(200))
    dts, counts = np.unique(batch["dt"], return_counts=True)
    np.testing.assert_allclose(dts, [0.05, 0.1])
    assert counts.min() > 60
    damping = np.asarray(batch["params"].damping)
    low, high = ENV.ranges["damping"]
    assert low <= damping.min() < damping.max() <= high and np.ptp(damping) > 0.9 * (high - low)
    ENV.actions.checked(batch["actions"])

    def again(states, actions, dt, params):
        start = ENV.reset(jax.random.key(0), params)._replace(angle=states[0, 0], velocity=states[0, 1])
        return jax.vmap(ENV.observe, (0, None))(simulate(ENV, start, actions, dt, params), params)

    expected = jax.vmap(again)(batch["states"], batch["actions"], batch["dt"], batch["params"])
    np.testing.assert_allclose(batch["states"], expected, atol=1e-5)


def test_data_of_several_seeds_is_that_of_each():
    together = jax.vmap(lambda seed: DATA.batch("train", np.arange(4), seed))(jnp.arange(3))
    for seed in range(3):
        alone = DATA.batch("train", np.arange(4), seed)
        jax.tree.map(lambda a, b, i=seed: np.testing.assert_allclose(a[i], b, atol=1e-5), together, alone)


def test_a_training_iterator_goes_on_where_it_stood():
    """The wiring of a system, in one line."""
    request = DataRequest(None, Plan(0, 4, 1, 1), print, lambda batch: batch)
    iterate = functools.partial(BatchesByStep, lambda step: DATA.batch_at("train", step, 4))
    batches, whole = iterate(request), [DATA.batch_at("train", step, 4) for step in range(3)]
    for expected in whole[:2]:
        same(next(batches), expected)
    resumed = iterate(
        DataRequest(batches.get_state(), request.plan, print, request.put, process_index=1, process_count=2)
    )
    same(next(resumed), jax.tree.map(lambda x: x[2:], whole[2]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: DATA.batch("val", np.arange(2)), "unknown: choose one of train"),
        (lambda: DATA.batch("train", np.array([-1])), "index -1"),
        (lambda: DATA.batch_at("train", 2**31, 4), "index 8589934595"),
        (lambda: SimulatedSequences(ENV, 0, (0.1,), 0), "steps=0"),
        (lambda: SimulatedSequences(ENV, 3, (), 0), "at least one"),
        (lambda: SimulatedSequences(ENV, 3, (0.1, 0.7), 0), "dt=0.7"),
    ],
)
def test_what_cannot_be_made_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        wrong()
