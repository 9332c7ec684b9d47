"""The jnp twin equals the numpy simulator, and its gradients equal finite differences."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.room.exact import FALL, PROJECTILE, RAMP, Setup, simulate, simulate_states
from o2t_jax.physics.room.jax_twin import room_step, state_from
from o2t_jax.physics.room.jax_twin import simulate as twin
from o2t_jax.physics.room.ramp import Ramp, ball_on_ramp

TIMES = np.array([0.0, 0.35, 0.9, 1.7])
# Two worlds of one law, so that one compiled program serves both.
WORLDS = {"constant": Gravity.hyperbolic(9.81, 0.0), "hyperbolic": Gravity.hyperbolic(9.5, 9.0)}
SLOPE = Ramp(slope=30.0, height=1.6, width=2.5, foot=(8.0, 0.0), uphill=60.0)

fly = partial(jax.jit, static_argnames=("law", "max_time", "step"))(twin)


def scene(**more):
    return Setup(
        radius=np.array([0.4, 0.3, 0.25]),
        colour=np.full((3, 3), 0.5),
        position=np.array([[5.0, 0.0, 3.0], [-2.0, 1.0, 8.0], [4.0, 0.0, 1.0]]),
        velocity=np.array([[0.5, 0.2, 4.0], [1.2, 0.0, 0.0], [0.0, 0.0, -2.0]]),
        kind=np.full(3, PROJECTILE),
        side=np.array([1, -1, 1]),
        **more,
    )


def ramp_scene():
    on, over = ball_on_ramp(SLOPE, 0.4, 0.8), ball_on_ramp(SLOPE, 0.3, 0.5) + np.array([0.0, 0.0, 3.0])
    return scene()._replace(
        radius=np.array([0.4, 0.3, 0.25]),
        position=np.array([on, over, [4.0, 0.0, 1.0]]),
        velocity=np.zeros((3, 3)),
        kind=np.array([RAMP, FALL, FALL]),
        side=np.ones(3, int),
        ramp=SLOPE,
    )


def where(mask, values):
    return np.where(mask[..., None], values, 0.0)


@pytest.mark.parametrize("setup", [scene(), scene(bounces=False), ramp_scene()], ids=["ground", "free", "ramp"])
@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_twin_equals_numpy(world, setup):
    expected, seen = simulate(setup, TIMES, world)
    with jax.enable_x64(True):
        position, visible = fly(state_from(setup), TIMES, world.law, jnp.asarray(world.params), max_time=2.0)
    np.testing.assert_allclose(where(seen, position), where(seen, expected), atol=1e-5)
    np.testing.assert_array_equal(visible, seen)
    assert seen.any()


def test_derivatives_equal_finite_differences_of_the_numpy_simulator():
    """Gradients by the law's parameters, initial velocity and step length, through bounces, rolling and the ramp."""
    law, numbers, count, dt = "hyperbolic", np.array([9.5, 9.0]), 34, 0.05
    setup = ramp_scene()._replace(velocity=np.array([[0.0, 0.0, 0.0], [0.3, 0.2, 1.0], [1.0, 0.0, 2.0]]))
    push = np.array([0.0, 1.0, 1.0])[:, None] * np.array([0.5, 0.0, 1.0])
    times = dt * np.arange(1, count + 1)

    def exact(numbers, speed):
        moved = setup._replace(velocity=setup.velocity + speed * push)
        return simulate_states(moved, times, Gravity(law, tuple(numbers)))[0]

    @jax.jit
    @partial(jax.vmap, in_axes=(0, 0, 0))
    def along(by_numbers, by_speed, by_dt):
        def track(numbers, speed, dt):
            state = jax.tree.map(jnp.asarray, state_from(setup))
            state = state._replace(velocity=state.velocity + speed * push)

            def body(now, _):
                now = room_step(now, dt, law, numbers)
                return now, now.position

            return jax.lax.scan(body, state, None, length=count)[1]

        return jax.jvp(track, (jnp.asarray(numbers), 0.0, dt), (by_numbers, by_speed, by_dt))[1]

    with jax.enable_x64(True):
        one = jnp.eye(4)
        by_g0, by_alpha, by_speed, by_dt = along(one[:, :2], one[:, 2], one[:, 3])
    eps = 1e-5
    for slope, numbers_by, speed_by in ((by_g0, [eps, 0], 0), (by_alpha, [0, eps], 0), (by_speed, [0, 0], eps)):
        numbers_by = np.array(numbers_by)
        expected = (exact(numbers + numbers_by, speed_by) - exact(numbers - numbers_by, -speed_by)) / (2 * eps)
        np.testing.assert_allclose(slope, expected[..., :3], atol=1e-5 + 1e-5 * np.abs(expected).max())
    velocity = exact(numbers, 0.0)[..., 3:]
    np.testing.assert_allclose(by_dt, np.arange(1, count + 1)[:, None, None] * velocity, atol=1e-3)
    assert (np.abs(by_g0[-1]).max(axis=-1) > 0.1).all()  # every ball's motion depends on it
    assert (np.abs(by_speed[-1, 1:]).max(axis=-1) > 0.1).all()
