"""One test over every registered core on vectors; and what is particular to each."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.models.cores import CORES, Unrolled, make_core, rollout
from o2t_jax.models.cores.fit_context import fit_context
from o2t_jax.models.cores.ode import INTEGRATORS, OdeCore
from o2t_jax.physics.environment import Layout, simulate
from o2t_jax.physics.envs import get_environment

ENV = get_environment("pendulum", damping=0.2)
WIDTHS = (16, 16)
B, T = 32, 8


def sequences(key, dt):
    """Observed states [B, T + 1, 2] and actions [B, T, 1] of B pendulums with random torques."""
    start, act = jax.random.split(jax.random.key(key))
    states = jax.vmap(ENV.reset, (0, None))(jax.random.split(start, B), ENV.params)
    actions = ENV.actions.sample(act, (B, T))
    track = jax.vmap(simulate, (None, 0, 0, None, None))(ENV, states, actions, dt, ENV.params)
    return jax.vmap(jax.vmap(lambda s: ENV.observe(s, ENV.params)))(track), actions


@pytest.mark.parametrize("name", sorted(CORES))
def test_every_core_learns_a_driven_pendulum(name):
    """Whole sequences at once; then far better than to stay or to move straight on, at starts it never saw."""
    dt = 0.1
    states, actions = sequences(0, dt)
    core = make_core(name, ENV.layout, widths=WIDTHS, scale=(1.5, 2.0))
    params = jax.jit(core.init)(jax.random.key(1), core.begin(states[:, 0]), actions[:, 0], dt, None)["params"]
    run = jax.jit(lambda params, states, actions: rollout(core, params, states[:, 0], actions, dt))
    first = run(params, states, actions)
    assert first.shape == (B, T, 2)
    straight = name in ("newtonian", "port_hamiltonian")  # untrained; the latter with a little friction
    friction = 0.05 * straight * (T * dt) ** 2 if name == "port_hamiltonian" else 0.0
    apart = first[:, -1, 0] - states[:, 0, 0] - T * dt * states[:, 0, 1] * straight
    assert np.abs(apart).max() < 1e-4 + friction * np.abs(states[:, 0, 1]).max()

    def loss(params, states, actions):
        seen = run(params, states, actions)
        return jnp.mean(jnp.square(seen - states[:, 1:]) / jnp.var(states, axis=(0, 1)))

    tx = optax.adam(optax.cosine_decay_schedule(2e-2, 200))

    def update(carry, _):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params, states, actions)
        updates, state = tx.update(grads, state)
        return (optax.apply_updates(params, updates), state), value

    train = jax.jit(lambda carry: jax.lax.scan(update, carry, None, length=200))
    (trained, _), _ = train((params, tx.init(params)))
    later, pushes = sequences(7, dt)
    stay = jnp.mean(jnp.square(later[:, :1] - later[:, 1:]) / jnp.var(states, axis=(0, 1)))
    # The velocity core cannot change the velocity.
    assert float(loss(trained, later, pushes)) < (0.9 if name == "velocity" else 0.02) * float(stay)


@pytest.mark.parametrize("name", sorted(CORES))
def test_every_core_takes_any_size_of_state_action_and_context(name):
    """Three dimensions, one angle, an entry that is neither; a dt for all or one for each; samples stay apart."""
    layout = Layout(7, positions=(0, 2, 4), momenta=(1, 3, 5), angles=(2,))
    core = make_core(name, layout, widths=(8,))
    core = core.clone(substeps=2) if isinstance(core, OdeCore) else core
    rng = np.random.default_rng(0)
    given, actions = rng.normal(size=(3, 7)).astype(np.float32), rng.normal(size=(3, 4, 2)).astype(np.float32)
    known = {"mass": np.ones(3, np.float32), "rest": np.ones((3, 2, 2), np.float32)}
    module, state = Unrolled(core), core.begin(given)
    run = jax.jit(module.apply)
    variables = jax.jit(module.init)(jax.random.key(0), state, actions, 0.1, known)
    assert not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(variables))
    variables = jax.tree.map(lambda x: x + 0.1 * rng.normal(size=x.shape), variables)  # not the quiet start
    last, track = run(variables, state, actions, 0.1, known)
    np.testing.assert_allclose(run(variables, state, actions, np.full(3, 0.1), known)[0], last, atol=1e-6)
    # as one module, or as a function in the scan; one action, or the same one for both halves of a step: the same
    params = variables["params"]["core"]
    for each in (actions, np.repeat(actions[:, :, None], 2, axis=2)):
        np.testing.assert_allclose(rollout(core, params, given, each, 0.1, known), core.seen(track), atol=1e-6)

    masked, _ = run(variables, state, actions, 0.1, known, lengths=np.array([0, 2, 4]))
    np.testing.assert_allclose(masked, [state[0], track[1, 1], track[2, 3]], atol=1e-6)
    for j in range(3):
        other = core.begin(given + 0.1 * (np.arange(3) == j)[:, None].astype(np.float32))
        changed = np.abs(run(variables, other, actions, 0.1, known)[0] - last).max(axis=1) > 0
        assert list(changed) == [i == j for i in range(3)]
    turned = np.asarray(given) + np.array([0, 0, 2 * np.pi, 0, 0, 0, 0], np.float32)  # the angle, once around
    around = core.seen(run(variables, core.begin(turned), actions, 0.1, known)[0])
    np.testing.assert_allclose(around - turned, core.seen(last) - given, atol=1e-4)
    longer = run(variables, state, actions, 0.2, known)[0]
    assert np.abs(longer - last).max() > 1e-3, "dt does nothing"


ORDERS = {"euler": 1.0, "semi_implicit": 1.0, "leapfrog": 2.0, "rk4": 4.0}


@pytest.mark.parametrize("name", ["newtonian", "port_hamiltonian"])
def test_a_core_converges_to_its_own_equation(name):
    """With more inner steps the same network's motion has a limit, at the integrator's order, which dopri5 gives."""
    with jax.enable_x64(True):
        layout = Layout(4, positions=(0, 1), momenta=(2, 3))
        state, action = jnp.array([[1.0, -0.5, 0.3, 0.8]]), jnp.full((1, 1), 0.7)
        # A step in parts is of second order where q' depends on p alone.
        core = make_core(name, layout, widths=(16,), **({"separable": True} if name == "port_hamiltonian" else {}))
        params = jax.jit(core.init)(jax.random.key(0), state, action, 0.4, None)["params"]
        params = jax.tree.map(lambda x: x + 0.5 * jax.random.normal(jax.random.key(x.size), x.shape), params)

        def ends(step, *counts):
            """The state after 0.8 s in so many steps of dt, each of eight inner ones."""
            cut = core.clone(step=step, substeps=1 if step == "dopri5" else 8)
            one = jax.jit(lambda now, dt: cut.apply({"params": params}, now, action, dt, None))
            for count in counts:
                now = state
                for _ in range(count):
                    now = one(now, 0.8 / count)
                yield now

        *exact, limit = ends("rk4", 1, 2, 8)
        np.testing.assert_allclose(next(ends("dopri5", 1)), limit, atol=1e-4)
        for step, order in ORDERS.items():
            found = exact if step == "rk4" else ends(step, 1, 2)
            errors = [np.abs(each - limit).max() for each in found]
            assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.4), step
    assert set(ORDERS) | {"dopri5"} == set(INTEGRATORS)


@pytest.mark.parametrize("name", ["newtonian", "port_hamiltonian"])
def test_a_reversible_core_returns_to_its_start_and_keeps_its_energy(name):
    """Leapfrog forwards, momenta turned round, leapfrog again: the start. An energy stays within a band."""
    with jax.enable_x64(True):
        layout = Layout(2, positions=(0,), momenta=(1,))
        fields = {"reversible": True} if name == "newtonian" else {"separable": True, "damped": False}
        core = make_core(name, layout, widths=(16,), step="leapfrog", **fields)
        state, actions = jnp.array([[0.4, 0.3]]), jnp.zeros((1, 200, 0))
        params = jax.jit(core.init)(jax.random.key(0), state, actions[:, 0], 0.1, None)["params"]
        params = jax.tree.map(lambda x: x + 0.3 * jax.random.normal(jax.random.key(x.size), x.shape), params)
        run = jax.jit(lambda s: rollout(core, params, s, actions, 0.05))
        there = run(state)
        if name == "newtonian":  # T(p) need not be even, so that only the newtonian core can be run backwards
            back = run(there[:, -1] * jnp.array([1.0, -1.0]))
            np.testing.assert_allclose(back[:, -1] * jnp.array([1.0, -1.0]), state, atol=1e-9)
        else:
            energy = core.apply({"params": params}, there[0], method="energy")
            assert np.ptp(energy) < 2e-3 * np.abs(energy).max()
        assert np.abs(there[:, -1] - state).max() > 0.1


def test_the_hamiltonian_core_loses_energy_to_friction_alone():
    """dH/dt = -sum gamma (dH/dp)^2 + dH/dp G a, by the field's own numbers (van der Schaft & Jeltsema, eq. 6.3)."""
    with jax.enable_x64(True):
        layout = Layout(4, positions=(0, 1), momenta=(2, 3))
        core = make_core("port_hamiltonian", layout, widths=(16,))
        state, action = jax.random.normal(jax.random.key(1), (5, 4)), jax.random.normal(jax.random.key(2), (5, 2))
        params = jax.jit(core.init)(jax.random.key(0), state, action, 0.1, None)["params"]
        params = jax.tree.map(lambda x: x + 0.5 * jax.random.normal(jax.random.key(x.size), x.shape), params)
        bound = lambda method, *a: core.apply({"params": params}, *a, method=method)  # noqa: E731
        slope = jax.jit(jax.grad(lambda s: jnp.sum(bound("energy", s))))(state)
        rates = jax.jit(lambda s: bound("rate", s, action, None))(state)
        gamma = jax.nn.squareplus(params["friction"], 0.01)
        push = action @ params["push"]["kernel"]
        flow = jnp.sum(slope[:, 2:] * push, 1) - jnp.sum(gamma * slope[:, 2:] ** 2, 1)
        np.testing.assert_allclose(jnp.sum(slope * rates, axis=1), flow, atol=1e-10)


