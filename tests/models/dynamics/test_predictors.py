"""Laws of the predictors of pictures' states, at random weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.models.dynamics.predictors import INTEGRATORS, PREDICTORS, is_flat, make_predictor
from o2t_jax.models.dynamics.predictors.base import force_step
from o2t_jax.systems import dynamics_pictures_config

B, C = 3, 4


def start_of(name, key=0):
    """z [B, ..., C] and actions [B, 1]."""
    shape = (B, C) if is_flat(name) else (B, 4, 4, C)
    return jax.random.normal(jax.random.key(key), shape), jax.random.normal(jax.random.key(key + 1), (B, 1))


def made(name, **fields):
    """The predictor, and random parameters: its own start does not move."""
    module = make_predictor(name, channels=C, hidden=8, **fields)
    z, action = start_of(name)
    shapes = jax.eval_shape(module.init, jax.random.key(2), module.start(z), action, 0.1, None)["params"]
    rng = np.random.default_rng(0)
    return module, jax.tree.map(lambda x: jnp.asarray(0.3 * rng.normal(size=x.shape), x.dtype), shapes)


@pytest.mark.parametrize("name", list(PREDICTORS))
def test_a_predictor_reads_state_action_and_step(name):
    module, params = made(name)
    z, action = start_of(name)
    h = jnp.full((B,), 0.1)

    @jax.jit
    def step(z, action, h):
        return module.apply({"params": params}, module.start(z), action, h, None)["z"]

    after = step(z, action, h)
    assert after.shape == z.shape
    for other in (step(z, action + 1.0, h), step(z, action, 2.0 * h), step(z + 0.1, action, h) - 0.1):
        assert np.abs(after - other).max() > 1e-4
    # Each sample has its own step.
    mixed = step(z, action, h.at[1].set(0.2))
    np.testing.assert_allclose(mixed[::2], after[::2], atol=1e-6)
    np.testing.assert_allclose(mixed[1], step(z, action, 2.0 * h)[1], atol=1e-6)


@pytest.mark.parametrize("name", [name for name in PREDICTORS if is_flat(name)])
def test_untrained_nothing_turns(name):
    """Everything rests, or moves along its momentum."""
    module = make_predictor(name, channels=C, hidden=8, integrator="semi_implicit")
    z, action = start_of(name)
    params = module.init(jax.random.key(2), module.start(z), action, 0.1, None)["params"]
    after = module.apply({"params": params}, module.start(z), action, 0.1, None)["z"]
    q, p = np.split(np.asarray(z), 2, axis=-1)
    moves = name.endswith(("newtonian", "hamiltonian"))
    np.testing.assert_allclose(after[:, : C // 2], q + 0.1 * p * moves, atol=0.02 if moves else 1e-6)


def test_a_hamiltonian_keeps_its_energy_without_friction_and_loses_it_with():
    """The leapfrog's error falls with the square of the step; friction takes what remains."""
    name = "spatial_hamiltonian"
    module, params = made(name, integrator="leapfrog")
    z, _ = start_of(name)
    idle = jnp.zeros((B, 1))

    @jax.jit
    def drift(params, h):
        state = module.start(z)
        state, _ = jax.lax.scan(
            lambda now, _: (module.apply({"params": params}, now, idle, h[0], None), None), state, None, length=64
        )
        energy = lambda z: module.apply({"params": params}, z, method="energy")  # noqa: E731
        return energy(state["z"]) - energy(z), jnp.abs(energy(z))

    free = {**params, "log_friction": jnp.float32(-30.0)}
    coarse, size = drift(free, jnp.array([0.02]))
    fine, _ = drift(free, jnp.array([0.01]))
    assert np.all(np.abs(coarse) < 2e-2 * (1.0 + size))
    assert np.all(np.abs(fine) < 0.6 * np.abs(coarse) + 1e-3)
    lost, _ = drift({**params, "log_friction": jnp.float32(0.0)}, jnp.array([0.01]))
    assert np.all(lost < 0.0) and np.mean(lost) < -0.1


def test_steps_have_their_order_on_an_oscillator():
    def end(integrator, n):
        q, p = jnp.ones((1, 1)), jnp.zeros((1, 1))
        for _ in range(n):
            q, p = force_step(integrator, lambda p: p, lambda q, p: -q, q, p, 1.0 / n)
        return abs(float(q[0, 0]) - np.cos(1.0))

    for integrator, order in {"euler": 1, "semi_implicit": 1, "leapfrog": 2}.items():
        assert abs(np.log2(end(integrator, 8) / end(integrator, 16)) - order) < 0.2
    assert end("rk4", 8) < 1e-5


def test_the_config_knows_the_predictors_without_importing_them():
    assert tuple(PREDICTORS) == dynamics_pictures_config.PREDICTORS
    assert INTEGRATORS == dynamics_pictures_config.INTEGRATORS
    with pytest.raises(UsageError, match="spatial_newtonian"):
        make_predictor("spatial_newton", channels=C, hidden=8)
