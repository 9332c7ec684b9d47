"""Balls in the room: falls, bounces, rolling, the ramp's reflections, vanishing, and the benchmark's integrator."""

import math

import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.invariants import energy, energy_drift
from o2t_jax.physics.room.exact import FALL, PROJECTILE, RAMP, Setup, simulate, simulate_states
from o2t_jax.physics.room.ramp import Ramp, ball_on_ramp, ramp_normal

G = 9.81
CONSTANT = Gravity.constant(G)
LAW = Gravity.hyperbolic(9.5, 9.0)
SLOPE = Ramp(slope=30.0, height=1.6, width=2.5, foot=(8.0, 0.0), uphill=60.0)
WORLDS = pytest.mark.parametrize("world", [CONSTANT, LAW], ids=["constant", "hyperbolic"])


def one_ball(position, velocity=(0.0, 0.0, 0.0), radius=0.4, kind=PROJECTILE, ramp=None, **more):
    side = 1 if position[0] > 0 else -1
    as_array = lambda a: np.array([a], float)  # noqa: E731
    return Setup(
        radius=as_array(radius),
        colour=np.full((1, 3), 0.5),
        position=as_array(position),
        velocity=as_array(velocity),
        kind=np.array([kind]),
        side=np.array([side]),
        ramp=ramp,
        **more,
    )


def above_ramp(height=5.0, fraction=0.5):
    """A ball to be dropped on the middle of the ramp."""
    return np.array([*ball_on_ramp(SLOPE, 0.4, fraction)[:2], height])


@pytest.mark.parametrize("integrator", ["exact", "benchmark"])
def test_shapes_and_order_of_times(integrator):
    setup = one_ball((6.0, 1.0, 5.0), (1.0, 0.5, 2.0))
    times = np.array([1.3, 0.0, 0.4, 1.3])
    position, visible = simulate(setup, times, LAW, integrator)
    assert position.shape == (4, 1, 3)
    assert position.dtype == np.float64
    assert visible.shape == (4, 1)
    assert visible.dtype == bool
    np.testing.assert_array_equal(position[0], position[3])
    np.testing.assert_allclose(position[1, 0], [6.0, 1.0, 5.0])
    for i, t in enumerate(times):  # a time's position does not depend on the other requested times
        np.testing.assert_allclose(simulate(setup, np.array([t]), LAW, integrator)[0][0], position[i], atol=1e-8)


def test_throw_in_closed_form_before_and_after_a_bounce():
    setup = one_ball((5.0, 0.0, 2.0), (1.0, -2.0, 3.0))
    landing = (3.0 + math.sqrt(9.0 + 2 * G * 1.6)) / G
    speed = math.sqrt(9.0 + 2 * G * 1.6)
    times = np.array([0.3, landing + 0.2])
    position, _ = simulate(setup, times, CONSTANT)
    heights = [2.0 + 0.9 - 0.5 * G * 0.09, 0.4 + speed * 0.2 - 0.5 * G * 0.04]
    expected = np.stack([5.0 + times, -2.0 * times, heights], axis=1)
    np.testing.assert_allclose(position[:, 0], expected, atol=1e-12)


def test_a_ball_is_back_at_rest_after_one_whole_bounce():
    fall = math.sqrt(2 * 6.0 / G)
    states, _ = simulate_states(one_ball((5.0, 0.0, 6.4), kind=FALL), np.array([fall, 2 * fall]), CONSTANT)
    assert states[0, 0, 2] == pytest.approx(0.4, abs=1e-9)
    assert states[1, 0, 2] == pytest.approx(6.4, abs=1e-9)


@WORLDS
def test_energy_over_many_bounces(world):
    setup = one_ball((5.0, 0.0, 4.0), (0.0, 0.1, 3.0))
    states, _ = simulate_states(setup, np.linspace(0.0, 60.0, 200), world)
    assert states[:, 0, 2].min() >= 0.4 - 1e-9
    assert energy_drift(energy(states[:, 0, :3], states[:, 0, 3:], world)) < 1e-7


