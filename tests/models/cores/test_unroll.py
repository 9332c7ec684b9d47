"""The one scan: whole sequences, masks, gradients, what it refuses."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models.cores import expand, unroll

B, T = 3, 5
LENGTHS = np.array([0, 2, 5])


def core(state, action, dt, context):
    """A pytree of two shapes, everything used."""
    push = 0.0 if action is None else action["push"]
    rate = -context["rate"][:, None] * state["x"] + push
    return {"x": state["x"] + expand(dt, state["x"]) * rate, "count": state["count"] + 1}


def sequences():
    rng = np.random.default_rng(0)
    state = {"x": jnp.asarray(rng.normal(size=(B, 2)), jnp.float32), "count": jnp.zeros(B, jnp.int32)}
    actions = {"push": jnp.asarray(rng.normal(size=(B, T, 2)), jnp.float32)}
    return state, actions, {"rate": jnp.array([0.5, 1.0, 2.0])}


def by_hand(state, actions, dt, context, length, row):
    """Sample `row` alone, step by step."""
    now = jax.tree.map(lambda x: x[row : row + 1], state)
    context = jax.tree.map(lambda x: x[row : row + 1], context)
    dt, states = np.broadcast_to(dt, B)[row : row + 1], []
    for t in range(T):
        if t < length:
            now = core(now, jax.tree.map(lambda x, t=t: x[row : row + 1, t], actions), dt, context)
        states.append(now)
    return states


@pytest.mark.parametrize("dt", [0.1, np.array([0.1, 0.2, 0.05], np.float32)], ids=["one dt", "a dt each"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "masked"])
def test_equals_a_loop_over_each_sample(dt, lengths) -> None:
    state, actions, context = sequences()
    last, track = jax.jit(unroll, static_argnums=0)(core, state, actions, dt, context, lengths)
    for row in range(B):
        states = by_hand(state, actions, dt, context, T if lengths is None else lengths[row], row)
        for t, expected in enumerate(states):
            for name in ("x", "count"):
                np.testing.assert_allclose(track[name][row, t], expected[name][0], rtol=1e-6)
        np.testing.assert_array_equal(last["x"][row], track["x"][row, -1])
    if lengths is not None:
        np.testing.assert_array_equal(last["count"], lengths)
        np.testing.assert_array_equal(last["x"][0], state["x"][0])  # no step: bit for bit what it was


def test_without_actions_the_number_of_steps_is_given() -> None:
    state, actions, context = sequences()
    last, track = unroll(core, state, None, 0.1, context, steps=4)
    idle, _ = unroll(core, state, {"push": jnp.zeros((B, 4, 2))}, 0.1, context)
    assert track["x"].shape == (B, 4, 2)
    np.testing.assert_array_equal(last["x"], idle["x"])
    empty, none = unroll(core, state, None, 0.1, context, steps=0)
    np.testing.assert_array_equal(empty["x"], state["x"])
    assert none["x"].shape == (B, 0, 2)
    with pytest.raises(ValueError, match="either"):
        unroll(core, state, None, 0.1, context)
    with pytest.raises(ValueError, match="either"):
        unroll(core, state, actions, 0.1, context, steps=4)


def test_gradients_pass_through_the_steps_taken_only() -> None:
    state, actions, context = sequences()

    taken = np.arange(T) < LENGTHS[:, None]
    actions = {"push": jnp.where(taken[..., None], actions["push"], jnp.nan)}  # as padding may be

    def total(actions, rate):
        last, track = unroll(core, state, actions, 0.1, {"rate": rate}, LENGTHS)
        return jnp.sum(last["x"] ** 2) + jnp.sum(track["x"])

    by_action, by_rate = jax.grad(total, (0, 1))(actions, context["rate"])
    assert (np.abs(by_action["push"]).min(axis=-1)[taken] > 0).all()
    assert not np.any(by_action["push"][~taken])
    assert by_rate[0] == 0.0 and (by_rate[1:] != 0).all()


def test_who_takes_the_last_state_only_does_not_keep_the_trajectory() -> None:
    """The physics layer of a large batch would hold n states for nothing."""
    width, steps = 1000, 777

    def last(x):
        return unroll(lambda x, action, dt, context: jnp.sin(x) * dt, x, None, 0.1, steps=steps)[0]

    compiled = jax.jit(last).lower(jnp.zeros((2, width))).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 20 * 2 * width * 4
