"""Forces of the velocity: flights against closed forms and energy, order, the JAX twin, what is refused."""

from __future__ import annotations

import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.physics.families import Param, params_of
from o2t_jax.physics.forces import FORCES, NO_FORCE, Force, ForceForm, force_of, force_truth
from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.integrators import FLIGHT_STEP_S, ForcedFlight
from o2t_jax.physics.room import jax_twin
from o2t_jax.physics.room.exact import PROJECTILE, Setup, simulate, simulate_states

G0, TERMINAL = 9.81, 15.0
DRAG = Force.of("quadratic_drag", drag=G0 / TERMINAL**2)
EARTH = Gravity.constant(G0)
TIMES = np.array([0.31, 0.0, 0.9, 1.7])


def setup_of(position=(0.0, 0.0, 60.0), velocity=(3.0, -1.0, 6.0), **more) -> Setup:
    more = {"bounces": False, "vanishes": False, **more}
    return Setup(
        radius=np.array([0.3]),
        colour=np.full((1, 3), 0.5),
        position=np.array([position]),
        velocity=np.array([velocity]),
        kind=np.array([PROJECTILE]),
        side=np.array([1]),
        **more,
    )


def test_a_fall_has_the_closed_form_and_ends_at_the_terminal_speed() -> None:
    times = np.array([0.0, 0.4, 1.0, 2.5, 12.0])
    states, _ = simulate_states(setup_of((0.0, 0.0, 200.0), (0.0, 0.0, 0.0)), times, EARTH, force=DRAG)
    phase = G0 * times / TERMINAL
    fallen = TERMINAL**2 / G0 * np.log(np.cosh(phase))
    np.testing.assert_allclose(states[:, 0, 2], 200.0 - fallen, atol=3e-6)
    np.testing.assert_allclose(states[:, 0, 5], -TERMINAL * np.tanh(phase), atol=3e-6)
    assert states[-1, 0, 5] == pytest.approx(-TERMINAL, rel=1e-5)


def test_sideways_motion_decays_as_one_over_time() -> None:
    states, _ = simulate_states(setup_of(velocity=(8.0, 0.0, 0.0)), TIMES, Gravity.constant(0.0), force=DRAG)
    k = DRAG.params[0]
    np.testing.assert_allclose(states[:, 0, 3], 8.0 / (1.0 + k * 8.0 * TIMES), atol=1e-7)
    np.testing.assert_allclose(states[:, 0, 0], np.log1p(k * 8.0 * TIMES) / k, atol=1e-7)


@pytest.mark.parametrize("law", [EARTH, Gravity.hyperbolic(9.5, 9.0)], ids=lambda law: law.law)
def test_energy_falls_by_the_work_of_the_drag(law) -> None:
    times = np.linspace(0.0, 1.5, 3001)
    states, _ = simulate_states(setup_of(), times, law, force=DRAG)
    height, velocity = states[:, 0, 2], states[:, 0, 3:]
    speed = np.linalg.norm(velocity, axis=1)
    energy = 0.5 * speed**2 + law.potential(height)
    power = -DRAG.params[0] * speed**3
    work = np.concatenate([[0.0], np.cumsum(0.5 * (power[1:] + power[:-1]) * np.diff(times))])
    np.testing.assert_allclose(energy - energy[0], work, atol=2e-5)
    assert work[-1] < -1.0


def test_dense_output_is_fourth_order_between_the_grid_points_too() -> None:
    strong = Force.of("quadratic_drag", drag=0.3)

    def pull(x, v):
        ax, ay, az = strong.acceleration(v)
        return ax, ay, az - EARTH.g(x[2])

    def states(step: float) -> np.ndarray:
        flight = ForcedFlight(pull, (0.0, 0.0, 9.0), (6.0, 1.0, 5.0), step)
        return np.array([flight.state(t) for t in (0.13, 0.4, 0.77)])

    fine = states(1e-3)
    errors = np.array([np.abs(states(step) - fine).max(axis=1) for step in (0.1, 0.05, 0.025)])
    assert np.all(np.log2(errors[:-1] / errors[1:]) > 3.5), errors
    assert np.abs(states(FLIGHT_STEP_S) - fine).max() < 2e-5


def test_no_force_is_the_motion_without_one_and_a_zero_force_agrees() -> None:
    plain, seen = simulate_states(setup_of(), TIMES, EARTH)
    zero = Force.of("quadratic_drag", drag=0.0)
    for force in (NO_FORCE, zero):
        states, visible = simulate_states(setup_of(), TIMES, EARTH, force=force)
        assert np.array_equal(states, plain) and np.array_equal(visible, seen)
    faint, _ = simulate_states(setup_of(), TIMES, EARTH, force=Force.of("quadratic_drag", drag=1e-12))
    np.testing.assert_allclose(faint, plain, atol=1e-9)  # another integrator
    slowed, _ = simulate_states(setup_of(), TIMES, EARTH, force=DRAG)
    assert np.abs(slowed - plain).max() > 0.5, "the force must be visible, or this proves nothing"


