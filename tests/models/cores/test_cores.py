"""One test over every registered core on vectors; and what is particular to each."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.models.cores import CORES, Unrolled, as_core, make_core, unroll
from o2t_jax.physics.environment import Layout, simulate
from o2t_jax.physics.envs import get_environment

ENV = get_environment("pendulum", damping=0.2)
WIDTHS = (32, 32)
B, T = 64, 8


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
    core = make_core(name, ENV.layout, widths=WIDTHS)
    params = jax.jit(core.init)(jax.random.key(1), states[:, 0], actions[:, 0], dt, None)["params"]
    first, track = unroll(as_core(core, {"params": params}), states[:, 0], actions, dt)
    velocity = states[:, 0, 1] * (name == "newtonian")
    np.testing.assert_allclose(first[:, 0], states[:, 0, 0] + T * dt * velocity, atol=1e-4)  # untrained
    assert track.shape == (B, T, 2)

    def loss(params, states, actions):
        seen = unroll(as_core(core, {"params": params}), states[:, 0], actions, dt)[1]
        return jnp.mean(jnp.square(seen - states[:, 1:]) / jnp.var(states, axis=(0, 1)))

    tx = optax.adam(optax.cosine_decay_schedule(1e-2, 400))

    def update(carry, _):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params, states, actions)
        updates, state = tx.update(grads, state)
        return (optax.apply_updates(params, updates), state), value

    run = jax.jit(lambda carry: jax.lax.scan(update, carry, None, length=400))
    (trained, _), _ = run((params, tx.init(params)))
    later, pushes = sequences(7, dt)
    stay = jnp.mean(jnp.square(later[:, :1] - later[:, 1:]) / jnp.var(states, axis=(0, 1)))
    assert float(loss(trained, later, pushes)) < 0.02 * float(stay)


@pytest.mark.parametrize("name", sorted(CORES))
def test_every_core_takes_any_size_of_state_action_and_context(name):
    """Three dimensions, one angle, an entry that is neither; a dt for all or one for each; samples stay apart."""
    layout = Layout(7, positions=(0, 2, 4), momenta=(1, 3, 5), angles=(2,))
    core = make_core(name, layout, widths=(8,))
    rng = np.random.default_rng(0)
    state, actions = rng.normal(size=(3, 7)).astype(np.float32), rng.normal(size=(3, 4, 2)).astype(np.float32)
    known = {"mass": np.ones(3, np.float32), "rest": np.ones((3, 2, 2), np.float32)}
    module = Unrolled(core)
    run = jax.jit(module.apply)
    variables = jax.jit(module.init)(jax.random.key(0), state, actions, 0.1, known)
    assert not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(variables))
    variables = jax.tree.map(lambda x: x + 0.1 * rng.normal(size=x.shape), variables)  # not the quiet start
    last, track = run(variables, state, actions, 0.1, known)
    np.testing.assert_allclose(run(variables, state, actions, np.full(3, 0.1), known)[0], last, atol=1e-6)
    # as one module, or as a function in the scan: the same
    core_only = as_core(core, {"params": variables["params"]["core"]})
    np.testing.assert_allclose(unroll(core_only, state, actions, 0.1, known)[1], track, atol=1e-6)

    masked, _ = run(variables, state, actions, 0.1, known, lengths=np.array([0, 2, 4]))
    np.testing.assert_allclose(masked, [state[0], track[1, 1], track[2, 3]], atol=1e-6)
    slope = jax.jacobian(lambda s: run(variables, s, actions, 0.1, known)[0])(state)
    assert all((np.abs(slope[i, :, j]).max() > 0) == (i == j) for i in range(3) for j in range(3))
    turned = np.asarray(state) + np.array([0, 0, 2 * np.pi, 0, 0, 0, 0], np.float32)  # the angle, once around
    around = run(variables, turned, actions, 0.1, known)[0]
    np.testing.assert_allclose(around - turned, last - state, atol=1e-4)
    longer = run(variables, state, actions, 0.2, known)[0]
    assert np.abs(longer - last).max() > 1e-3, "dt does nothing"


@pytest.mark.parametrize("step", ["leapfrog", "semi_implicit"])
def test_the_newtonian_core_converges_to_its_own_equation(step):
    """With shorter steps the same network's motion has a limit, at the step's order; a step can be cut in the core."""
    with jax.enable_x64(True):
        layout = Layout(4, positions=(0, 1), momenta=(2, 3))
        state, action = jnp.array([[1.0, -0.5, 0.3, 0.8]]), jnp.full((1, 1), 0.7)
        core, cut = (make_core("newtonian", layout, widths=(16,), step=step, substeps=n) for n in (1, 2))
        params = core.init(jax.random.key(0), state, action, 0.4, None)["params"]
        params = jax.tree.map(lambda x: x + 0.7 * jax.random.normal(jax.random.key(x.size), x.shape), params)

        @jax.jit
        def end(lengths, dt):
            actions = jnp.broadcast_to(action[:, None], (1, 128, 1))
            return unroll(as_core(core, {"params": params}), state, actions, dt, lengths=lengths)[0]

        ends = [end(jnp.array([n]), 0.8 / n) for n in (4, 8, 16, 128)]
        errors = np.array([np.abs(x - ends[-1]).max() for x in ends[:-1]])
        assert np.log2(errors[1] / errors[2]) == pytest.approx({"leapfrog": 2.0, "semi_implicit": 1.0}[step], abs=0.35)
        twice = as_core(cut, {"params": params})(state, action, 0.4, None)
        np.testing.assert_allclose(twice, end(jnp.array([2]), 0.2), atol=1e-12)


def test_what_a_newtonian_core_cannot_be():
    state, build = jnp.zeros((1, 2)), lambda **fields: make_core("newtonian", widths=(4,), **fields)
    for core, message in (
        (build(layout=Layout(2, (0,), (1,), canonical=True)), "canonical momenta"),
        (build(layout=Layout(2, (), ())), "no positions"),
        (build(layout=Layout(2, (0,), (1,)), step="rk5"), "choose one of leapfrog"),
    ):
        with pytest.raises(UsageError, match=message):
            core.init(jax.random.key(0), state, None, 0.1, None)


def test_an_unknown_core_is_refused_with_a_suggestion():
    with pytest.raises(UsageError, match="did you mean 'newtonian'"):
        make_core("newtonain", ENV.layout)
