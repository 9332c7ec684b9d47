"""One test over every registered world: jit, vmap, step halving, energy; and what is particular to each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.physics.environment import rollout
from o2t_jax.physics.envs import ENVIRONMENTS, get_environment
from o2t_jax.physics.laws import Gravity
from o2t_jax.physics.room import PROJECTILE, RAMP, Setup, simulate_states
from o2t_jax.render.scenes import get_scene

WORLD = Gravity.hyperbolic(9.5, 20.0)  # steep, so that the error of a step stands above rounding
BATCH = 6
STEPS = 40


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_every_world_keeps_the_contract(name):
    env = get_environment(name, WORLD)
    assert env.name == name
    with jax.enable_x64(True):
        params, idle = env.params, jnp.zeros(env.action_size)
        states = jax.jit(jax.vmap(env.reset, (0, None)))(jax.random.split(jax.random.key(3), BATCH), params)

        # One compiled roll-out serves all: the length of a step is an argument.
        def run(state, dt):
            track = rollout(env, state, jnp.zeros((STEPS, env.action_size)), dt, params)
            whole = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), state, track)
            measure = lambda s: (env.observe(s, params), env.energy(s, params), env.events(s, params))  # noqa: E731
            return whole, *jax.vmap(measure)(whole)

        go = jax.jit(jax.vmap(run, in_axes=(0, None)))
        step = min(env.max_dt, env.duration / (STEPS // 4))
        track, seen, energy, events = jax.device_get(go(states, step / 4))

        # Halving the step converges at the stated order.
        middle, coarse = (np.asarray(go(states, step / parts)[1][:, STEPS // 4 * parts]) for parts in (2, 1))
        fine = seen[:, STEPS]
        assert fine.ndim == 2
        assert np.abs(fine - seen[:, 0]).max() > 1.0
        ratio = np.abs(coarse - middle).max() / np.abs(middle - fine).max()
        assert abs(np.log2(ratio) - env.order) < 0.7

        # Energy changes at the stated events only.
        assert set(env.energy_jumps) <= set(events)
        allowed = sum((events[name][:, 1:] for name in env.energy_jumps), np.zeros(energy[:, 1:].shape, int)) > 0
        np.testing.assert_allclose(np.where(allowed, energy[:, :-1], energy[:, 1:]), energy[:, :-1], rtol=1e-6)
        assert not allowed.all()

        # The law's numbers can be learned through it; and jit and vmap change nothing.
        def total(params):
            after = env.step(jax.tree.map(lambda leaf: leaf[2], states), idle, step / 4, params)
            return jnp.sum(env.observe(after, params)), after

        slope, alone = jax.jit(jax.grad(total, has_aux=True))(params)
        assert all(np.isfinite(leaf).all() and np.any(leaf != 0) for leaf in jax.tree.leaves(slope))
        for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(track), strict=True):
            np.testing.assert_allclose(a, b[2, 1], atol=1e-9)


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_initial_conditions_do_not_know_the_law(name):
    envs = [get_environment(name, g) for g in (Gravity.constant(9.0), Gravity.constant(3.0))]
    reset = jax.jit(envs[0].reset)
    one, other = (reset(jax.random.key(7), env.params) for env in envs)
    jax.tree.map(np.testing.assert_array_equal, one, other)
    different = reset(jax.random.key(8), envs[0].params)
    assert not np.array_equal(one.position, different.position)


CONSTANT = Gravity.constant(9.81)
ROOM = get_environment("room", CONSTANT)


@jax.jit
def run_room(state, actions):
    return rollout(ROOM, state, actions, 0.05, ROOM.params)


@pytest.fixture(scope="module")
def room_state():
    """Two balls in the air, no ramp."""
    state = jax.jit(ROOM.reset)(jax.random.key(1), ROOM.params)
    return state._replace(
        position=jnp.array([[10.0, 0.0, 3.0], [-10.0, 0.0, 3.0]]),
        velocity=jnp.array([[-30.0, 0.0, -8.0], [0.0, 0.0, -8.0]]),
        ramp=state.ramp._replace(present=jnp.array(False)),
        rolling=jnp.zeros(2, bool),
    )


def test_an_action_is_a_push(room_state):
    state = room_state._replace(position=room_state.position.at[:, 2].add(9.0), rolling=jnp.array([False, True]))
    push = jnp.array([1.0, -2.0, 3.0, 1.0, -2.0, 3.0])
    actions = jnp.zeros((60, 6)).at[1].set(push)
    idle, pushed = run_room(state, 0.0 * actions), run_room(state, actions)
    np.testing.assert_array_equal(pushed.velocity[0], idle.velocity[0])
    np.testing.assert_allclose(pushed.velocity[1, 0] - idle.velocity[1, 0], push[:3], atol=1e-4)
    np.testing.assert_allclose(pushed.position[1, 0] - idle.position[1, 0], 0.05 * push[:3], atol=1e-4)
    np.testing.assert_array_equal(pushed.position[1, 1], idle.position[1, 1])  # a rolling ball is not pushed


def test_single_precision_follows_the_numpy_simulator(room_state):
    track = run_room(room_state, jnp.zeros((60, 6)))
    assert track.position.dtype == jnp.float32
    start = jax.tree.map(np.asarray, room_state)
    setup = Setup(start.radius, np.ones((2, 3)), start.position, start.velocity, np.full(2, PROJECTILE), start.side)
    times = 0.05 * np.arange(1, 61)
    states, visible = simulate_states(setup, times, CONSTANT)
    np.testing.assert_array_equal(~track.gone, visible)
    np.testing.assert_allclose(track.position, states[..., :3], atol=2e-3)
    np.testing.assert_allclose(track.velocity, states[..., 3:], atol=1e-2)


def test_room_bounces_and_vanishes(room_state):
    track = run_room(room_state, jnp.zeros((60, 6)))
    events = jax.vmap(ROOM.events, (0, None))(track, ROOM.params)
    assert (events["ground"].sum(axis=0) >= 2).all()
    assert events["gone"][-1].tolist() == [1, 0]
    assert (np.diff(events["gone"], axis=0) >= 0).all()  # gone is gone
    assert (track.position[:, :, 2] >= track.radius - 1e-5).all()


def test_ballistic_says_when_it_is_below_the_ground():
    env = get_environment("ballistic", CONSTANT)
    state = env.reset(jax.random.key(1), env.params)
    track = jax.jit(lambda s: rollout(env, s, jnp.zeros((60, 3)), 0.05, env.params))(state)
    below = jax.vmap(env.events, (0, None))(track, env.params)["below_ground"][:, 0]
    np.testing.assert_array_equal(below, track.position[:, 0, 2] < track.radius[0, 0])
    assert below[0] == 0
    assert below[-1] == 1


def test_room_starts_follow_the_scene():
    """The worlds' own draws have the moments of the renderer's scene (same numbers, two samplers)."""
    count = 900
    states = jax.jit(jax.vmap(lambda k: ROOM.reset(k, ROOM.params)))(jax.random.split(jax.random.key(0), count))
    scene, rng = get_scene("room"), np.random.default_rng(0)
    setups = [scene.sample(rng) for _ in range(count)]
    ours = np.concatenate([states.position, states.velocity, states.radius[..., None]], axis=-1)
    theirs = np.array([np.concatenate([s.position, s.velocity, s.radius[:, None]], axis=1) for s in setups])
    spread = theirs.std(axis=0)
    error = spread * np.sqrt(2.0 / count)
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 4.5 * error + 1e-3).all()
    np.testing.assert_allclose(ours.std(axis=0), spread, rtol=0.15, atol=1e-3)
    rolling = np.mean([s.kind[0] == RAMP for s in setups])
    assert abs(np.mean(states.rolling[:, 0]) - rolling) < 0.08
    assert not states.rolling[:, 1].any()
    assert abs(np.mean(states.ramp.present) - 0.7) < 0.08


def test_unknown_world_is_refused():
    with pytest.raises(UsageError, match="did you mean 'room'"):
        get_environment("rom", WORLD)