def test_the_hamiltonian_cores_friction_can_be_linear_in_the_context():
    """Within 2 % of its range, 1 to 10 times the least; softplus of a linear function comes no closer than 9 %."""
    core = make_core("port_hamiltonian", Layout(2, (0,), (1,)), widths=(32,))
    context = jnp.linspace(-1.0, 1.0, 40)[:, None]
    truth = 0.275 + 0.225 * context
    params = jax.jit(core.init)(jax.random.key(0), jnp.zeros((40, 2)), None, 0.1, context)["params"]
    gamma = lambda params: core.apply({"params": params}, 40, context, method="gamma")  # noqa: E731
    np.testing.assert_allclose(gamma(params), 0.05, rtol=1e-6)
    tx = optax.adam(1e-2)

    def update(carry, _):
        slope = jax.grad(lambda params: jnp.mean(jnp.square(gamma(params) - truth)))(carry[0])
        updates, state = tx.update(slope, carry[1])
        return (optax.apply_updates(carry[0], updates), state), None

    fitted = jax.jit(lambda carry: jax.lax.scan(update, carry, None, length=1000))((params, tx.init(params)))[0][0]
    np.testing.assert_allclose(gamma(fitted), truth, atol=0.02 * 0.45)


def test_what_a_newtonian_core_cannot_be():
    state, build = jnp.zeros((1, 2)), lambda **fields: make_core("newtonian", widths=(4,), **fields)
    for core, message in (
        (build(layout=Layout(2, (0,), (1,), canonical=True)), "canonical momenta"),
        (build(layout=Layout(2, (), ())), "no positions"),
        (build(layout=Layout(2, (0,), (1,)), step="rk5"), "step='rk5' is unknown: did you mean 'rk4'"),
        (make_core("jump", Layout(2, (0,), (1,)), widths=(4,), scale=(1.0,)), "give 2 numbers"),
    ):
        with pytest.raises((UsageError, ValueError), match=message):
            core.init(jax.random.key(0), state, None, 0.1, None)