@WORLDS
def test_rolling_acceleration_and_spin(world):
    start = ball_on_ramp(SLOPE, 0.4, 0.9)
    setup = one_ball(start, kind=RAMP, ramp=SLOPE)
    times = np.array([0.0, 0.05, 0.3, 0.6])
    states, visible = simulate_states(setup, times, world)
    assert visible.all()
    along = np.linalg.norm(states[:, 0, :3] - start, axis=1)
    assert along[1] == pytest.approx(0.5 * 5 / 7 * world.g(start[2]) * 0.5 * 0.05**2, rel=1e-3)
    np.testing.assert_allclose((states[:, 0, :3] - start) @ ramp_normal(SLOPE), 0.0, atol=1e-12)
    assert energy_drift(energy(states[:, 0, :3], states[:, 0, 3:], world, rolling=True)) < 1e-8


def test_a_ball_rolls_to_the_foot_and_hops_on():
    setup = one_ball(ball_on_ramp(SLOPE, 0.4, 0.9), kind=RAMP, ramp=SLOPE)
    times = np.linspace(0.0, 2.5, 2501)
    states, _ = simulate_states(setup, times, CONSTANT)
    # At the foot the point of contact is at height 0, so the centre is at r cos(slope): 5/7 g sin all the way there.
    length = 0.9 * SLOPE.height / math.sin(math.radians(30.0))
    foot = math.sqrt(2 * length / (5 / 7 * G * 0.5))
    last = int(foot / 0.001)
    assert states[last, 0, 2] == pytest.approx(0.4 * math.cos(math.radians(30.0)), abs=5e-3)
    after = states[last + 2 :, 0]
    assert after[:, 2].min() >= 0.4 - 1e-9
    downhill = -np.array([math.cos(math.radians(60.0)), math.sin(math.radians(60.0))])
    speed = 5 / 7 * G * 0.5 * foot
    np.testing.assert_allclose(after[:, 3:5] @ downhill, speed * math.cos(math.radians(30.0)), rtol=1e-9)
    assert after[0, 5] == pytest.approx(speed * 0.5, abs=0.03)  # the vertical part, turned upwards
    assert energy_drift(energy(after[:, :3], after[:, 3:], CONSTANT)) < 1e-7


@WORLDS
def test_ramp_reflection_keeps_speed_and_turns_the_normal_part(world):
    setup = one_ball(above_ramp(), (0.2, 0.1, -1.0), kind=PROJECTILE, ramp=SLOPE)
    normal = ramp_normal(SLOPE)
    foot = np.array([*SLOPE.foot, 0.0])
    times = np.linspace(0.0, 1.0, 20001)
    states, _ = simulate_states(setup, times, world)
    gap = (states[:, 0, :3] - foot) @ normal - 0.4
    hit = int(np.argmin(gap))
    assert gap[hit] >= -1e-9
    assert gap[hit] < 1e-3
    before, after = states[hit - 2, 0, 3:], states[hit + 2, 0, 3:]
    mirrored = before - 2.0 * (before @ normal) * normal
    np.testing.assert_allclose(after, mirrored, atol=5e-3)  # gravity's share over 4 steps of 50 us
    assert energy_drift(energy(states[:, 0, :3], states[:, 0, 3:], world)) < 1e-6


def test_a_ramp_out_of_the_way_changes_nothing():
    near = one_ball((5.0, 15.0, 3.0), (-0.5, 1.0, 4.0))
    times = np.linspace(0.0, 3.0, 40)
    free, _ = simulate(near, times, LAW)
    beside, _ = simulate(near._replace(ramp=SLOPE), times, LAW)
    np.testing.assert_allclose(beside, free, atol=1e-9)


