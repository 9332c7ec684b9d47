"""Measures of roll-outs of discs, the law of a collision, a hidden mass: against cases with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.evaluation.discs import impulse, masses, metrics

SPEED = 60.0
MOVES = np.ones((1, 2), bool)


def turned(velocity: np.ndarray, degrees: float) -> np.ndarray:
    a = np.deg2rad(degrees)
    return velocity @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])


def test_cosine_is_that_of_the_angle_and_magnitude_that_of_the_speed() -> None:
    truth = np.array([[[[10.0, 0.0], [0.0, 20.0]]]])
    found = metrics.follow(1.1 * turned(truth, 30.0), truth, MOVES, SPEED)
    assert found.cosine[0, 0] == pytest.approx(np.cos(np.deg2rad(30.0)))
    assert found.magnitude[0, 0] == pytest.approx(0.1)


def test_slow_discs_have_no_direction() -> None:
    truth = np.array([[[[10.0, 0.0], [0.0, 0.5]]]])
    predicted = np.array([[[[10.0, 0.0], [0.0, -0.5]]]])
    assert metrics.follow(predicted, truth, MOVES, SPEED).cosine[0, 0] == pytest.approx(1.0)
    assert np.isnan(metrics.follow(truth, 0.0 * truth, MOVES, SPEED).cosine[0, 0])


def test_obstacles_are_not_counted() -> None:
    truth = np.array([[[[10.0, 0.0], [0.0, 20.0]]]])
    predicted = truth * [[1.0], [-1.0]]
    assert metrics.follow(predicted, truth, np.array([[True, False]]), SPEED).cosine[0, 0] == pytest.approx(1.0)


def test_the_share_of_the_way_has_no_value_below_the_idle_row() -> None:
    assert metrics.share_of_way(0.8, 0.4, 0.9) == pytest.approx(0.8)
    assert np.isnan(metrics.share_of_way(0.8, 0.4, 0.4))


def test_hits_in_order_end_at_the_first_wrong_one() -> None:
    a, b, c = frozenset({0}), frozenset({1}), frozenset({0, 1})
    assert metrics.right_in_order([[a, b, c]], [[a, b, c]])[0] == 3
    assert metrics.right_in_order([[a, c, c]], [[a, b, c]])[0] == 1
    assert metrics.right_in_order([[]], [[a]])[0] == 0
    assert metrics.right_in_order([[a, b]], [[a]])[0] == 1


def test_hits_are_seen_in_a_track() -> None:
    velocity = np.zeros((1, 5, 2, 2))
    velocity[0, 2:, 0, 0] = 10.0
    velocity[0, 4:, :, 1] = 5.0
    velocity[0, 1, 1, 0] = 0.5 * metrics.HIT * SPEED
    assert metrics.hits_of(velocity, MOVES, SPEED) == [[frozenset({0}), frozenset({0, 1})]]


def test_drift_is_the_largest_change_of_energy() -> None:
    velocity = np.ones((1, 3, 2, 2))
    velocity[0, 1] *= np.sqrt(1.2)
    energies = metrics.energy(velocity, np.array([[1.0, 5.0]]), MOVES)
    assert energies[0, 0] == pytest.approx(6.0)
    assert metrics.drift(energies) == pytest.approx(0.2)


def hits(count: int, e: float, power: float, noise: float, seed: int = 0) -> impulse.Hits:
    """Two discs of masses 1, 5, 25 each that collide with J = (1 + e) m_r v_n^power, and noise on the impulse."""
    rng = np.random.default_rng(seed)
    mass, radius = rng.choice([1.0, 5.0, 25.0], (count, 2)), np.full((count, 2), 60.0)
    way = rng.uniform(0, 2 * np.pi, count)
    line = np.stack([np.cos(way), np.sin(way)], axis=1)
    place = np.zeros((count, 2, 2))
    place[:, 1] = 120.0 * line
    velocity = rng.uniform(-60, 60, (count, 2, 2))
    velocity[np.sum((velocity[:, 0] - velocity[:, 1]) * line, axis=1) < 0] *= -1
    before = place - velocity * rng.uniform(0.01, 0.1, count)[:, None, None]
    closing = np.sum((velocity[:, 0] - velocity[:, 1]) * line, axis=1)
    size = (1 + e) / np.sum(1 / mass, axis=1) * closing**power * (1 + noise * rng.normal(size=count))
    after = velocity + np.stack([-1 / mass[:, 0], 1 / mass[:, 1]], axis=1)[..., None] * (size[:, None] * line)[:, None]
    return impulse.hits_of(before, velocity, after, mass, radius, 60.0)


@pytest.mark.parametrize("e", [1.0, 0.8])
def test_the_law_of_a_collision_is_read_from_exact_hits(e: float) -> None:
    law = impulse.fit(hits(500, e, 1.0, 0.0))
    assert law["restitution"]["value"] == pytest.approx(e, abs=1e-6)
    assert law["exponent of speed"]["value"] == pytest.approx(1.0, abs=1e-6)
    assert law["exponent of mass"]["value"] == pytest.approx(1.0, abs=1e-6)
    assert law["missed"]["value"] == 0.0


def test_its_intervals_hold_the_truth_and_another_law_is_told() -> None:
    law = impulse.fit(hits(800, 1.0, 1.0, 0.05))
    for name, truth in (("restitution", 1.0), ("exponent of speed", 1.0), ("exponent of mass", 1.0)):
        assert law[name]["low"] <= truth <= law[name]["high"], name
        assert law[name]["high"] - law[name]["low"] < 0.05
    other = impulse.fit(hits(800, 1.0, 0.8, 0.05))["exponent of speed"]
    assert other["low"] <= 0.8 <= other["high"]


def test_equal_masses_have_no_exponent_of_mass() -> None:
    all_hits = hits(400, 1.0, 1.0, 0.01)
    equal = all_hits.reduced == all_hits.reduced[0]
    assert "exponent of mass" not in impulse.fit(impulse.Hits(*(x[equal] for x in all_hits)))


def test_single_hits_leave_out_windows_with_more() -> None:
    scenes = {
        "position": np.zeros((1, 3, 3, 2)),
        "velocity": np.zeros((1, 3, 3, 2)),
        "present": np.ones((1, 3), bool),
        "mass": np.ones((1, 3)),
        "radius": np.full((1, 3), 5.0),
        "hits": np.zeros((1, 2, 3, 4), np.uint8),
    }
    scenes["position"][0, :, 1, 0], scenes["position"][0, :, 2, 0] = 11.0, 500.0
    scenes["velocity"][0, :, 0, 0] = 30.0
    scenes["hits"][0, 1, 0, 1] = scenes["hits"][0, 1, 1, 0] = 1
    after = np.array([[[0.0, 0.0], [30.0, 0.0], [0.0, 0.0]]])
    found = impulse.single_hits(scenes, after, 60.0)
    np.testing.assert_allclose(found.impulse, [30.0])
    np.testing.assert_allclose(found.closing, [30.0])
    scenes["hits"][0, 1, 1, 3] = 1  # disc 1 meets a wall as well
    assert len(impulse.single_hits(scenes, after, 60.0).impulse) == 0


def test_a_mass_is_told_by_the_least_error_and_ties_count_in_part() -> None:
    errors = np.array([[0.0, 1.0, 2.0], [3.0, 1.0, 2.0], [0.5, 0.5, 0.5]])
    told = masses.tell(errors, np.array([0, 2, 1]), 0.5)
    np.testing.assert_allclose(told.right, [1.0, 0.0, 1 / 3])
    np.testing.assert_allclose(told.posterior.sum(axis=1), 1.0)
    np.testing.assert_allclose(told.posterior[0] / told.posterior[0, 0], np.exp([0.0, -1.0, -2.0]))


def test_rows_by_hits() -> None:
    errors = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    truth, number = np.array([0, 0, 0]), np.array([0, 1, 4])
    told = masses.tell(errors, truth, 0.5)
    rows = {row["hits"]: row for row in masses.by_hits(told, told, truth, number)}
    assert rows["1"]["accuracy"] == 0.0 and rows["3 and more"]["accuracy"] == 1.0
    assert rows["all"]["accuracy"] == pytest.approx(2 / 3) and rows["1 and more"]["scenes"] == 2


def test_a_ratio_is_drawn_by_scenes() -> None:
    idle = np.random.default_rng(1).uniform(0.5, 1.5, 400)
    same = metrics.drawn_ratios(0.1 * idle, idle)
    assert same == pytest.approx(0.1)  # errors and the idle row's are drawn together
    rare = np.where(np.arange(400) == 7, 40.0, 0.0)  # one scene carries all: it is drawn 0, 1, 2 ... times
    drawn = metrics.drawn_ratios(rare, idle)
    assert np.mean(drawn < 1e-9) == pytest.approx(np.exp(-1), abs=0.05) and np.quantile(drawn, 0.975) > 0.2
