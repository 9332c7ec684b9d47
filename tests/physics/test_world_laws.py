"""Laws of single worlds: Hamilton's equations, normal modes, circular orbits, momentum."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.physics.env_parameters import PARAMETERS
from o2t_jax.physics.environment import idle, simulate
from o2t_jax.physics.envs import get_environment

CANONICAL = [name for name in PARAMETERS if get_environment(name).layout.canonical]


@pytest.mark.parametrize("name", CANONICAL)
def test_canonical_worlds_obey_hamiltons_equations(name):
    """q' = dH/dp, p' = -dH/dq of the world's own energy, at random states and parameters, without friction."""
    env = get_environment(name)
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        start = env.reset(jax.random.key(0), env.params)
        vectors = jnp.asarray(rng.uniform(-3.0, 3.0, (5, env.layout.size)))

        def both(vector, scale):
            params = jax.tree.map(lambda value: value * scale, env.params)
            if "damping" in params._fields:
                params = params._replace(damping=jnp.zeros(()))
            state_of = lambda v: env.restore(v, start, params)  # noqa: E731
            slope = jax.grad(lambda v: env.energy(state_of(v), params)[0])(vector)
            rate = env.observe(env.field(state_of(vector), jnp.zeros(env.actions.size), params), params)
            return (*env.layout.split(rate), *env.layout.split(slope))

        q_rate, p_rate, by_q, by_p = jax.vmap(both)(vectors, jnp.asarray(rng.uniform(0.5, 2.0, 5)))
    np.testing.assert_allclose(q_rate, by_p, rtol=1e-10)
    np.testing.assert_allclose(p_rate, -by_q, rtol=1e-10)
    assert np.abs(by_q).min() > 0.0


def test_the_double_pendulum_has_its_two_modes():
    """Small swings of equal bobs and rods: w^2 = (2 -+ sqrt 2) g/L with a2 = +-sqrt 2 a1; a period returns them."""
    env = get_environment("double_pendulum")
    with jax.enable_x64(True):
        for sign in (1.0, -1.0):
            period = 2.0 * np.pi / np.sqrt((2.0 - sign * np.sqrt(2.0)) * 3.0)
            start = env.reset(jax.random.key(0), env.params)
            angle = 1e-4 * jnp.array([1.0, sign * np.sqrt(2.0)])
            start = start._replace(angle=angle, momentum=jnp.zeros(2))
            track = simulate(env, start, idle(env, 20), period / 20, env.params)
            np.testing.assert_allclose(track.angle[10], -angle, atol=1e-8)
            np.testing.assert_allclose(track.angle[20], angle, atol=1e-8)


@pytest.mark.parametrize("name", ["gravity_two", "gravity_three"])
def test_equal_bodies_circle_at_the_speed_of_their_polygon(name, monkeypatch):
    """Without deviations of speed the bodies keep their circle, and turn by v t / r."""
    env = get_environment(name)
    monkeypatch.setattr(type(env), "NOISE", 0.0)
    with jax.enable_x64(True):
        start = env.reset(jax.random.key(5), env.params)
        track = jax.device_get(simulate(env, start, idle(env, 20), 0.1, env.params))
    radius, speed = (np.linalg.norm(part[0], axis=1) for part in track)
    np.testing.assert_allclose(np.linalg.norm(track.position, axis=-1), np.tile(radius, (21, 1)), rtol=1e-5)
    turned = np.unwrap(np.arctan2(track.position[..., 1], track.position[..., 0]), axis=0)
    np.testing.assert_allclose(turned[-1] - turned[0], 2.0 * speed / radius, rtol=1e-4)


def test_three_bodies_keep_their_common_motion_and_gain_the_impulse_of_the_force():
    env = get_environment("three_body", mass0=0.5, mass1=1.5, mass2=2.0)
    masses = np.array([0.5, 1.5, 2.0])
    with jax.enable_x64(True):
        start = env.reset(jax.random.key(331), env.params)
        for force in ([0.0, 0.0], [1.0, 0.0]):
            track = simulate(env, start, jnp.tile(jnp.array(force), (8, 1)), 0.05, env.params)
            momentum = np.einsum("n,tnx->tx", masses, track.velocity)
            np.testing.assert_allclose(momentum - momentum[0], 0.05 * np.arange(9)[:, None] * force, atol=1e-9)


def test_the_easy_oscillator_swings_once_in_two_pi_seconds():
    env = get_environment("oscillator_easy", damping=0.0)
    start = env.reset(jax.random.key(0), env.params)
    track = simulate(env, start, idle(env, 16), 2.0 * np.pi / 16, env.params)
    np.testing.assert_allclose(track.position[-1], start.position, atol=1e-4)
    np.testing.assert_allclose(track.velocity[4], -start.position, atol=1e-4)


@pytest.mark.parametrize("name", ["gravity_two", "spaceship"])
def test_bodies_that_come_too_near_say_so(name):
    env = get_environment(name)
    state = env.reset(jax.random.key(0), env.params)
    place = jnp.zeros_like(state.position)
    for distance, close in ((0.19, 1), (0.21, 0)):
        moved = state._replace(
            position=place.at[..., 0].set(jnp.array([0.0, distance]) if place.ndim > 1 else distance)
        )
        assert env.events(moved, env.params)["close"].tolist() == [close]
