"""The jnp twin equals the numpy simulator, and its gradients equal finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.physics import room_jax
from o2t_jax.physics.laws import Gravity
from o2t_jax.physics.room import PROJECTILE, Setup, simulate

TIMES = np.array([0.0, 0.35, 0.9, 1.7, 2.6])
WORLDS = [Gravity.constant(9.81), Gravity.hyperbolic(9.5, 9.0)]


def scene(**more):
    return Setup(
        radius=np.array([0.4, 0.3, 0.25]),
        colour=np.full((3, 3), 0.5),
        position=np.array([[5.0, 0.0, 3.0], [-2.0, 1.0, 8.0], [4.0, 0.0, 0.25]]),
        velocity=np.array([[0.5, 0.2, 4.0], [1.2, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        kind=np.full(3, PROJECTILE),
        side=np.array([1, -1, 1]),
        **more,
    )


def twin(setup, world, params, **more):
    return room_jax.simulate(
        setup.position, setup.velocity, setup.radius, setup.side, TIMES, params, law=world.law,
        bounces=setup.bounces, vanishes=setup.vanishes, **more,
    )  # fmt: skip


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.law)
@pytest.mark.parametrize("bounces", [True, False])
def test_twin_equals_numpy(world, bounces):
    setup = scene(bounces=bounces)
    expected, seen = simulate(setup, TIMES, world)
    with jax.enable_x64(True):
        position, visible = twin(setup, world, jnp.asarray(world.params))
    above = seen  # behind the ground (no bounces) the position means nothing
    np.testing.assert_allclose(np.where(above[..., None], position, 0), np.where(above[..., None], expected, 0), atol=1e-5)
    np.testing.assert_array_equal(visible, seen)
    assert not seen.all()


def test_twin_in_single_precision():
    expected, seen = simulate(scene(), TIMES, WORLDS[1])
    position, _ = twin(scene(), WORLDS[1], jnp.asarray(WORLDS[1].params))
    assert position.dtype == jnp.float32
    np.testing.assert_allclose(np.where(seen[..., None], position, 0), np.where(seen[..., None], expected, 0), atol=2e-3)


def test_gradients_equal_finite_differences():
    setup, world = scene(), WORLDS[1]

    def heights(params, speed):
        velocity = jnp.asarray(setup.velocity[:2]).at[:, 2].add(speed)
        args = setup.position[:2], velocity, setup.radius[:2], setup.side[:2], TIMES[1:], params
        return room_jax.simulate(*args, law=world.law, steps=32)[0][..., 2]

    with jax.enable_x64(True):
        params, eps = jnp.asarray(world.params), 1e-6
        by_params, by_speed = jax.jacfwd(heights, argnums=(0, 1))(params, 0.0)
        for i in range(2):
            d = jnp.zeros(2).at[i].set(eps)
            slope = (heights(params + d, 0.0) - heights(params - d, 0.0)) / (2 * eps)
            np.testing.assert_allclose(by_params[..., i], slope, rtol=1e-5, atol=1e-6)
        slope = (heights(params, eps) - heights(params, -eps)) / (2 * eps)
        np.testing.assert_allclose(by_speed, slope, rtol=1e-5, atol=1e-6)
        assert np.abs(by_speed[-1]).max() > 0.1


def test_gradients_are_finite_for_a_ball_at_rest_on_the_ground():
    def total(position):
        args = position, jnp.zeros((1, 3)), jnp.array([0.25]), jnp.ones(1), TIMES, jnp.array([9.81])
        return room_jax.simulate(*args, law="constant", steps=8)[0].sum()

    position = jnp.array([[4.0, 0.0, 0.25]])
    assert np.isfinite(jax.grad(total)(position)).all()
    assert float(total(position)) == pytest.approx(5 * 4.25, abs=1e-4)