def test_vanishing_at_the_middle_and_at_the_walls():
    times = np.array([0.0, 1.9, 2.1, 50.0])
    setup = one_ball((2.0, 0.0, 3.0), (-1.0, 0.0, 0.0))
    assert simulate(setup, times, CONSTANT)[1][:, 0].tolist() == [True, True, False, False]
    assert simulate(setup._replace(vanishes=False), times, CONSTANT)[1].all()
    wall = one_ball((5.0, 98.0, 3.0), (0.0, 1.0, 0.0))
    assert simulate(wall, times, CONSTANT)[1][:, 0].tolist() == [True, True, False, False]


def test_without_bounces_a_ball_is_gone_below_the_ground():
    setup = one_ball((5.0, 0.0, 1.0), bounces=False, radius=0.3)
    landing = math.sqrt(2 * 0.7 / G)
    _, visible = simulate(setup, np.array([0.0, landing - 1e-3, landing + 1e-3, 9.0]), CONSTANT)
    assert visible[:, 0].tolist() == [True, True, False, False]


def test_benchmark_is_exact_motion_with_the_velocity_half_a_step_off():
    h = 0.0005
    setup = one_ball((5.0, 1.0, 6.0), (0.4, 0.2, 3.0))
    times = np.array([100, 800, 1600]) * h
    shifted = setup._replace(velocity=setup.velocity - np.array([0, 0, G * h / 2]))
    position, _ = simulate(setup, times, CONSTANT, "benchmark")
    np.testing.assert_allclose(position, simulate(shifted, times, CONSTANT)[0], atol=1e-9)
    assert np.abs(position - simulate(setup, times, CONSTANT)[0]).max() > 1e-4  # and not the unshifted one


@pytest.mark.parametrize("scene", ["bounce", "roll", "hit"])
def test_benchmark_and_exact_motion_stay_close(scene):
    setup = {
        "bounce": one_ball((5.0, 1.0, 3.0), (0.4, 0.2, 3.0)),
        "roll": one_ball(ball_on_ramp(SLOPE, 0.4, 0.8), kind=RAMP, ramp=SLOPE),
        "hit": one_ball(above_ramp(), kind=FALL, ramp=SLOPE),
    }[scene]
    times = np.linspace(0.0, 1.4, 15)
    exact, coarse = (simulate(setup, times, LAW, name) for name in ("exact", "benchmark"))
    np.testing.assert_allclose(coarse[0], exact[0], atol=0.02)
    np.testing.assert_array_equal(coarse[1], exact[1])


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_bad_times_are_refused(bad):
    with pytest.raises(UsageError, match="time"):
        simulate(one_ball((5.0, 0.0, 3.0)), np.array([0.1, bad]), CONSTANT)


def test_unknown_integrator_and_missing_ramp_are_refused():
    with pytest.raises(UsageError, match="benchmark"):
        simulate(one_ball((5.0, 0.0, 3.0)), np.array([0.1]), CONSTANT, "rk45")
    with pytest.raises(UsageError, match="ramp"):
        simulate(one_ball((5.0, 0.0, 3.0), kind=RAMP), np.array([0.1]), CONSTANT)


def test_below_the_ground_g_stays_as_it_is_there():
    """A flight without contacts may pass the law's pole at -10 m; its numbers must stay finite."""
    setup = one_ball((5.0, 0.0, 2.0), bounces=False, vanishes=False)
    times = np.array([0.3, 2.0, 5.0])
    for integrator, atol in (("exact", 1e-2), ("benchmark", 5e-2)):
        states, _ = simulate_states(setup, times, LAW, integrator)
        below = states[1:, 0]
        ground = LAW.g(0.0)
        assert below[1, 5] - below[0, 5] == pytest.approx(-3.0 * ground, rel=1e-9)
        fallen = below[0, 2] + 3.0 * below[0, 5] - 4.5 * ground
        assert below[1, 2] == pytest.approx(fallen, abs=atol)
        assert energy_drift(energy(states[:, 0, :3], states[:, 0, 3:], LAW)) < atol