def test_twin_equals_numpy_and_its_gradient_finite_differences() -> None:
    law = Gravity.hyperbolic(9.5, 9.0)
    setup = setup_of((0.0, 0.0, 4.0))
    with jax.enable_x64(True):
        state = jax_twin.state_from(setup)

        def places(drag):
            return jax_twin.simulate(state, TIMES, law.law, law.params, 2.0, force=DRAG.form, force_params=(drag,))

        run = jax.jit(lambda drag: jax.jvp(places, (drag,), (1.0,)))
        (position, visible), (slope, _) = run(DRAG.params[0])
        ahead, behind = (run(DRAG.params[0] + step)[0][0] for step in (1e-5, -1e-5))
    expected, seen = simulate(setup, TIMES, law, force=DRAG)
    np.testing.assert_allclose(where(seen, position), where(seen, expected), atol=1e-6)
    np.testing.assert_array_equal(visible, seen)
    assert seen.any() and not seen.all()
    difference = (np.asarray(ahead) - np.asarray(behind)) / 2e-5
    np.testing.assert_allclose(where(seen, slope), where(seen, difference), atol=1e-5)


def where(mask, values):
    return np.where(mask[..., None], values, 0.0)


def test_the_acceleration_is_one_arithmetic_for_floats_numpy_and_jax() -> None:
    velocity = np.random.default_rng(0).normal(0.0, 5.0, (3, 7))
    for name in FORCES:
        values = tuple(0.1 + i for i in range(len(FORCES[name].names)))

        def of(v, form=FORCES[name], values=values):
            return form.acceleration(v, values)

        array = np.stack(of(tuple(velocity)))
        assert array.shape == velocity.shape
        np.testing.assert_allclose([of(tuple(map(float, v))) for v in velocity.T], array.T, rtol=1e-12)
        np.testing.assert_allclose(jnp.stack(of(tuple(jnp.asarray(velocity)))), array, rtol=1e-5)
        rest = jax.jacfwd(lambda v, of=of: jnp.stack(of(tuple(v))))(jnp.zeros(3))
        assert np.all(np.isfinite(rest)), "no derivative at rest"


def test_the_configs_world_holds_any_registered_force() -> None:
    defaults = {name: param.default for name, param in params_of(FORCES).items()}
    assert force_of({}) == force_of(defaults) == NO_FORCE and force_truth(defaults) == {}  # a truth.json of before
    world = {**defaults, "force": "quadratic_drag", "drag": 0.04}
    assert force_of(world) == Force.of("quadratic_drag", drag=0.04) == force_of(force_truth(world))
    assert pickle.loads(pickle.dumps(DRAG)) == DRAG and len({DRAG, Force(*DRAG)}) == 1


def test_a_force_of_ones_own_is_one_entry(monkeypatch) -> None:
    rate = Param("rate", 0.0, "a = -rate v, 1/s", least=0.0)
    own = ForceForm("linear_drag", (rate,), lambda velocity, values: tuple(-values[0] * v for v in velocity))
    monkeypatch.setattr(FORCES, "_entries", {**FORCES._entries, "linear_drag": own})
    force = force_of({"force": "linear_drag", "rate": 0.5, "drag": 0.0})
    states, _ = simulate_states(setup_of(velocity=(8.0, 0.0, 0.0)), TIMES, Gravity.constant(0.0), force=force)
    np.testing.assert_allclose(states[:, 0, 3], 8.0 * np.exp(-0.5 * TIMES), rtol=1e-6)


@pytest.mark.parametrize(
    ("world", "says"),
    [
        ({"force": "quadratic_drug"}, "world.force='quadratic_drug' is unknown: did you mean 'quadratic_drag'?"),
        ({"force": "quadratic_drag", "drag": -0.1}, "drag = -0.1 is below its limit of 0.0"),
        ({"force": "quadratic_drag", "drag": math.inf}, "drag = inf is not a finite number"),
        ({"drag": 0.04}, "world.drag=0.04 is not a parameter of world.force=none: remove it, or set"),
    ],
)
def test_a_world_that_fits_no_force_is_refused(world, says) -> None:
    with pytest.raises(UsageError) as refusal:
        force_of(world)
    assert says in str(refusal.value) and "\n" not in str(refusal.value)


def test_contacts_and_the_benchmarks_integrator_have_no_forces() -> None:
    for setup, integrator, says in (
        (setup_of(bounces=True), "exact", "has contacts"),
        (setup_of(vanishes=True), "exact", "has contacts"),
        (setup_of(), "benchmark", "integrator=benchmark has no forces"),
    ):
        with pytest.raises(UsageError, match=says) as refusal:
            simulate(setup, TIMES, EARTH, integrator, DRAG)
        assert "\n" not in str(refusal.value)
    bouncing = jax_twin.state_from(setup_of(bounces=True))
    with pytest.raises(UsageError, match="has contacts"):
        jax_twin.simulate(bouncing, TIMES, "constant", (G0,), 2.0, force=DRAG.form, force_params=DRAG.params)
