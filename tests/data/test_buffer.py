"""The replay buffer: what its ring holds at a step, how it is drawn from, and that threads change nothing."""

from __future__ import annotations

import random
import time

import ml_collections
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from o2t_jax.config import from_flat
from o2t_jax.data.buffer import Buffer
from o2t_jax.data.ring import BufferConfig, Ring, Strata
from o2t_jax.errors import UsageError
from tests.defaults import buffer_config


def tagged(index, step):
    """A sample that says which one it is; its mode is index mod 3."""
    return {"index": np.array(index, np.int64), "step": np.array(step, np.int64), "mode": np.array(index % 3, np.int32)}


def batches(make, config, count, seed=0, **keywords):
    buffer = Buffer(make, config, seed, **keywords)
    try:
        return [next(buffer) for _ in range(count)], buffer.get_state()
    finally:
        buffer.close()


@settings(deadline=None, max_examples=100)
@given(
    batch=st.integers(1, 64),
    extra=st.integers(0, 500),
    reuse=st.sampled_from([1.0, 1.3, 2.0, 2.5, 4.0, 7.0, 33.3]),
    index=st.integers(0, 2_000_000),
    step=st.integers(0, 200_000),
)
def test_produced_and_step_of_are_inverse(batch, extra, reuse, index, step):
    config = buffer_config(batch + extra, batch + extra, batch, reuse=reuse)
    owner = config.step_of(index)
    assert config.produced(owner) > index
    assert owner == 0 or config.produced(owner - 1) <= index
    assert config.produced(0) == config.initial_fill
    assert abs(config.produced(step) - config.initial_fill - step * batch / reuse) <= 1 + 1e-6 * step


@pytest.mark.parametrize("reuse", [1.0, 2.5, 4.0])
def test_a_draw_sees_exactly_the_last_pool_size_indices_of_its_step(reuse):
    config = buffer_config(20, 12, 8, reuse=reuse, render_workers=3)
    drawn, _ = batches(tagged, config, 200)
    ages = set()
    for step, batch in enumerate(drawn):
        end = config.produced(step)
        np.testing.assert_array_equal(batch["step"], [config.step_of(i) for i in batch["index"]])
        assert batch["index"].min() >= 0
        ages.update(end - 1 - batch["index"])
    assert ages == set(range(20))


def test_samples_are_drawn_reuse_times_on_average():
    config = buffer_config(64, 32, 8, reuse=4.0)
    drawn, _ = batches(tagged, config, 400)
    counts = np.bincount(np.concatenate([batch["index"] for batch in drawn]))
    assert counts[100:700].mean() == pytest.approx(4.0, abs=0.2)


def test_one_and_eight_workers_with_uneven_speed_give_the_same_batches():
    def slow(index, step):
        time.sleep(random.random() * 0.004)
        return tagged(index, step)

    keywords = {"strata": Strata("mode", lambda step: (0.2, 0.3, 0.5), ("a", "b", "c"))}
    one, _ = batches(slow, buffer_config(24, 16, 8, reuse=2, render_workers=1), 30, **keywords)
    eight, _ = batches(slow, buffer_config(24, 16, 8, reuse=2, render_workers=8), 30, **keywords)
    for a, b in zip(one, eight, strict=True):
        np.testing.assert_array_equal(a["index"], b["index"])


@pytest.mark.parametrize("change", [{"seed": 1}, {"process_index": 1}])
def test_seed_and_process_change_the_draws(change):
    config = buffer_config(32, 32, 8)
    base, _ = batches(tagged, config, 3)
    other, _ = batches(tagged, config, 3, **change)
    assert any(not np.array_equal(a["index"], b["index"]) for a, b in zip(base, other, strict=True))


def test_any_pytree_without_modes_will_do():
    def clip(index, step):
        return (np.full((2, 3), index, np.float32), {"action": [np.array([index], np.int16)]})

    drawn, _ = batches(clip, buffer_config(16, 8, 4), 5)
    frames, rest = drawn[-1]
    assert frames.shape == (4, 2, 3) and frames.dtype == np.float32 and rest["action"][0].dtype == np.int16
    np.testing.assert_array_equal(frames[:, 0, 0], rest["action"][0][:, 0])


def full_ring(pool=40):
    ring = Ring(pool, "mode")
    for index in range(pool):
        ring.put(index, tagged(index, 0))
    return ring


def test_the_newest_replaces_the_oldest():
    ring = full_ring(10)
    for index in range(10, 23):
        ring.put(index, tagged(index, 0))
        assert sorted(ring.held) == list(range(index - 9, index + 1))
    np.testing.assert_array_equal(ring.take(np.arange(10))["index"], ring.held)


