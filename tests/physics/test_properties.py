"""Laws that hold for any ball, law and ramp (hypothesis), and the energy error of the benchmark's integrator."""

import math

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.invariants import energy, energy_drift
from o2t_jax.physics.room.exact import PROJECTILE, RAMP, Setup, simulate, simulate_states
from o2t_jax.physics.room.ramp import Ramp, ball_on_ramp, footprint_coordinates, over_ramp, ramp_normal, surface_height

few = settings(deadline=None, max_examples=60, derandomize=True)

laws = st.one_of(
    st.builds(Gravity.constant, st.floats(1.0, 25.0)),
    st.builds(Gravity.hyperbolic, st.floats(5.0, 15.0), st.floats(-10.0, 10.0)),
)
ramps = st.builds(
    Ramp,
    slope=st.floats(10.0, 50.0),
    height=st.floats(1.2, 2.0),
    width=st.floats(2.0, 3.0),
    foot=st.tuples(st.floats(9.0, 11.0), st.floats(-1.0, 1.0)),
    uphill=st.floats(0.0, 360.0),
)
radii = st.floats(0.1, 0.6)
places = st.tuples(st.floats(7.0, 13.0), st.floats(-3.0, 3.0), st.floats(0.0, 8.0))
pushes = st.tuples(st.floats(-5.0, 5.0), st.floats(-5.0, 5.0), st.floats(-6.0, 6.0))


def ball(place, push, radius, ramp=None, kind=PROJECTILE):
    return Setup(
        radius=np.array([radius]),
        colour=np.full((1, 3), 0.5),
        position=np.array([place], float),
        velocity=np.array([push], float),
        kind=np.array([kind]),
        side=np.array([1]),
        ramp=ramp,
        vanishes=False,
    )


def above(place, radius):
    return (*place[:2], place[2] + radius + 0.01)


@few
@given(laws, ramps, radii, places, pushes)
def test_contacts_keep_energy_and_stay_out_of_the_ground(law, ramp, radius, place, push):
    states, _ = simulate_states(ball(above(place, radius), push, radius, ramp), np.linspace(0.0, 3.0, 60), law)
    assert energy_drift(energy(states[:, 0, :3], states[:, 0, 3:], law)) < 1e-6
    assert states[:, 0, 2].min() >= radius - 1e-9


@few
@given(laws, ramps, radii, places, pushes, st.floats(0.0, 1.5), st.floats(0.0, 1.5))
def test_stopping_on_the_way_changes_nothing(law, ramp, radius, place, push, first, second):
    setup = ball(above(place, radius), push, radius, ramp)
    states, _ = simulate_states(setup, np.array([first, first + second]), law)
    assume(states[0, 0, 2] > radius + 1e-6)  # not in the middle of a contact
    onward = setup._replace(position=states[0, :, :3], velocity=states[0, :, 3:])
    again, _ = simulate_states(onward, np.array([second]), law)
    np.testing.assert_allclose(again[0], states[1], atol=2e-5)


@few
@given(laws, radii, places, pushes, st.floats(0.0, 360.0))
def test_turning_the_room_turns_the_motion(law, radius, place, push, angle):
    ramp = Ramp(30.0, 1.6, 2.5, (10.0, 0.0), 40.0)
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    setup = ball(above(place, radius), push, radius, ramp)
    foot = turn @ [*ramp.foot, 0.0]
    turned = setup._replace(
        position=setup.position @ turn.T,
        velocity=setup.velocity @ turn.T,
        ramp=ramp._replace(foot=(foot[0], foot[1]), uphill=ramp.uphill + angle),
    )
    times = np.linspace(0.0, 2.0, 9)
    np.testing.assert_allclose(simulate(turned, times, law)[0], simulate(setup, times, law)[0] @ turn.T, atol=1e-6)


@few
@given(laws, radii, places, pushes)
def test_time_runs_backwards_as_well(law, radius, place, push):
    setup = ball(above(place, radius), push, radius)
    states, _ = simulate_states(setup, np.array([1.7]), law)
    assume(states[0, 0, 2] > radius + 1e-6)
    back = setup._replace(position=states[0, :, :3], velocity=-states[0, :, 3:])
    home, _ = simulate_states(back, np.array([1.7]), law)
    np.testing.assert_allclose(home[0, :, :3], setup.position, atol=2e-5)


