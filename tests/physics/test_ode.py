"""Single steps of differential equations: orders, and conservation by symplectic steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.physics.ode import euler_step, leapfrog_step, rk4_step, semi_implicit_step


def pull(q, v):
    """A pendulum with friction that grows with the speed, under a steady torque."""
    return 0.5 - 4.0 * jnp.sin(q) - 0.3 * v * jnp.abs(v)


def by_field(step):
    return lambda q, v, h: step(lambda s: (s[1], pull(*s)), (q, v), h)


def by_acceleration(step):
    return lambda q, v, h: step(pull, q, v, h)


@pytest.mark.parametrize(
    ("step", "order"),
    [
        (by_field(euler_step), 1),
        (by_acceleration(semi_implicit_step), 1),
        (by_acceleration(leapfrog_step), 2),
        (by_field(rk4_step), 4),
    ],
    ids=["euler", "semi-implicit", "leapfrog", "rk4"],
)
def test_halving_the_step_shows_the_order(step, order):
    with jax.enable_x64(True):

        def end(h, count):
            # 0.5 s, before the velocity changes sign: the friction is smooth there
            body = lambda _, s: step(s[0], s[1], h)  # noqa: E731
            return jnp.stack(jax.lax.fori_loop(0, count, body, (jnp.array(1.0), jnp.array(-1.0))))

        go = jax.jit(end)
        ends = np.array([go(0.5 / count, count) for count in (16, 32, 64, 1024)])
    errors = np.abs(ends[:-1] - ends[-1]).max(axis=1)
    np.testing.assert_allclose(np.log2(errors[:-1] / errors[1:])[-1], order, atol=0.25)


@pytest.mark.parametrize("step", [semi_implicit_step, leapfrog_step])
def test_without_friction_areas_of_phase_space_are_kept(step):
    def move(state):
        return jnp.stack(step(lambda q, v: -4.0 * jnp.sin(q), state[0], state[1], 0.3))

    with jax.enable_x64(True):
        assert np.linalg.det(jax.jacobian(move)(jnp.array([1.0, -2.0]))) == pytest.approx(1.0, abs=1e-12)
        lossy = lambda s: jnp.stack(step(pull, s[0], s[1], 0.3))  # noqa: E731
        assert abs(np.linalg.det(jax.jacobian(lossy)(jnp.array([1.0, -2.0]))) - 1.0) > 0.1


def test_states_are_any_pytree():
    state = {"a": jnp.ones(3), "b": (jnp.zeros(()),)}
    rate = lambda s: {"a": -s["a"], "b": (jnp.ones(()),)}  # noqa: E731
    for step, expected in ((euler_step, 0.9), (rk4_step, np.exp(-0.1))):
        after = step(rate, state, 0.1)
        np.testing.assert_allclose(after["a"], expected, rtol=1e-6)
        np.testing.assert_allclose(after["b"][0], 0.1, rtol=1e-6)
