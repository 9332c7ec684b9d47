"""Laws fitted to motions that are made here, with the truth known: values, intervals, and honest refusals."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.recorded import drops, oscillations, pendulums, planets
from o2t_jax.evaluation.recorded.intervals import moved_blocks
from o2t_jax.evaluation.recorded.shooting import paths

G = 9.81


def film(length: float, amplitude: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A damped pendulum of that length (m) at 30 frames/s, 600 px/m, with 0.5 px of noise."""
    t = np.arange(240) / 30

    def force(a: np.ndarray, v: np.ndarray, c: np.ndarray) -> np.ndarray:
        return -c[:, 0] * np.sin(a) - c[:, 1] * v

    angle = paths(force, np.array([[G / length, 0.02, amplitude, 0.0]]), t, 0.02)[0]
    points = 600 * length * np.column_stack([np.sin(angle), np.cos(angle)]) + [500.0, -150.0]
    return t, points + np.random.default_rng(seed).normal(0, 0.5, points.shape)


def test_g_from_two_lengths_that_are_both_wrong():
    lengths, swings, periods = [0.60, 0.90], [], []
    for i, length in enumerate(lengths):
        # A ball of 7 cm; the string is 1 cm longer than was measured.
        whole = length + 0.01 + pendulums.SOLID_SPHERE * 0.07**2 / length
        t, points = film(whole, 0.35, i)
        swings.append(pendulums.fit_swing(t, points, draws=300, seed=i))
        periods.append(pendulums.crossing_period(t, points[:, 0]))
    found = pendulums.gravity(lengths, swings, [0.07, 0.07], periods)
    assert found.value.value == pytest.approx(G, rel=4e-3)
    assert found.value.low <= G <= found.value.high
    assert found.with_reading.high - found.with_reading.low > 3 * (found.value.high - found.value.low)
    assert swings[0].damping == pytest.approx(0.02, rel=0.1)
    # One length alone is wrong by the centimetre; small swings by amplitude^2 / 8.
    alone = 4 * np.pi**2 * lengths[0] / swings[0].period ** 2
    assert abs(alone / G - 1) > 0.01
    assert periods[0] > swings[0].period * (1 + 0.2**2 / 16)
    with pytest.raises(UsageError, match="needs two"):
        pendulums.gravity(lengths[:1], swings[:1], [0.07], periods[:1])


def test_what_does_not_swing_is_no_pendulum():
    t = np.arange(200) / 30
    points = np.random.default_rng(0).normal(0, 30, (200, 2))
    with pytest.raises(UsageError, match="not that of a pendulum"):
        pendulums.fit_swing(t, points, draws=10)


def balls(g: float = G) -> list[drops.Drop]:
    """Three kinds of balls, two drops each, with errors as `drops` expects them, at a tenth of their size."""
    rng, found = np.random.default_rng(1), []
    for ball, k in (("iron", 0.002), ("tennis", 0.015), ("foam", 0.05)):
        for start in (47.0, 46.0):
            t = np.arange(46) / 15
            x = np.clip(t - 0.17, 0, None) * np.sqrt(g * k)
            height = start - np.log(np.cosh(x)) / k
            covariance = drops.WANDER**2 * np.exp(-(((t[:, None] - t) / drops.MEMORY) ** 2) / 2)
            noise = rng.multivariate_normal(np.zeros(46), covariance + drops.ROW**2 * np.eye(46), method="cholesky")
            found.append(drops.Drop(ball, t, height + 0.1 * noise, k / (0.5 * drops.AIR * drops.SPHERE)))
    return found


def test_one_g_and_a_drag_for_each_ball():
    found, g = drops.bootstrap(balls(), draws=20)
    assert found.g == pytest.approx(G, rel=0.02)
    assert g.low <= found.g <= g.high
    assert [found.drag[ball] for ball in ("tennis", "foam")] == pytest.approx([0.015, 0.05], rel=0.06)
    known = drops.fit_falls(balls(), spheres=True)
    assert known.g == pytest.approx(G, rel=0.01)
    assert known.coefficient["tennis"] == pytest.approx(drops.SPHERE, rel=0.05)
    with pytest.raises(UsageError, match="at least 8"):
        drops.fit_falls([drops.Drop("short", np.arange(9) / 15, 40 - np.arange(9.0))])


def test_bent_heights_are_told_from_a_fall():
    """A bend of the heights passes for drag, until it is fitted."""
    bent = []
    for drop in balls():
        u = (drop.heights - 5) / 42
        bent.append(drops.Drop(drop.ball, drop.times, drop.heights + 4 * u * (1 - u), drop.area_per_mass))
    plain, fitted = (drops.fit_falls(bent, bent=how) for how in (False, True))
    assert plain.misfit > fitted.misfit + 5
    assert plain.rms > 3 * fitted.rms
    assert fitted.bend > 1


