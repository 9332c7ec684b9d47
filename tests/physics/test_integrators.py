"""Integrators: orders of convergence, the closed form of ballistics, contacts and apexes."""

import math

import numpy as np
import pytest

from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.integrators import (
    ConstantGravityMotion,
    NystromMotion,
    rkn4_step,
    semi_implicit_euler_step,
)

WORLD = Gravity.hyperbolic(9.5, 60.0)  # steep, so that the error is above rounding
ORDERS = [(semi_implicit_euler_step, 1), (rkn4_step, 4)]


def fly(step, n, duration=1.6):
    z, v = 2.0, 6.0
    for _ in range(n):
        z, v = step(WORLD.g, z, v, duration / n)
    return np.array([z, v])


@pytest.mark.parametrize(("step", "order"), ORDERS, ids=lambda a: getattr(a, "__name__", a))
def test_halving_the_step_shows_the_order(step, order):
    exact = fly(rkn4_step, 1024)
    errors = [np.abs(fly(step, n) - exact).max() for n in (8, 16, 32)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert abs(orders[-1] - order) < 0.35


def test_ballistic_closed_form_in_one_step():
    z, v = rkn4_step(lambda z: 9.81, 1.0, 5.0, 0.7)
    assert z == pytest.approx(1.0 + 5.0 * 0.7 - 0.5 * 9.81 * 0.49, abs=1e-13)
    assert v == pytest.approx(5.0 - 9.81 * 0.7, abs=1e-13)


def test_free_fall_time():
    height = 7.0
    closed = math.sqrt(2 * height / 9.81)
    assert ConstantGravityMotion(9.81, height, 0.0).time_down(math.inf, 0.0) == pytest.approx(closed, rel=1e-14)
    # In g = g0 + s z with s > 0 the motion is z = (h + g0/s) cos(sqrt(s) t) - g0/s.
    g0, s = 9.0, 0.1
    world = Gravity.of("linear", g0=g0, slope=s)
    expected = math.acos((g0 / s) / (height + g0 / s)) / math.sqrt(s)
    assert NystromMotion(world.g, height, 0.0).time_down(5.0, 0.0) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("scale", "drift"), [(1.0, 0.0), (0.8, -0.9), (0.8, 1.5)])
@pytest.mark.parametrize("speed", [-4.0, 0.0, 7.0])
def test_both_flights_find_the_same_contact(scale, drift, speed):
    constant = ConstantGravityMotion(9.81, 3.0, speed)
    stepped = NystromMotion(lambda z: 9.81, 3.0, speed)
    t = constant.time_down(10.0, 0.4, scale, drift)
    assert stepped.time_down(10.0, 0.4, scale, drift) == pytest.approx(t, abs=1e-11)
    assert scale * constant.state(t)[0] + drift * t == pytest.approx(0.4, abs=1e-11)
    assert scale * constant.state(t)[1] + drift < 0.0


def test_apex_is_where_the_speed_vanishes():
    flight = NystromMotion(WORLD.g, 1.0, 8.0)
    assert flight.state(flight.apex(10.0))[1] == pytest.approx(0.0, abs=1e-9)
    assert ConstantGravityMotion(9.81, 1.0, -1.0).apex(10.0) == 0.0


def test_what_stays_above_never_comes_down():
    assert ConstantGravityMotion(0.0, 1.0, 2.0).time_down(math.inf, 0.0) == math.inf
    assert ConstantGravityMotion(9.81, 1.0, 2.0).time_down(3.0, 5.0) == math.inf
    assert NystromMotion(WORLD.g, 1.0, 2.0).time_down(3.0, 5.0) == math.inf


def test_flights_converge_at_fourth_order_between_grid_points_and_at_contacts():
    def numbers(h):
        flight = NystromMotion(WORLD.g, 2.0, 6.0, h)
        landing = flight.time_down(10.0, 0.3)
        return np.array([landing, flight.apex(10.0), *flight.state(0.777), *flight.state(landing)])

    exact = numbers(0.002)
    errors = [np.abs(numbers(h) - exact).max() for h in (0.2, 0.1, 0.05)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (np.abs(orders - 4.0) < 0.5).all()
