"""Bounces, rotation, approach by size, roll and collisions against motions made by other means; what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.recordings import LAWS
from o2t_jax.evaluation.recordings.approach import in_metres
from o2t_jax.evaluation.recordings.fitting import fit
from o2t_jax.evaluation.recordings.naming import name_law
from o2t_jax.evaluation.recordings.plane import View
from o2t_jax.evaluation.recordings.quantities import Clock, Scale, diameter_scale, measure
from o2t_jax.evaluation.recordings.roll import slope_tells

NOISE, PX = 0.3, 300.0
PLACES = ("uniform motion", "free flight", "free flight with bounces", "rotation with damping", "damped spring")


def noisy(points, seed=0, noise=NOISE):
    return points + np.random.default_rng(seed).normal(0, noise, points.shape)


def named(times, points, sees="place", scale=Scale(1 / PX), laws=None, noise=NOISE):  # noqa: B008
    found = name_law(times, points, np.full(len(times), noise), noise, laws=laws, sees=sees)
    assert found is not None
    return found, measure(found.best, scale, Clock(0.0, ""), tilt=0.0)


def holds(entry, true, factor=1.7):
    """A 99.9 % interval, so that no seed decides."""
    assert entry["value"] - factor * (entry["value"] - entry["low"]) < true, (entry, true)
    assert true < entry["value"] + factor * (entry["high"] - entry["value"]), (entry, true)


def bouncing(times, e=0.75, kept=0.9, g=9.81):
    """Stepped with small steps, each crossing of the floor cut at its instant."""
    place, velocity, now, found = np.array([0.1, 0.8]), np.array([0.6, 0.5]), 0.0, []
    for time in times:
        while now < time:
            step = min(1e-4, time - now)
            place, velocity, now = (
                place + step * velocity - (0, 0.5 * g * step**2),
                velocity - (0, g * step),
                now + step,
            )
            if place[1] < 0 > velocity[1]:
                place, velocity = place * (1, -e), velocity * (kept, -e)
        found.append(place)
    return PX * np.array(found)


def test_bounces_are_one_form_with_one_restitution():
    times = np.arange(100) / 60
    found, told = named(times, noisy(bouncing(times)), laws=PLACES)
    assert found.verdict == "free flight with bounces", found
    assert found.best.kept.mean() > 0.9
    for name, true in (("restitution", 0.75), ("g", 9.81), ("horizontal_speed_kept", 0.9)):
        holds(told.parameters[name], true)
    assert told.parameters["restitution"]["high"] - told.parameters["restitution"]["low"] < 0.02
    no_scale = measure(found.best, Scale(), Clock(0.0, ""))
    assert no_scale.parameters["restitution"]["value"] == pytest.approx(0.75, abs=0.01)
    assert no_scale.parameters["g"]["unit"] == "px/s²"


def test_a_flight_without_a_bounce_is_none_with_bounces():
    times = np.arange(40) / 60
    points = PX * np.stack([times, 2 * times - 4.9 * times**2], 1)
    assert fit(LAWS["free flight with bounces"], times, noisy(points), np.full(40, NOISE)) is None


def test_a_mark_about_a_centre_tells_speed_and_damping():
    times = np.arange(120) / 60
    angle = solve_ivp(lambda _, s: [s[1], -0.8 * s[1]], (0, 2), [0.3, 9.0], t_eval=times, rtol=1e-10).y[0]
    points = PX * (np.array([0.5, 0.4]) + 0.2 * np.stack([np.cos(angle), np.sin(angle)], 1))
    found, told = named(times, noisy(points), laws=PLACES)
    assert found.verdict == "rotation with damping", found
    for name, true in (("angular_speed", 9.0), ("damping", 0.8), ("radius", 0.2)):
        holds(told.parameters[name], true)
    # The vector between two marks turns about 0, wherever the object goes.
    found, told = named(times, noisy(points - PX * np.array([0.5, 0.4])), laws=("rotation with damping",))
    assert np.abs(found.best.values[:2]).max() < 1.0
    # A short arc is any curve.
    assert fit(LAWS["rotation with damping"], times[:9], noisy(points[:9]), np.full(9, NOISE)) is None


def test_the_size_of_what_falls_towards_the_camera_tells_time_to_contact_and_no_metres():
    times = np.arange(40) / 60
    distance = 4.0 - 0.5 * times - 0.5 * 9.81 * times**2
    radii = 800 * 0.1 / distance
    found, told = named(times, noisy(radii[:, None], noise=0.1), "size", Scale(), noise=0.1)
    assert found.verdict == "motion towards the camera"
    holds(told.parameters["acceleration_over_distance"], 9.81 / 4.0)
    holds(told.parameters["time_to_contact"], (-0.5 + np.sqrt(0.25 + 2 * 9.81 * 4.0)) / 9.81)
    assert not any(entry["unit"].startswith(("m", "px")) for entry in told.parameters.values())
    entry = in_metres(told.parameters, (4.0, 0.01))["acceleration"]
    holds(entry, 9.81)
    assert entry["unit"] == "m/s²"
    opened = {name: {**each, "high": None} for name, each in told.parameters.items()}
    assert in_metres(opened, (4.0, 0.01))["speed"]["value"] is None, "an open interval stays open"
    # The same size all the time is no approach.
    assert name_law(times, noisy(np.full((40, 1), 20.0), noise=0.1), np.full(40, 0.1), 0.1, sees="size") is None


@pytest.mark.parametrize(("rolling", "acceleration"), [(1.0, 9.81 * np.sin(0.35) / 1.4), (0.0, 2.0)])
def test_friction_needs_a_scale_a_level_camera_and_the_angle(rolling, acceleration):
    times = np.arange(60) / 60
    way = 0.1 * times + 0.5 * acceleration * times**2
    place = way[:, None] * np.array([np.cos(0.35), -np.sin(0.35)])
    points = PX * np.concatenate([place, rolling * way[:, None]], 1)
    found, told = named(times, noisy(points), "place and turn")
    assert found.verdict == "roll down a slope"
    holds(told.parameters["acceleration"], acceleration)
    holds(told.parameters["rolling"], rolling, 2.5)
    told_by, refused = slope_tells(told.parameters, level=True)
    if rolling:
        assert told_by["inertia_low"] < 0.4 < told_by["inertia_high"] and "rolls without slip" in refused[0]
    else:
        true = np.tan(0.35) - acceleration / (9.81 * np.cos(0.35))
        assert told_by["friction_low"] < true < told_by["friction_high"] and not refused
    _, plain = named(times, noisy(points)[:, :2], laws=("constant acceleration along a line",), scale=Scale())
    nothing, refused = slope_tells(plain.parameters)
    assert not nothing and len(refused) == 3


def test_a_collision_of_two_discs_tells_restitution_and_masses_without_a_scale():
    times, at, slowing = np.arange(60) / 120, 0.22, 0.4
    place, velocity = np.array([[0.5, 0.4], [0.62, 0.45]]), np.array([[1.2, 0.3], [-0.3, 0.0]])
    normal = (place[1] - place[0]) / np.linalg.norm(place[1] - place[0])
    e, mass = 0.8, 1.5
    push = (1 + e) * ((velocity[0] - velocity[1]) @ normal) / (1 + 1 / mass)
    then = velocity + np.array([-push * normal, push / mass * normal])
    points = np.empty((60, 2, 2))
    for disc in (0, 1):
        for i, time in enumerate(times):
            v = velocity[disc] if time < at else then[disc]
            since, speed = time - at, np.linalg.norm(v)
            since = min(since, speed / slowing)
            points[i, disc] = place[disc] + v * since - 0.5 * slowing * since**2 * v / speed
    found, told = named(times, noisy(PX * points.reshape(60, 4), noise=0.1), "two places", Scale(), noise=0.1)
    assert found.verdict == "collision of two discs"
    holds(told.parameters["restitution"], e)
    holds(told.parameters["mass_ratio"], mass)
    assert told.parameters["restitution"]["high"] - told.parameters["restitution"]["low"] < 0.05


def test_a_rolling_shutter_is_told_from_the_shape_of_a_throw():
    """Rows are read over 20 ms: a plain parabola of what is seen is off by far, and the interval holds the truth."""
    height, readout, g = 720, 0.02, 10000.0
    times = np.arange(30) / 30
    moments = times.copy()
    for _ in range(30):  # the instant at which the row of the ball is read
        y = 400 - 4500 * moments + 0.5 * g * moments**2
        moments = times + readout * (y - 359.5) / height
    points = np.stack([500 + 30 * moments, -(400 - 4500 * moments + 0.5 * g * moments**2)], 1)
    rows = (points[:, 1] < 0) & (points[:, 1] > -720)
    times, points = times[rows], noisy(points[rows])
    sigma, law = np.full(len(times), NOISE), LAWS["free flight"]
    plain = fit(law, times, points, sigma, np.ones(len(times), bool))
    view = View((639.5, -359.5), 1280.0, readout=0.4 / 30 / height)
    found = fit(law, times, points, sigma, np.ones(len(times), bool), view)
    assert plain is not None and found is not None
    assert plain.rms > 3 * found.rms and found.rms < 1.5 * NOISE
    assert found.values[-1] * view.readout * height == pytest.approx(readout, rel=0.1)
    holds(measure(found, Scale(), Clock(0.0, "")).parameters["g"], g)


def test_blur_that_makes_a_ball_look_larger_makes_g_too_small():
    """g goes as metres a px: a radius that is larger by half a px is inside the interval, by three it is not."""
    times = np.arange(60) / 60
    points = PX * np.stack([1.5 * times, 2.5 * times - 4.905 * times**2], 1)
    found = fit(LAWS["free flight"], times, noisy(points), np.full(60, NOISE), np.ones(60, bool))
    assert found is not None
    told = [
        measure(found, diameter_scale(0.066, 0.033 * PX + blur), Clock(0.0, "")).parameters["g"]
        for blur in (0.0, 0.5, 3.0)
    ]
    assert told[0]["value"] > told[1]["value"] > told[2]["value"]
    assert told[1]["low"] < 9.81 < told[1]["high"] and told[2]["high"] < 9.81
    with pytest.raises(UsageError, match="give --scale"):
        diameter_scale(0.066, float("nan"))
