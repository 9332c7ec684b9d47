"""One test over every registered world: jit, vmap, step halving, energy; and what is particular to each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.physics.envs import ENVIRONMENTS, make
from o2t_jax.physics.laws import Gravity
from o2t_jax.physics.room_jax import visible

WORLD = Gravity.hyperbolic(9.5, 9.0)


def roll_out(env, state, params, dt, steps, action=None):
    def step(carry, _):
        return env.step(carry, action, dt, params), None

    return jax.lax.scan(step, state, None, length=steps)[0]


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_every_world_keeps_the_laws(name):
    env = make(name, WORLD)
    with jax.enable_x64(True):
        params = jnp.asarray(WORLD.params)
        keys = jax.random.split(jax.random.key(3), 5)
        batch = jax.jit(jax.vmap(env.reset))(keys)
        count = env.num_balls
        assert batch.position.shape == (5, count, 3)

        # vmap and jit change nothing but the last bits.
        one = jax.tree.map(lambda leaf: leaf[2], batch)
        several = jax.jit(jax.vmap(lambda s: env.step(s, None, 0.05, params)))(batch)
        alone = env.step(one, None, 0.05, params)
        third = jax.tree.map(lambda leaf: leaf[2], several)
        for a, b in zip(jax.tree.leaves(third), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)

        # Halving the step moves the result at the order of the integrator only.
        go = jax.jit(jax.vmap(lambda s, dt: roll_out(env, s, params, dt, 40), in_axes=(0, None)))
        fine = jax.jit(jax.vmap(lambda s, dt: roll_out(env, s, params, dt, 80), in_axes=(0, None)))
        end, half = go(batch, 0.03), fine(batch, 0.015)
        np.testing.assert_allclose(end.position, half.position, atol=1e-4)
        np.testing.assert_array_equal(visible(end), visible(half))

        # The energy stays, though the ball bounces.
        before, after = (jax.vmap(env.energy, (0, None))(s, params) for s in (batch, half))
        np.testing.assert_allclose(after, before, rtol=1e-5)
        assert np.abs(half.position - batch.position).max() > 0.5
        seen = jax.vmap(env.observe)(half)
        assert seen.shape == (5, count, 5)
        np.testing.assert_array_equal(seen[..., 4], visible(half))
        assert env.params().shape == params.shape


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_an_action_is_a_push(name):
    env = make(name, Gravity.constant(9.81))
    state = env.reset(jax.random.key(0))
    high = state._replace(position=state.position.at[:, 2].add(9.0))
    push = jnp.broadcast_to(jnp.array([1.0, -2.0, 3.0]), (env.num_balls, 3))
    end = env.step(high, push, 0.1, env.params())
    np.testing.assert_allclose(end.velocity, high.velocity + jnp.array([1.0, -2.0, 3.0 - 0.1 * 9.81]), atol=1e-4)


def test_room_bounces_and_vanishes():
    env = make("room", Gravity.constant(9.81))
    state = env.reset(jax.random.key(1))._replace(velocity=jnp.array([[-30.0, 0.0, -8.0], [0.0, 0.0, -8.0]]))
    ended = state
    contacts = np.zeros(2, bool)
    vanished = np.zeros(2, bool)
    step = jax.jit(lambda s: env.step(s, None, 0.05, env.params()))
    for _ in range(60):
        before, ended = ended, step(ended)
        happened = env.events(before, ended)
        contacts |= np.asarray(happened["contact"])
        vanished |= np.asarray(happened["vanished"])
        assert (ended.position[:, 2] >= ended.radius - 1e-5).all()
    assert contacts.all()
    assert vanished.tolist() == [True, False]
    assert (env.observe(ended)[0] == 0).all()


def test_ballistic_is_unseen_below_the_ground():
    env = make("ballistic")
    state = env.reset(jax.random.key(1))
    after = roll_out(env, state, env.params(), 0.05, 60)
    assert not visible(after).any()


def test_initial_conditions_do_not_know_the_law():
    for name in ENVIRONMENTS:
        one, other = (make(name, g).reset(jax.random.key(7)) for g in (Gravity.constant(9.0), WORLD))
        jax.tree.map(np.testing.assert_array_equal, one, other)


def test_unknown_world_is_refused():
    with pytest.raises(UsageError, match="did you mean 'room'"):
        make("rom")
