"""The model of relative geometry: what holds whatever its parameters are, and its geometry against known cases."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models.discs import Frames, Step
from o2t_jax.models.discs.relative import Bodies, Impulses, Relative, nearest_points
from o2t_jax.physics.discs.rooms import walls as room
from o2t_jax.physics.discs.scene import Walls

SIZE = (800.0, 600.0)


def frames(discs: int = 4, scenes: int = 3, seed: int = 0, name: str = "box") -> Frames:
    """Random discs near each other, so that every impulse is in play."""
    rng = np.random.default_rng(seed)
    position = rng.uniform(200, 400, (scenes, 1, discs, 2)) + np.zeros((1, 2, 1, 1))
    velocity = rng.uniform(-60, 60, (scenes, 2, discs, 2))
    mass = rng.choice([1.0, 5.0, 25.0], (scenes, discs))
    walls = jax.tree.map(lambda x: jnp.broadcast_to(x, (scenes, *x.shape)), room(name, SIZE))
    ones = np.ones((scenes, discs))
    return jax.tree.map(jnp.asarray, Frames(position, velocity, mass, 60.0 * ones, ones > 0, walls))


@pytest.fixture(scope="module")
def model() -> Callable[..., Step]:
    """(frames, parameters=random ones, large enough that every contact pushes) -> step."""
    module = Relative(widths=(16,))
    params = jax.jit(module.init)(jax.random.key(0), frames())["params"]
    large = jax.tree.map(lambda x: 3.0 * x + 0.2, params)
    run = jax.jit(lambda params, seen: module.apply({"params": params}, seen))
    return lambda seen, params=large: run(params, seen)


def without_walls(seen: Frames) -> Frames:
    return seen._replace(walls=Walls(seen.walls.ends, jnp.zeros_like(seen.walls.present)))


def test_pairs_keep_momentum(model) -> None:
    seen = without_walls(frames())
    after = model(seen).velocity
    before = seen.velocity[:, 1]
    assert float(jnp.max(jnp.abs(after - before))) > 1.0, "nothing is pushed; the test says nothing"
    momenta = [jnp.sum(seen.mass[..., None] * x, axis=1) for x in (before, after)]
    np.testing.assert_allclose(momenta[1], momenta[0], rtol=1e-4, atol=0.05)


def test_turning_and_moving_the_scene_turns_and_moves_the_result(model) -> None:
    seen, angle = frames(name="L"), 0.7
    turn = jnp.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shift = jnp.array([30.0, -20.0])
    ends = seen.walls.ends @ turn + shift
    turned = seen._replace(
        position=seen.position @ turn + shift, velocity=seen.velocity @ turn, walls=Walls(ends, seen.walls.present)
    )
    here, there = model(seen), model(turned)
    np.testing.assert_allclose(there.velocity, here.velocity @ turn, atol=0.02)
    np.testing.assert_allclose(there.position, here.position @ turn + shift, atol=0.02)


def test_discs_in_another_order_give_the_same(model) -> None:
    seen, order = frames(), np.array([2, 0, 3, 1])
    other = seen._replace(
        position=seen.position[:, :, order],
        velocity=seen.velocity[:, :, order],
        mass=seen.mass[:, order],
        radius=seen.radius[:, order],
    )
    np.testing.assert_allclose(model(other).velocity, model(seen).velocity[:, order], atol=2e-3)


def test_rows_that_are_not_there_change_nothing(model) -> None:
    seen = frames(discs=5)
    seen = seen._replace(present=seen.present.at[:, 4].set(False))
    four = seen._replace(
        position=seen.position[:, :, :4],
        velocity=seen.velocity[:, :, :4],
        mass=seen.mass[:, :4],
        radius=seen.radius[:, :4],
        present=seen.present[:, :4],
    )
    np.testing.assert_allclose(model(seen).velocity[:, :4], model(four).velocity, atol=2e-3)


def test_obstacles_stay_and_push(model) -> None:
    seen = without_walls(frames(discs=2))
    seen = seen._replace(mass=seen.mass.at[:, 1].set(jnp.inf), velocity=seen.velocity.at[:, :, 1].set(0.0))
    found = model(seen)
    np.testing.assert_array_equal(found.velocity[:, 1], 0.0)
    np.testing.assert_array_equal(found.position[:, 1], seen.position[:, 1, 1])
    assert float(jnp.max(jnp.abs(found.velocity[:, 0] - seen.velocity[:, 1, 0]))) > 1.0


def test_gradients_are_finite_where_discs_share_a_place(model) -> None:
    seen = frames(discs=3)
    seen = seen._replace(position=seen.position.at[:, :, 1].set(seen.position[:, :, 0]))

    @jax.jit
    def total(position, velocity):
        return jnp.sum(model(seen._replace(position=position, velocity=velocity)).velocity)

    found = jax.grad(total, argnums=(0, 1))(seen.position, seen.velocity)
    assert all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(found))


def test_the_nearest_point_of_a_wall() -> None:
    walls = Walls(jnp.array([[[[0.0, 0.0], [10.0, 0.0]]]]), jnp.ones((1, 1), bool))
    place = jnp.array([[[3.0, 4.0], [-2.0, 1.0], [13.0, -5.0]]])
    np.testing.assert_allclose(nearest_points(walls, place)[0], [[3.0, 0.0], [0.0, 0.0], [10.0, 0.0]])


def test_the_nearest_time_is_where_straight_motion_comes_nearest() -> None:
    seen = frames(discs=2, scenes=50, seed=3)
    dt = 2.0

    @jax.jit
    def gaps(seen: Frames) -> tuple[jax.Array, jax.Array]:
        bodies, position, velocity = Bodies.of(seen), seen.position[:, 1], seen.velocity[:, 1]
        nearest = bodies.nearest_time(position, velocity, jnp.zeros_like(bodies.reach), dt)
        at = jax.vmap(lambda time: bodies.at(position, velocity, jnp.full_like(nearest, time)).gap[:, 0])
        return bodies.at(position, velocity, nearest).gap[:, 0], at(jnp.linspace(0.0, dt, 101))

    found, tried = gaps(seen)
    least = jnp.min(tried, axis=0)
    assert bool(jnp.all(found <= least + 1e-3))
    np.testing.assert_allclose(found, least, atol=1.0)


def test_a_corner_that_two_walls_share_pushes_once() -> None:
    """A disc that flies at a corner gets the impulse that it gets from one wall's end."""
    ends = jnp.array([[[100.0, 100.0], [100.0, 300.0]], [[100.0, 100.0], [300.0, 100.0]]])
    place = jnp.full((1, 1, 2), 100.0 - 60.0 / np.sqrt(2) - 1.0)
    velocity = jnp.full((1, 1, 2), 30.0)
    one = jnp.ones((1, 1))
    kicks, module = [], Impulses(0.1, 60.0, (8,), 0.0, None)

    @jax.jit
    def kick(walls: Walls) -> jax.Array:
        moving = [jnp.repeat(x[:, None], 2, axis=1) for x in (place, velocity)]
        bodies = Bodies.of(Frames(*moving, one, 60.0 * one, one > 0, walls))
        (times, impulses, _), _ = module.init_with_output(jax.random.key(1), place, velocity, one * 0.0, bodies)
        return bodies.shared(impulses, times)[0]

    for present in ([True, True], [True, False]):
        kicks.append(kick(Walls(ends[None], jnp.array([present]))))
    assert float(jnp.max(jnp.abs(kicks[0]))) > 1e-3
    np.testing.assert_allclose(kicks[0], kicks[1], rtol=1e-5)


def test_a_neighbourhood_leaves_out_what_is_farther() -> None:
    seen = without_walls(frames(discs=2))
    apart = jnp.array([[0.0, 0.0], [3.6 * 60.0, 0.0]])
    seen = seen._replace(position=jnp.broadcast_to(apart, seen.position.shape))
    near, free = (Relative(widths=(8,), rounds=1, neighbourhood=x) for x in (3.5, 0.0))
    after = [jax.jit(x.init_with_output)(jax.random.key(0), seen)[0].velocity for x in (near, free)]
    np.testing.assert_array_equal(after[0], seen.velocity[:, 1])
    assert bool(jnp.any(after[1] != seen.velocity[:, 1]))