def test_an_unknown_core_is_refused_with_a_suggestion():
    with pytest.raises(UsageError, match="did you mean 'newtonian'"):
        make_core("newtonain", ENV.layout)


def test_a_context_and_a_start_are_inferred_through_a_core():
    """A pendulum's own equation as the core: friction and start from 20 noisy steps, near the truth without noise."""

    class Pendulum(OdeCore):
        @nn.compact
        def rate(self, state, action, context):
            self.param("unused", nn.initializers.zeros, ())
            turn = -9.81 * jnp.sin(state[:, 0]) + action[:, 0] - (0.3 + 0.2 * context[:, 0]) * state[:, 1]
            return jnp.stack([state[:, 1], turn], axis=-1)

    core, params = Pendulum(ENV.layout, (), substeps=2), {"unused": jnp.zeros(())}
    keys = jax.random.split(jax.random.key(3), 4)
    start = jnp.array([1.5, 0.0]) + 0.5 * jax.random.normal(keys[0], (40, 2))
    actions, context = ENV.actions.sample(keys[1], (40, 20)), jax.random.uniform(keys[2], (40, 1), minval=-1.0)
    later = rollout(core, params, start, actions, 0.1, context)
    states = jnp.concatenate([start[:, None], later], axis=1)
    noise = jax.random.normal(keys[3], states.shape)
    fit = jax.jit(lambda seen, size: fit_context(core, params, seen, actions, 0.1, 1, size))
    end, found = fit(states + 1e-3 * noise, 1e-3)
    assert np.abs(found - context).max() < 0.05 and np.abs(end - states[:, -1]).max() < 5e-3
    rough = fit(states + 0.1 * noise, 0.1)[1]  # the prior keeps it within reason, and it still tells
    assert np.abs(rough).max() <= 1.5 and np.corrcoef(rough[:, 0], context[:, 0])[0, 1] > 0.7