def orbits(p: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions and accelerations [200, 3, 3] of bodies under a law of exponent p that all obey."""
    rng, far = np.random.default_rng(2), np.array([0.4, 1.0, 5.0])
    turn = rng.uniform(0, 2 * np.pi, (200, 3, 1))
    tilt = np.array([0.1, 0.02, -0.05])[:, None]
    place = np.concatenate([np.cos(turn), np.sin(turn), tilt * np.sin(turn)], -1)
    place = place * (far[:, None] * rng.uniform(0.9, 1.1, (200, 3, 1)))
    masses = 3e-4 * np.array([0.01, 0.1, 3.0])
    pulls = np.zeros_like(place)
    for on in range(3):
        r = place[:, on]
        pulls[:, on] -= (1 + masses[on]) * r / np.linalg.norm(r, axis=-1, keepdims=True) ** (p + 1)
        for other in set(range(3)) - {on}:
            s = place[:, other]
            pulls[:, on] += masses[other] * (s - r) / np.linalg.norm(s - r, axis=-1, keepdims=True) ** (p + 1)
            pulls[:, on] -= masses[other] * s / np.linalg.norm(s, axis=-1, keepdims=True) ** (p + 1)
    return place * planets.AU, pulls


@pytest.mark.parametrize("p", [2.0, 1.96])
def test_the_exponent_of_gravity_and_all_masses(p):
    place, pulls = orbits(p)
    law = planets.all_pulling(place, pulls, draws=20)
    assert law.exponent.value == pytest.approx(p, abs=1e-7)
    assert law.gm.value / planets.AU**2 == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(law.masses, 3e-4 * np.array([0.01, 0.1, 3.0]), rtol=1e-3)
    alone = planets.sun_alone(place, pulls, draws=50)
    assert alone.exponent.value == pytest.approx(p, abs=5e-3)
    assert abs(alone.exponent.value - p) > 1e-6  # the others' pull is in it
    assert alone.exponent.low <= alone.exponent.value <= alone.exponent.high


def test_accelerations_of_a_circle():
    step, turn = 86400.0, 2 * np.pi / (88 * 86400)
    angle = turn * step * np.arange(40)
    place = np.stack([np.cos(angle), np.sin(angle), 0 * angle], -1)[:, None] * 5.8e10
    at, pulls = planets.accelerations(place, step, 3)
    np.testing.assert_allclose(pulls, -(turn**2) * at, atol=1e-8 * turn**2 * 5.8e10)
    with pytest.raises(UsageError, match="need 7 rows"):
        planets.accelerations(place[:5], step, 1)


def swing(amplitude: float, noise: float) -> tuple[np.ndarray, np.ndarray]:
    def force(x: np.ndarray, v: np.ndarray, c: np.ndarray) -> np.ndarray:
        return -1.3 * np.sin(x) - 0.03 * v

    t = np.arange(100) / 4
    x = paths(force, np.array([[amplitude, 0.0]]), t, 0.05)[0]
    return t, x + np.random.default_rng(3).normal(0, noise, len(t))


def test_a_pendulum_is_named_where_it_swings_wide_and_not_where_it_does_not():
    t, x = swing(1.3, 0.01)
    wide = oscillations.name_form(t, x, angle=True, most=2, draws=200)
    assert (wide.answer, wide.terms) == ("named", ("v", "sin x"))
    pull = wide.coefficients["sin x"]
    assert pull.low - 2e-3 <= -1.3 <= pull.high + 2e-3
    assert pull.high - pull.low < 0.01
    assert wide.coefficients["v"].value == pytest.approx(-0.03, rel=0.1)
    narrow = oscillations.name_form(*swing(0.2, 0.01), angle=True, most=2, draws=50)
    assert narrow.answer == "cannot tell"
    assert {"v + sin x", "x + v"} <= {" + ".join(narrow.terms), *narrow.rivals}


def test_coefficients_are_in_the_units_of_the_track():
    """A spring in px and ms: x'' = -k x - c v|v|."""

    def force(x: np.ndarray, v: np.ndarray, c: np.ndarray) -> np.ndarray:
        return -6e-6 * x - 2e-4 * v * np.abs(v)

    t = np.arange(100) * 80.0
    x = paths(force, np.array([[120.0, 0.0]]), t, 20.0)[0] + np.random.default_rng(4).normal(0, 0.3, len(t))
    found = oscillations.name_form(t, x, angle=False, most=2, draws=100)
    assert (found.answer, found.terms) == ("named", ("x", "v|v|"))
    assert found.coefficients["x"].value == pytest.approx(-6e-6, rel=2e-3)
    assert found.coefficients["v|v|"].value == pytest.approx(-2e-4, rel=0.08)


def test_paths_follow_the_exact_solution_between_steps():
    def force(x: np.ndarray, v: np.ndarray, c: np.ndarray) -> np.ndarray:
        return -c[:, 0] * x

    t = np.array([0.0, 0.31, 0.32, 1.7, 5.0])
    found = paths(force, np.array([[4.0, 1.0, 0.0], [1.0, 0.0, 2.0]]), t, 0.02)
    np.testing.assert_allclose(found, [np.cos(2 * t), 2 * np.sin(t)], atol=1e-6)


def test_blocks_keep_neighbours_together():
    drawn = moved_blocks(100, 10, 50, 0)
    assert drawn.shape == (50, 100) and drawn.min() >= 0 and drawn.max() < 100
    assert np.mean(np.diff(drawn, axis=1) == 1) > 0.88
    assert len(np.unique(drawn[:, 0])) > 10
