"""The jnp twin equals the numpy simulator, and its gradients equal finite differences."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.physics.laws import Gravity
from o2t_jax.physics.ramp import Ramp, ball_on_ramp
from o2t_jax.physics.room import FALL, PROJECTILE, RAMP, Setup, simulate
from o2t_jax.physics.room_jax import simulate as twin
from o2t_jax.physics.room_jax import state_from

TIMES = np.array([0.0, 0.35, 0.9, 1.7])
WORLDS = [Gravity.constant(9.81), Gravity.hyperbolic(9.5, 9.0)]
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
@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.law)
def test_twin_equals_numpy(world, setup):
    expected, seen = simulate(setup, TIMES, world)
    with jax.enable_x64(True):
        position, visible = fly(state_from(setup), TIMES, world.law, jnp.asarray(world.params), max_time=2.0)
    np.testing.assert_allclose(where(seen, position), where(seen, expected), atol=1e-5)
    np.testing.assert_array_equal(visible, seen)
    assert seen.any()


def test_twin_in_single_precision():
    world = WORLDS[0]
    expected, seen = simulate(scene(), TIMES, world)
    position, _ = fly(state_from(scene()), TIMES, world.law, jnp.asarray(world.params), max_time=2.0)
    assert position.dtype == jnp.float32
    np.testing.assert_allclose(where(seen, position), where(seen, expected), atol=2e-3)


def test_gradients_equal_finite_differences():
    """By the law's numbers and by the initial speed, through flights, bounces, rolling and the ramp."""
    world, state = (
        WORLDS[1],
        state_from(ramp_scene()._replace(velocity=np.array([[0, 0, 0], [0.3, 0.2, 1], [1, 0, 2]]))),
    )

    def positions(fly, params, speed):
        pushed = np.array([0.0, 1.0, 1.0])[:, None] * jnp.array([0.5, 0.0, 1.0])
        moved = state._replace(velocity=state.velocity + speed * pushed)
        return fly(moved, TIMES, world.law, params, max_time=2.0)[0]

    with jax.enable_x64(True):
        params, eps = jnp.asarray(world.params), 1e-6
        slopes = jax.jit(jax.jacfwd(partial(positions, twin), argnums=(0, 1)))(params, 0.0)
        by_params = [
            (positions(fly, params + d, 0.0) - positions(fly, params - d, 0.0)) / (2 * eps) for d in eps * jnp.eye(2)
        ]
        by_speed = (positions(fly, params, eps) - positions(fly, params, -eps)) / (2 * eps)
        np.testing.assert_allclose(slopes[0], jnp.stack(by_params, -1), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(slopes[1], by_speed, rtol=1e-5, atol=1e-7)
        assert (np.abs(slopes[0][-1]).max(axis=(1, 2)) > 0.01).all()
        assert (np.abs(slopes[1][-1, 1:]).max(axis=1) > 0.1).all()