@few
@given(ramps, radii, st.floats(0.5, 0.95), st.floats(-0.5, 0.5), laws)
def test_a_rolling_ball_stays_one_radius_off_the_surface(ramp, radius, fraction, across, law):
    start = ball_on_ramp(ramp, radius, fraction, across)
    normal, foot = ramp_normal(ramp), np.array([*ramp.foot, 0.0])
    assert abs((start - foot) @ normal - radius) < 1e-9
    along = fraction * ramp.height / math.sin(math.radians(ramp.slope))
    share = 5.0 / 7.0 * math.sin(math.radians(ramp.slope))
    # Somewhat less than the time to the foot, whatever the heights on the way.
    times = np.linspace(
        0.0, 0.95 * math.sqrt(2.0 * along / (share * law.g(0.0) + share * max(law.g(3.0) - law.g(0.0), 0.0))), 7
    )
    states, _ = simulate_states(ball(start, (0.0, 0.0, 0.0), radius, ramp, RAMP), times, law)
    np.testing.assert_allclose((states[:, 0, :3] - foot) @ normal, radius, atol=1e-9)
    np.testing.assert_allclose(footprint_coordinates(ramp, states[:, 0])[1], across, atol=1e-9)
    assert (np.diff(states[:, 0, 2]) < 0).all()
    assert energy_drift(energy(states[:, 0, :3], states[:, 0, 3:], law, rolling=True)) < 1e-7


@few
@given(ramps, st.floats(0.02, 0.98), st.floats(-0.49, 0.49))
def test_surface_height_is_where_a_tiny_ball_lies(ramp, fraction, share):
    point = ball_on_ramp(ramp, 1e-9, fraction, share * ramp.width)
    assert over_ramp(ramp, point)
    np.testing.assert_allclose(surface_height(ramp, point), point[2], atol=1e-6)
    beside = ball_on_ramp(ramp, 1e-9, fraction, 0.51 * ramp.width)
    assert surface_height(ramp, beside) == 0.0


def test_a_ball_that_enters_the_wedge_by_its_side_passes_through():
    ramp = Ramp(30.0, 1.6, 2.5, (10.0, 0.0), 0.0)
    setup = ball((12.0, -4.0, 0.3), (0.0, 3.0, 0.0), 0.2, ramp)
    times = np.linspace(0.0, 2.5, 26)
    for integrator in ("exact", "benchmark"):
        inside, _ = simulate(setup, times, Gravity.constant(9.81), integrator)
        free, _ = simulate(setup._replace(ramp=None), times, Gravity.constant(9.81), integrator)
        np.testing.assert_allclose(inside, free, atol=1e-9)


def test_a_ball_at_rest_stays_at_rest():
    times = np.linspace(0.0, 3.0, 7)
    for ramp in (None, Ramp(30.0, 1.6, 2.5, (10.0, 0.0), 0.0)):
        position, _ = simulate(ball((10.05, 0.0, 0.2), (0, 0, 0), 0.2, ramp), times, Gravity.hyperbolic(9.5, 5.0))
        np.testing.assert_allclose(position[:, 0, 2], 0.2, atol=1e-12)


def test_benchmark_bounces_disturb_the_energy_as_predicted():
    """Euler steps conserve v^2/2 + g z - g v h/2 between contacts; a bounce changes it by +-g v h, evenly spread."""
    g, h, rng = 9.81, 0.0005, np.random.default_rng(0)
    jumps = []
    for height in rng.uniform(0.2, 0.6, 120):
        setup = ball((10.0, 0.0, 0.3 + height), (0.0, 0.0, 0.0), 0.3)
        landing = math.sqrt(2 * height / g)
        states, _ = simulate_states(setup, np.array([0.5, 1.5]) * landing, Gravity.constant(g), "benchmark")
        kept = 0.5 * states[:, 0, 5] ** 2 + g * states[:, 0, 2] - 0.5 * g * h * states[:, 0, 5]
        jumps.append((kept[1] - kept[0]) / (g * math.sqrt(2 * g * height) * h))
    assert np.abs(jumps).max() < 1.05
    assert abs(np.mean(jumps)) < 0.2
    assert abs(np.std(jumps) - 1 / math.sqrt(3)) < 0.12
