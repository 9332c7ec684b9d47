"""Windows of noisy sequences, and held-out rollouts at several steps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.data.simulated import SequenceSource, SimulatedSequences
from o2t_jax.data.windows import HeldOut, Windows
from o2t_jax.physics.envs import get_environment

ENV = get_environment("pendulum")
DATA = SimulatedSequences(ENV, 12, (0.1,), 5)


@pytest.fixture(scope="module")
def whole():
    return {name: np.asarray(DATA.batch("train", np.arange(20))[name]) for name in ("states", "actions")}


def test_windows_are_cut_from_the_set_with_noise_of_the_stated_size(whole):
    """Actions are those of the sequence at that place; the noise is one of the sequence, the same at every step."""
    make = jax.jit(Windows(DATA, 7, 20, 0.1).batch, static_argnums=2)
    batches = [jax.device_get(make(jnp.int32(5), jnp.int32(step), 64)) for step in range(4)]
    noise = {}
    for batch in batches:
        assert batch["states"].shape == (64, 8, 2) and batch["actions"].shape == (64, 7, 1)
        for states, actions in zip(batch["states"], batch["actions"], strict=True):
            places = [
                (i, j) for i in range(20) for j in range(6) if np.array_equal(whole["actions"][i, j : j + 7], actions)
            ]
            apart = {at: states - whole["states"][at[0], at[1] : at[1] + 8] for at in places}
            (i, j), own = min(apart.items(), key=lambda item: np.abs(item[1]).max())
            for k, row in enumerate(own):
                np.testing.assert_allclose(noise.setdefault((i, j + k), row), row, atol=1e-5)
    first = np.array([(whole["states"][i, 0], noise[i, 0]) for i in range(20) if (i, 0) in noise])
    assert len(first) > 12  # the noise at a start does not follow from the start
    assert all(abs(np.corrcoef(first[:, 0, k], first[:, 1, k])[0, 1]) < 0.75 for k in range(2))
    assert len(noise) > 200 and np.std(list(noise.values())) == pytest.approx(0.1, rel=0.1)
    known = np.concatenate([batch["known"] for batch in batches])
    assert known.min() >= -1.0 and known.max() <= 1.0 and np.std(known) > 0.4


def test_windows_of_a_stored_set_are_those_made_on_the_fly(whole):
    """The same noise for a sequence, whichever way it comes."""
    windows = Windows(DATA, 12, 20, 0.1)  # whole sequences, so that both ways cut at the same place
    indices = np.array([3, 11, 3, 7])
    stored = windows.of_stored(SequenceSource(DATA).make("train", indices), indices, 4)
    fly = jax.device_get(jax.jit(windows.batch, static_argnums=2)(jnp.int32(5), jnp.int32(0), 64))
    for states, actions, known in zip(stored["states"], stored["actions"], stored["known"], strict=True):
        at = [i for i in range(64) if np.array_equal(fly["actions"][i], actions)]
        assert at, "this sequence was not drawn: choose others"
        np.testing.assert_allclose(fly["states"][at[0]], states, atol=1e-6)
        np.testing.assert_allclose(fly["known"][at[0]], known, atol=1e-6)
    np.testing.assert_array_equal(stored["states"][0], stored["states"][2])


def test_held_out_rollouts_are_one_motion_seen_at_several_steps():
    """The same starts, the same forces held for 0.1 s, the same truth where times agree."""
    held = HeldOut(ENV, 4, 1.0, (0.05, 0.1, 0.5), 0.1, 3, 0.1, 0.2)
    assert held.grid == pytest.approx(0.05) and [held.pieces(dt) for dt in (0.05, 0.1, 0.5)] == [1, 2, 10]
    fine, own, coarse = (held.rollouts(dt) for dt in (0.05, 0.1, 0.5))
    assert [x["states"].shape[1] for x in (fine, own, coarse)] == [21, 11, 3]
    np.testing.assert_array_equal(fine["states"][:, ::2], own["states"])
    np.testing.assert_array_equal(fine["states"][:, ::10], coarse["states"])
    np.testing.assert_array_equal(fine["actions"].reshape(4, 20), coarse["actions"].reshape(4, 20))
    pairs = fine["actions"].reshape(4, 10, 2)
    np.testing.assert_array_equal(pairs[..., 0], pairs[..., 1])
    assert len(np.unique(pairs)) == 3  # and they change
    window = held.windows()
    assert window["states"].shape == (4, 4, 2) and window["actions"].shape == (4, 3, 1)
    assert 0.02 < np.abs(window["states"][:, -1] - own["states"][:, 0]).mean() < 0.5  # noisy, and it ends at the start
