"""One test over every registered world: jit, vmap, order, energy and work, gradients, layout, drawing, actions; and
tests of single worlds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from jax.flatten_util import ravel_pytree

from o2t_jax.errors import UsageError
from o2t_jax.physics.environment import Actions, Layout, checked_dt, idle, simulate
from o2t_jax.physics.envs import ENVIRONMENTS, get_environment
from o2t_jax.physics.envs.base import NEAREST
from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.primitives import inside
from o2t_jax.physics.room.exact import PROJECTILE, RAMP, Setup, simulate_states
from o2t_jax.render.scenes import get_scene

STEEP = {"law": "hyperbolic", "g0": 9.5, "alpha": 20.0}  # so that the error of a step is above rounding
# The worlds under test, as registered; one twice, with exact steps and without. The room takes long to compile.
WORLDS = [pytest.param(name, STEEP if name == "room" else {}, id=name) for name in sorted(ENVIRONMENTS)]
WORLDS += [pytest.param("ballistic", STEEP, id="ballistic under a steep law")]
BATCH = 6
STEPS = 40
# Steps (s) shorter than the longest allowed, and starts, for worlds whose bodies attract each other: the order holds
# where they stay 0.2 m apart. Few starts of `three_body` do for a second.
REGULAR = {
    "gravity_three": (0.25, range(BATCH)),
    "gravity_two": (0.5, range(BATCH)),
    "spaceship": (0.1, (41, 156, 164, 96, 60, 40)),
    "three_body": (0.1, (138, 331, 161, 185, 10, 44)),
}


def refined(env, actions, parts):
    """The same pushes and forces in `parts` times as many steps: a force continues, a push happens once."""
    later = actions if env.actions.held else jnp.zeros_like(actions)
    pieces = jnp.stack([actions, *[later] * (parts - 1)], axis=1)
    return pieces.reshape(len(actions) * parts, env.actions.size)


def closest_approach(seen):
    """Least distance (m) of two bodies, or of one from the middle, along tracks [B, T, 4 N], straight in between."""
    count = seen.shape[-1] // 4
    place = seen[..., : 2 * count].reshape(*seen.shape[:-1], count, 2)
    first, second = np.triu_indices(count, 1)
    apart = place[..., first, :] - place[..., second, :] if count > 1 else place
    start, way = apart[:, :-1], np.diff(apart, axis=1)
    share = np.clip(-(start * way).sum(axis=-1) / (way**2).sum(axis=-1), 0.0, 1.0)
    return np.linalg.norm(start + share[..., None] * way, axis=-1).min()


@pytest.mark.parametrize(("name", "params"), WORLDS)
def test_every_world_keeps_the_contract(name, params):
    env = get_environment(name, **params)
    assert env.name == name
    with jax.enable_x64(True):
        step, keys = min(env.max_dt, env.duration / (STEPS // 4)), jax.random.split(jax.random.key(3), BATCH)
        if name in REGULAR:
            step, keys = REGULAR[name][0], jax.vmap(jax.random.key)(jnp.asarray(REGULAR[name][1]))
        params = jax.jit(jax.vmap(env.draw_params))(keys)
        states = jax.jit(jax.vmap(env.reset))(keys, params)
        pushes = env.actions.sample(jax.random.key(4), (STEPS // 4,))

        # One compiled run serves all: the length of a step is an argument.
        def run(state, actions, dt, params):
            track = simulate(env, state, actions, dt, params)
            measure = lambda s: (env.observe(s, params), env.energy(s, params), env.events(s, params))  # noqa: E731
            before = jax.tree.map(lambda leaf: leaf[:-1], track)
            work = jax.vmap(env.work, (0, 0, None, None))(before, actions, dt, params)
            return track, work, *jax.vmap(measure)(track)

        go = jax.jit(jax.vmap(run, in_axes=(0, None, None, 0)))
        track, work, seen, energy, events = jax.device_get(go(states, refined(env, pushes, 4), step / 4, params))
        assert seen.shape == (BATCH, STEPS + 1, env.layout.size)
        if name in REGULAR:
            assert closest_approach(seen) > NEAREST
            assert not events["close"].any()

        # Halving the step converges at the stated order, or changes nothing.
        halved = [(jnp.concatenate([refined(env, pushes, p), idle(env, STEPS)])[:STEPS], p) for p in (2, 1)]
        middle, coarse = (np.asarray(go(states, a, step / p, params)[2][:, STEPS // 4 * p]) for a, p in halved)
        fine = seen[:, STEPS]
        if name == "room":  # under a constant law
            alike = [
                go(states, a, step / p, params | {"alpha": jnp.zeros(BATCH)})[2][:, STEPS // 4 * p] for a, p in halved
            ]
            np.testing.assert_allclose(*alike, atol=1e-9)
        assert np.abs(fine - seen[:, 0]).max() > 1.0
        if env.order is None:
            np.testing.assert_allclose(coarse, fine, atol=1e-9)
        else:
            ratio = np.abs(coarse - middle).max() / np.abs(middle - fine).max()
            assert abs(np.log2(ratio) - env.order) < 0.7

        # Energy changes by the work done, and otherwise only at the stated events.
        assert set(env.energy_jumps) <= set(events)
        allowed = sum((events[name][:, 1:] for name in env.energy_jumps), np.zeros(energy[:, 1:].shape, int)) > 0
        missing = np.where(allowed, 0.0, energy[:, 1:] - energy[:, :-1] - work)
        assert np.abs(missing).max() < 1e-7 * np.abs(energy).max()
        assert np.abs(work).max() > 1e-3 * np.abs(energy).max(), "nothing was pushed: this proves little"
        assert not allowed.all()

        # Positions change at the rate of their momenta, where these are velocities.
        brief = go(states, idle(env, STEPS), 1e-6, params)[2][:, :2]
        (q, p), (later, _) = (env.layout.split(brief[:, i]) for i in (0, 1))
        if not env.layout.canonical:
            np.testing.assert_allclose((later - q) / 1e-6, p, atol=1e-3)

        # Parameters, state and actions can be learned through it; and jit and vmap change nothing.
        one = jax.tree.map(lambda leaf: leaf[2], (states, params))
        alone = assert_gradients(env, *one, refined(env, pushes, 4)[:9], step / 4)
        for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(track), strict=True):
            np.testing.assert_allclose(a, b[2, :10], atol=1e-9)


def assert_gradients(env, state, params, actions, dt):
    """Compares a short run's gradient by parameters, floats of the state and actions with finite differences.

    Returns: the run."""
    leaves, tree = jax.tree.flatten(state)
    real = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]

    def loss(given):
        params, moved, actions = given
        moved = iter(moved)
        now = jax.tree.unflatten(tree, [next(moved) if r else leaf for r, leaf in zip(real, leaves, strict=True)])
        track = simulate(env, now, actions, dt, params)
        seen = env.observe(jax.tree.map(lambda x: x[-1], track), params)
        return jnp.sum(jnp.sin(seen + jnp.arange(seen.size))), track

    given = (params, [leaf for r, leaf in zip(real, leaves, strict=True) if r], actions)
    go = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (_, track), slope = go(given)
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(slope))
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(slope[0])), "a parameter that does nothing"
    assert jnp.any(slope[2] != 0), "actions that do nothing"
    flat, back = ravel_pytree(given)
    way = np.random.default_rng(0).normal(size=flat.size) * 1e-5
    ahead, behind = (go(back(flat + sign * way))[0][0] for sign in (1.0, -1.0))
    np.testing.assert_allclose(ravel_pytree(slope)[0] @ way, (ahead - behind) / 2.0, rtol=1e-5)
    return track


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_the_layout_is_one_of_the_observed_vector(name):
    layout = get_environment(name).layout
    used = [*layout.positions, *layout.momenta]
    assert len(layout.positions) == len(layout.momenta) and len(set(used)) == len(used)
    assert set(used) <= set(range(layout.size)) and set(layout.angles) <= set(layout.positions)
    vector = np.arange(2.0 * layout.size).reshape(2, -1)
    np.testing.assert_array_equal(layout.join(np.zeros_like(vector), *layout.split(vector))[:, used], vector[:, used])


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_a_state_is_restored_from_what_was_observed(name):
    env = get_environment(name)
    params = env.params
    states = jax.jit(jax.vmap(env.reset, (0, None)))(jax.random.split(jax.random.key(6), BATCH), params)
    observe, restore = (jax.vmap(f, axes) for f, axes in ((env.observe, (0, None)), (env.restore, (0, 0, None))))
    seen = observe(states, params)
    jax.tree.map(np.testing.assert_array_equal, restore(seen, states, params), states)
    q, p = env.layout.split(seen)
    moved = env.layout.join(seen, q + 0.25, p - 0.5)
    np.testing.assert_array_equal(observe(restore(moved, states, params), params), moved)


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_what_is_drawn_lies_in_the_picture(name):
    env = get_environment(name)
    keys = jax.random.split(jax.random.key(9), 50)
    params = jax.vmap(env.draw_params)(keys)
    states = jax.jit(jax.vmap(env.reset))(keys, params)
    drawing = jax.jit(jax.vmap(env.draw))(states, params)
    shapes, view = drawing
    there = np.asarray(shapes.opacity) > 0
    assert np.all(jax.vmap(inside)(drawing)[there])
    assert there.any(axis=1).all() and (np.asarray(shapes.radius) > 0).all()
    for colour in (shapes.colour, view.background):
        assert ((np.asarray(colour) >= 0) & (np.asarray(colour) <= 1)).all()
    assert np.ptp(np.asarray(shapes.end), axis=0).max() > 0.1, "nothing moves"


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_initial_conditions_do_not_know_the_parameters(name):
    env = get_environment(name)
    reset = jax.jit(env.reset)
    more = jax.tree.map(lambda x: 1.1 * x, env.params)
    jax.tree.map(np.testing.assert_array_equal, reset(jax.random.key(7), env.params), reset(jax.random.key(7), more))
    one, different = (env.observe(reset(jax.random.key(seed), env.params), env.params) for seed in (7, 8))
    assert not np.array_equal(one, different)


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_parameters_are_drawn_from_the_stated_ranges(name):
    env = get_environment(name)
    named = lambda params: dict(getattr(params, "_asdict", lambda: params)())  # noqa: E731
    default = named(env.params)
    first = next(iter(default))
    ranged = get_environment(name, ranges={first: (2.0, 3.0)})
    for world in (env, ranged):
        drawn = named(jax.vmap(world.draw_params)(jax.random.split(jax.random.key(0), 200)))
        for field, values in drawn.items():
            low, high = world.ranges.get(field, (default[field], default[field]))
            assert values.min() >= low and values.max() <= high
            assert np.ptp(values) >= 0.9 * (high - low)
    assert ranged.ranges == {first: (2.0, 3.0)}
    assert not get_environment(name, ranges={}).ranges


def test_a_parameter_that_is_set_is_not_drawn():
    assert "damping" in get_environment("pendulum").ranges
    env = get_environment("pendulum", damping=0.3)
    assert not env.ranges and env.params.damping == np.float32(0.3)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("rom", {}, "did you mean 'room'"),
        ("pendulum", {"lenght": 0.8}, "did you mean 'length'"),
        ("pendulum", {"length": 0.0}, "length=0 must be above 0"),
        ("oscillator", {"damping": float("nan")}, "finite"),
        ("oscillator", {"ranges": {"mass": (0.0, 1.0)}}, "mass=0 must be above 0"),
        ("oscillator", {"ranges": {"damping": (1.0, 0.5)}}, "low first"),
        ("oscillator", {"ranges": {"damping": 1.0}}, "give two numbers"),
        ("ballistic", {"law": "hyperbolik", "g0": 9.0}, "did you mean 'hyperbolic'"),
        ("ballistic", {"law": "hyperbolic", "g0": 9.0}, "takes g0, alpha"),
        ("ballistic", {"ranges": {"g": (1.0, 2.0)}}, "did you mean 'g0'"),
    ],
)
def test_a_world_that_cannot_be_is_refused(name, params, message):
    with pytest.raises(UsageError, match=message):
        get_environment(name, **params)


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_actions_are_what_they_say_and_others_are_refused(name):
    env = get_environment(name)
    actions = env.actions
    drawn = np.asarray(actions.sample(jax.random.key(0), (300,)))
    assert drawn.shape == (300, actions.size)
    np.testing.assert_array_equal(actions.checked(drawn), drawn)
    np.testing.assert_array_equal(actions.checked(idle(env, 3)), np.zeros((3, actions.size)))
    with pytest.raises(UsageError, match=f"give {actions.size} numbers"):
        actions.checked(np.zeros((3, actions.size + 1)))
    if actions.table is None:
        assert 0.8 * actions.limit < np.abs(drawn).max() <= actions.limit
        for wrong in (1.01 * actions.limit, np.nan):
            with pytest.raises(UsageError, match="beyond the limit"):
                actions.checked(np.full(actions.size, wrong))
        return
    rows = np.arange(len(actions.table))
    np.testing.assert_array_equal(actions.checked(rows), np.asarray(actions.table))
    np.testing.assert_array_equal(actions.vectors(rows), np.asarray(actions.table, np.float32))
    counts = np.isclose(drawn[:, None], np.asarray(actions.table), atol=1e-6).all(axis=-1).sum(axis=0)
    assert counts.min() > 0.5 * 300 / len(rows)
    with pytest.raises(UsageError, match="not in the table"):
        actions.checked(1.5 * drawn[np.abs(drawn).max(axis=1) > 0])
    for wrong in (-1, len(rows)):
        with pytest.raises(UsageError, match=f"action {wrong} is not in the table"):
            actions.checked(wrong)


def test_a_world_without_actions_takes_none():
    assert Actions().sample(jax.random.key(0), (4,)).shape == (4, 0)
    assert Actions().checked(np.zeros((4, 0))).shape == (4, 0)


@pytest.mark.parametrize("dt", [0.0, -0.1, 0.6, float("nan")])
def test_a_step_that_cannot_be_made_is_refused(dt):
    with pytest.raises(UsageError, match="above 0, at most"):
        checked_dt(get_environment("pendulum"), dt)


def test_angles_are_compared_by_the_short_way_round():
    layout = Layout(3, positions=(0,), momenta=(1,), angles=(0,))
    apart = layout.difference(
        np.array([[3.1, 7.0, 7.0], [12.8, 0.0, 0.0]]), np.array([[-3.1, 0.0, 0.0], [0.1, 0.0, 0.0]])
    )
    np.testing.assert_allclose(apart, [[6.2 - 2 * np.pi, 7.0, 7.0], [12.7 - 4 * np.pi, 0.0, 0.0]], atol=1e-5)


def test_the_oscillator_follows_its_closed_form():
    """x'' = (F - c x' - k x) / m with a held force is linear: the exact step is a matrix exponential."""
    env = get_environment("oscillator")
    with jax.enable_x64(True):
        params, force, dt = env.params._replace(damping=0.7), 1.0, 0.1
        m, k, c = params.mass, params.stiffness, params.damping
        exact = scipy.linalg.expm(dt * np.array([[0.0, 1.0, 0.0], [-k / m, -c / m, force / m], [0.0, 0.0, 0.0]]))
        start = env.reset(jax.random.key(1), params)
        track = simulate(env, start, jnp.full((30, 1), force), dt, params)
        expected = np.linalg.matrix_power(exact, 30) @ [start.position, start.velocity, 1.0]
        np.testing.assert_allclose([track.position[-1], track.velocity[-1]], expected[:2], atol=1e-8)


def test_the_spaceship_circles_as_kepler_says():
    """A circle of radius r takes 2 pi sqrt(r^3 / GM)."""
    env = get_environment("spaceship")
    with jax.enable_x64(True):
        radius, params = 3.0, env.params
        start = env.reset(jax.random.key(0), params)
        speed = jnp.sqrt(params.pull / radius)
        start = start._replace(position=jnp.array([radius, 0.0]), velocity=jnp.stack([0.0 * speed, speed]))
        period = 2.0 * np.pi * radius / float(speed)
        track = simulate(env, start, idle(env, 60), period / 60, params)
    np.testing.assert_allclose(track.position[15], [0.0, radius], atol=1e-5)
    np.testing.assert_allclose(track.position[-1], [radius, 0.0], atol=1e-5)


def test_the_pendulum_has_its_known_periods():
    """Small swings take 2 pi sqrt(L/g), one from 90 degrees 1.18034 times as long (an elliptic integral)."""
    env = get_environment("pendulum", damping=0.0, length=0.8)
    small = 2.0 * np.pi * np.sqrt(0.8 / 9.81)
    state = env.reset(jax.random.key(0), env.params)
    for angle, ratio in ((0.01, 1.0), (np.pi / 2, 1.18034)):
        start = state._replace(angle=jnp.asarray(angle, jnp.float32), velocity=jnp.zeros(()))
        quarter = simulate(env, start, idle(env, 25), ratio * small / 100, env.params)
        assert abs(quarter.angle[-1]) < 2e-5 * angle + 1e-6


CONSTANT = Gravity.constant(9.81)
ROOM = get_environment("room")


@jax.jit
def run_room(state, actions):
    return jax.tree.map(lambda x: x[1:], simulate(ROOM, state, actions, 0.05, ROOM.params))


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
    env = get_environment("ballistic")
    state = env.reset(jax.random.key(1), env.params)
    track = jax.jit(lambda s: simulate(env, s, idle(env, 60), 0.05, env.params))(state)
    below = jax.vmap(env.events, (0, None))(track, env.params)["below_ground"][:, 0]
    np.testing.assert_array_equal(below, track.position[:, 0, 2] < track.radius[0, 0])
    assert below[0] == 0
    assert below[-1] == 1


def test_room_starts_follow_the_scene():
    """The world's random starts have the moments of the renderer's scene (same distribution, two samplers)."""
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
