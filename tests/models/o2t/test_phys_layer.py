"""The physics layer: exact flight, masks, gradients, the law's definition."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models.cores import unroll
from o2t_jax.models.o2t import phys_layer as phys
from o2t_jax.physics.forces import Force
from o2t_jax.physics.integrators import ForcedFlight

DT, N_MAX = 0.05, 8


def layer_of(used: int, key: int = 0):
    layer = phys.PhysLayer(48, DT, N_MAX, used)
    visited = jnp.zeros(phys.HEIGHT_BINS).at[:40].set(1.0)
    params = layer.init(jax.random.key(key), jnp.zeros((1, 48)), jnp.zeros(1, jnp.int32), visited)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(7), len(leaves))
    params = jax.tree.unflatten(
        tree, [x + 0.1 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    )
    return layer, params, visited


def test_blend_weight_meets_the_guides_table() -> None:
    assert np.allclose(phys.blend_weight(jnp.array([0.0, 5.0, 10.0, 20.0])), [0.95, 0.56, 0.254, 0.22], atol=1e-3)


def test_verlet_is_exact_at_constant_gravity() -> None:
    start = phys.Particle(jnp.array([[[5.0, 1.0, -2.0]]]), jnp.array([[[3.0, 0.5, 0.25]]]))
    core = phys.falling(lambda z: jnp.full_like(z, 9.81))
    end, _ = unroll(core, start, None, DT, lengths=jnp.array([6]), steps=N_MAX)
    t = 6 * DT
    assert np.allclose(end.position[0, 0], [5 + 3 * t - 0.5 * 9.81 * t**2, 1 + 0.5 * t, -2 + 0.25 * t], atol=1e-5)


def test_verlet_is_second_order_in_time() -> None:
    def gravity(z):
        return 9.5 + 40.0 / (z + 10.0)

    def end(steps: int) -> float:
        with jax.enable_x64(True):
            start = phys.Particle(jnp.array([[[12.0, 0.0, 0.0]]]), jnp.array([[[6.0, 0.0, 0.0]]]))
            return float(unroll(phys.falling(gravity), start, None, 1.2 / steps, steps=steps)[0].position[0, 0, 0])

    fine = end(4096)
    errors = [abs(end(steps) - fine) for steps in (8, 16, 32)]
    assert np.allclose(np.log2(np.divide(errors[:-1], errors[1:])), 2.0, atol=0.1)


def test_shooting_hits_and_finds_the_true_velocity() -> None:
    velocity = jnp.array([[[4.0, 1.0, -1.0]], [[-2.0, 0.3, 0.0]]])
    start = jnp.array([[[3.0, 0.0, 1.0]], [[9.0, 4.0, 0.0]]])
    k = jnp.array([5, 8])

    def gravity(z):
        return 9.0 + 5.0 / (z + 10.0)

    flown, _ = unroll(phys.falling(gravity), phys.Particle(start, velocity), None, DT, lengths=k, steps=N_MAX)
    found = phys.shoot(start, flown.position, k, N_MAX, gravity, DT, rounds=2)
    assert np.allclose(found, velocity, atol=1e-3)
    plain = (flown.position - start) / (k * DT)[:, None, None]
    assert np.abs(plain - velocity).max() > 0.5, "a plain difference must be visibly wrong, or this proves nothing"


@pytest.mark.parametrize("used", [0, 1, 2])
def test_masking_of_n_equals_separate_scans(used: int) -> None:
    layer, params, visited = layer_of(used)
    h = jax.random.normal(jax.random.key(3), (4, 48))
    n = jnp.array([0, 2, 5, 8])
    together = layer.apply(params, h, n, visited)
    for i, steps in enumerate([0, 2, 5, 8]):
        short = phys.PhysLayer(48, DT, max(steps, 1), used)
        alone = short.apply(params, h[i : i + 1], n[i : i + 1], visited)
        assert np.allclose(together.phys[i], alone.phys[0], atol=1e-5)
        assert np.allclose(together.nn[i], alone.nn[0], rtol=1e-4, atol=1e-5)
    assert np.allclose(together.phys[0], h[0]) and np.allclose(together.nn[0], h[0]), "n = 0 is the identity"


@pytest.mark.parametrize("used", [0, 1])
def test_gradient_against_finite_differences(used: int) -> None:
    with jax.enable_x64(True):
        layer, params, visited = layer_of(used)
        params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)
        h = jax.random.normal(jax.random.key(3), (2, 48), jnp.float64)
        n = jnp.array([3, 7])
        weights = jax.random.normal(jax.random.key(5), (2, 48), jnp.float64)
        if used:  # the law's gradient stops at free slots, by design
            _, rows = phys.to_latent(phys.from_latent(h, 8, used), 8)
            weights = weights * rows

        @jax.jit
        def loss(p):
            return jnp.sum(weights * layer.apply(p, h, n, visited).phys)

        grads = jax.jit(jax.grad(loss))(params)["params"]
        for name, index in (("g0", ()), ("alpha", (4,)), ("alpha", (24,))):
            step = 1e-6
            bump = jnp.zeros_like(params["params"][name]).at[index].set(step)
            moved = [
                loss({"params": {**params["params"], name: params["params"][name] + s * bump}}) for s in (1.0, -1.0)
            ]
            numeric = (moved[0] - moved[1]) / (2 * step)
            assert float(grads[name][index]) == pytest.approx(float(numeric), rel=1e-5, abs=1e-7), (name, index)


def test_free_gauge_is_the_guides_step() -> None:
    layer, params, visited = layer_of(0)
    h = jax.random.normal(jax.random.key(3), (1, 48))
    after = layer.apply(params, h, jnp.array([1]), visited).phys[0]
    p = params["params"]
    velocity, position = np.split(np.asarray(h[0]), 2)
    features = layer.apply(params, method=lambda m: m._mlp.apply({"params": m.mlp}, jnp.asarray(position)))
    gravity = np.array(p["alpha"][:24] * features)
    gravity[:8] += p["g0"]
    gravity[8:] += p["alpha"][24]
    fast = velocity - gravity * DT
    assert np.allclose(after, np.concatenate([fast, position + 0.5 * (velocity + fast) * DT]), atol=1e-5)


def test_g0_is_the_mean_of_g_over_visited_heights() -> None:
    _, params, _ = layer_of(1)
    p = params["params"]
    law = phys.LawParams(p["g0"], p["alpha"], p["gravity_mlp"])
    visited = jax.random.uniform(jax.random.key(2), (phys.HEIGHT_BINS,))
    g = phys.learned_gravity(law, jnp.asarray(phys.bin_centres()), visited)
    assert float(jnp.ptp(g)) > 1e-3
    assert float(jnp.sum(visited * g) / jnp.sum(visited)) == pytest.approx(float(p["g0"]), abs=1e-5)


def test_latent_layout_is_axis_major_and_invertible() -> None:
    particle = phys.Particle(jnp.arange(12.0).reshape(2, 2, 3), 100 + jnp.arange(12.0).reshape(2, 2, 3))
    values, rows = phys.to_latent(particle, 8)
    back = phys.from_latent(values, 8, 2)
    assert np.array_equal(back.position, particle.position) and np.array_equal(back.velocity, particle.velocity)
    assert rows.sum() == 12
    # Position half: rows 24..31 are the slots' heights, which the mask of g0 covers in the velocity half as rows 0..7.
    assert np.array_equal(values[0, 24:26], particle.position[0, :, 0])
    assert np.array_equal(values[0, 0:2], particle.velocity[0, :, 0])


def test_visited_range_and_counts() -> None:
    counts = phys.height_counts(jnp.array([1.0, 1.1, 3.0, 500.0, -2.0]), jnp.array([1.0, 1.0, 1.0, 0.0, 0.0]))
    assert float(counts.sum()) == 3.0
    low, high = phys.visited_range(np.asarray(counts))
    assert low == 1.0 and high == 3.25
    assert phys.visited_range(np.zeros(phys.HEIGHT_BINS)) == (0.0, 0.0)


DRAG = 0.3  # ten times the air's, so that errors of its treatment show


def forced(steps: int, velocity: tuple[float, ...], drag: float = DRAG) -> np.ndarray:
    """Place and velocity [6], (height, x, y) each, after 0.8 s."""
    with jax.enable_x64(True):
        start = phys.Particle(jnp.array([[[4.0, 1.0, -2.0]]]), jnp.array([[velocity]]))
        core = phys.falling(lambda z: jnp.full_like(z, 9.81), phys.force_field("quadratic_drag", jnp.array([drag])))
        end, _ = unroll(core, start, None, 0.8 / steps, steps=steps)
        return np.concatenate([end.position[0, 0], end.velocity[0, 0]])


def test_the_step_with_drag_is_second_order_and_converges_to_the_simulators_flight() -> None:
    pull = Force.of("quadratic_drag", drag=DRAG).acceleration
    flight = ForcedFlight(
        lambda x, v: tuple(a - g for a, g in zip(pull(v), (0.0, 0.0, 9.81), strict=True)),
        (1.0, -2.0, 4.0),
        (1.5, -0.5, 5.0),
        1e-3,
    )
    x, y, z, vx, vy, vz = flight.state(0.8)
    errors = [np.abs(forced(steps, (5.0, 1.5, -0.5)) - (z, x, y, vz, vx, vy)).max() for steps in (16, 32, 64)]
    assert np.allclose(np.log2(np.divide(errors[:-1], errors[1:])), 2.0, atol=0.15), errors
    # At the air's strength and the layer's step, the error is far below a sighting's.
    assert np.abs(forced(16, (5.0, 1.5, -0.5), 0.0436) - forced(1024, (5.0, 1.5, -0.5), 0.0436))[:3].max() < 1e-3


def test_without_a_force_the_layer_is_the_old_one_and_with_a_zero_one_it_agrees() -> None:
    layer, params, visited = layer_of(1)
    drawn = phys.PhysLayer(48, DT, N_MAX, 1, "quadratic_drag")
    h, n = jax.random.normal(jax.random.key(3), (2, 48)), jnp.array([3, 8])
    start = drawn.init(jax.random.key(0), h, n, visited)["params"]
    assert start["force"].shape == (1,) and not np.any(start["force"]) and "force" not in params["params"]

    def phys_of(drag: float) -> np.ndarray:
        values = {"params": {**params["params"], "force": jnp.array([drag])}}
        return np.asarray(jax.jit(drawn.apply)(values, h, n, visited).phys)

    plain = np.asarray(jax.jit(layer.apply)(params, h, n, visited).phys)
    rows = phys.used_rows(8, 1)
    assert np.allclose(phys_of(0.0), plain, atol=1e-5)
    assert np.abs(phys_of(0.3) - plain)[:, rows].max() > 1e-3, "drag moves the used slot"
    assert np.array_equal(phys_of(0.3)[:, ~rows], phys_of(0.0)[:, ~rows]), "and no other"


def test_shooting_through_drag_finds_the_true_velocity_and_the_rounds_converge() -> None:
    force = phys.force_field("quadratic_drag", jnp.array([0.0436]))
    velocity, start, k = jnp.array([[[5.0, 1.0, -1.0]]]), jnp.array([[[3.0, 0.0, 1.0]]]), jnp.array([8])

    def gravity(z):
        return jnp.full_like(z, 9.81)

    core = phys.falling(gravity, force)
    flown, _ = unroll(core, phys.Particle(start, velocity), None, DT, lengths=k, steps=N_MAX)
    errors = [
        float(np.abs(phys.shoot(start, flown.position, k, N_MAX, gravity, DT, rounds, force) - velocity).max())
        for rounds in (1, 2, 4)
    ]
    assert errors[0] > 3 * errors[1] and errors[2] < 1e-4, errors
    plain = phys.shoot(start, flown.position, k, N_MAX, gravity, DT, 4)
    assert np.abs(plain - velocity).max() > 0.05, "a fall without drag must be visibly wrong, or this proves nothing"