def test_a_batch_keeps_its_numbers_when_the_ring_moves_on():
    ring = full_ring(10)
    batch = ring.take(np.arange(10))
    before = batch["index"].copy()
    for index in range(10, 30):
        ring.put(index, tagged(index, 0))
    ring.take(np.arange(10))
    np.testing.assert_array_equal(batch["index"], before)


def test_modes_are_drawn_by_weight_and_uniformly_within():
    ring, rng = full_ring(30), np.random.default_rng(0)
    weights = (0.6, 0.1, 0.3)
    slots = np.concatenate([ring.choose(rng, 10, weights)[0] for _ in range(600)])
    count = len(slots)
    modes = np.bincount(ring.strata(slots), minlength=3) / count
    np.testing.assert_allclose(modes, weights, atol=4 * np.sqrt(0.25 / count))
    within = np.bincount(slots, minlength=30)[ring.strata(np.arange(30)) == 0]
    assert within.min() > 0.8 * within.mean() and within.max() < 1.2 * within.mean()


def test_a_batch_repeats_no_sample_while_there_are_enough():
    ring, rng = full_ring(30), np.random.default_rng(1)
    for _ in range(50):
        assert len(set(ring.choose(rng, 10, (1.0, 0.0, 0.0))[0])) == 10
        assert len(set(ring.choose(rng, 30, None)[0])) == 30
    assert len(set(ring.choose(rng, 11, (1.0, 0.0, 0.0))[0])) <= 10


def test_an_absent_mode_gives_its_draws_to_those_present_and_is_counted():
    ring, rng = Ring(20, "mode"), np.random.default_rng(2)
    for index in range(12):
        ring.put(index, {"mode": np.array(index % 2, np.int32)})
    drawn = [ring.choose(rng, 10, (0.1, 0.3, 0.6)) for _ in range(300)]
    missed = sum(count for _, count in drawn)
    modes = np.bincount(ring.strata(np.concatenate([slots for slots, _ in drawn])), minlength=3) / 3_000
    assert missed / 3_000 == pytest.approx(0.6, abs=0.04)
    np.testing.assert_allclose(modes, [0.25, 0.75, 0.0], atol=0.04)
    only_absent, all_missed = ring.choose(rng, 10, (0.0, 0.0, 1.0))
    assert all_missed == 10 and set(ring.strata(only_absent)) == {0, 1}


def test_a_sample_of_another_shape_is_refused():
    def growing(index, step):
        return {"x": np.zeros(3 if index < 9 else 4)}

    with pytest.raises(UsageError, match="sample 9"):
        batches(growing, buffer_config(16, 16, 4), 1)


def test_counters_are_summed_and_not_passed_on():
    def make(index, step):
        return {"x": np.zeros(2), "rejects": np.array(3)}

    buffer = Buffer(make, buffer_config(8, 8, 4), 0, counters=("rejects",))
    assert set(next(buffer)) == {"x"}
    buffer.close()
    assert buffer.counters == {"rejects": 24} and buffer.rendered == 8


GOOD = {"pool_size": 32, "initial_fill": 16, "batch": 8}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"batch": 0}, "batch=0"),
        ({"batch": 33, "initial_fill": 32}, "pool_size=32 is below batch=33"),
        ({"batch": 17}, "initial_fill=16 is below batch=17"),
        ({"initial_fill": 33}, "initial_fill=33 exceeds pool_size=32"),
        ({"render_workers": 0}, "render_workers=0"),
        ({"reuse": 0.5}, "reuse=0.5"),
        ({"reuse": float("nan")}, "reuse=nan"),
        ({"buffer": "fre"}, "buffer='fre'"),
    ],
)
def test_bad_sizes_are_refused_with_their_names(change, names):
    with pytest.raises(UsageError) as error:
        buffer_config(**{**GOOD, **change})
    assert names in str(error.value) and "\n" not in str(error.value)


def test_config_fields_are_picked_by_name_and_none_may_lack():
    flat = ml_collections.ConfigDict({**GOOD, "reuse": 2.0, "render_workers": 2, "buffer": "free", "lr": 1e-3})
    config = from_flat(BufferConfig, flat, pool_size=64)
    assert config == BufferConfig(64, 16, 8, reuse=2.0, render_workers=2, buffer="free")
    assert config.host_samples() >= 64 + config.ahead + 3 * 8
    del flat.reuse
    with pytest.raises(UsageError, match="BufferConfig: the config lacks reuse"):
        from_flat(BufferConfig, flat)
