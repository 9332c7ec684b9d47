"""The definitions of state error, valid time, rows, drift and phase error, on motions that are known."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.evaluation.dynamics import conservation, rollouts
from o2t_jax.physics.environment import Layout

LINE = Layout(2, (0,), (1,))
ANGLE = Layout(2, (0,), (1,), angles=(0,))


def test_errors_are_wrapped_and_in_units_of_the_variance():
    truth = np.zeros((1, 2, 2))
    predicted = np.array([[[2 * np.pi + 0.1, 0.2], [np.nan, 0.0]]])
    found = rollouts.errors(ANGLE, predicted, truth, np.array([0.01, 0.04]))
    assert found[0, 0] == pytest.approx(0.5 * (0.01 / 0.01 + 0.04 / 0.04)) and np.isinf(found[0, 1])
    assert rollouts.errors(LINE, predicted, truth, np.ones(2))[0, 0] > 19.0
    spun = np.stack([np.linspace(0, 200 * np.pi, 4001), np.zeros(4001)], axis=-1)  # many turns: uniform angles
    assert rollouts.variance(ANGLE, spun)[0] == pytest.approx(np.pi**2 / 3, rel=1e-2)


def test_valid_time_is_the_median_of_the_first_failure():
    found = np.full((3, 10), 0.1)
    found[0, 2:], found[1, 5], found[2] = 1.0, 1.0, 0.0
    assert rollouts.valid_time(found, 0.5) == pytest.approx(2.5)


def test_the_linear_row_is_exact_for_a_linear_world_and_for_a_turning_one():
    rng = np.random.default_rng(0)
    matrix, push = np.array([[0.9, 0.1], [-0.3, 0.95]]), np.array([[0.0, 0.1]])

    def made(count):
        states, actions = [rng.normal(size=(count, 2))], rng.normal(size=(count, 30, 1))
        for t in range(30):
            states.append(states[-1] @ matrix + actions[:, t] @ push + 0.05)
        return {"states": np.stack(states, axis=1), "actions": actions}

    train, test, scale = made(20), made(5), np.ones(2)
    found = rollouts.rows(LINE, train, test, scale, 0.1)
    assert found["best linear"].max() < 1e-18 < found["persistence"].min()
    # Uniform rotation is linear in cosine and sine, not in the angle with its jump.
    turns = rng.uniform(0, 6, (8, 1)) + 0.5 * np.arange(31)
    spin = {"states": np.stack([turns, np.full_like(turns, 5.0)], axis=-1), "actions": np.zeros((8, 30, 0))}
    assert rollouts.best_linear(ANGLE, spin, spin, scale) is not None
    assert rollouts.rows(ANGLE, spin, spin, scale, 0.1)["best linear"].max() < 1e-12
    assert rollouts.rows(ANGLE, spin, spin, scale, 0.1)["constant velocity"].max() < 1e-12
    canonical = Layout(2, (0,), (1,), canonical=True)
    assert "constant velocity" not in rollouts.rows(canonical, train, test, scale, 0.1)


def test_drift_and_phase_of_an_oscillator():
    """A motion 2% too fast is 2% of a cycle off per cycle; one that grows by 1% in amplitude gains 2% in energy."""
    time = np.linspace(0, 40 * np.pi, 4001)  # 20 cycles
    q, v = np.cos(time)[None], -np.sin(time)[None]
    fast = np.cos(1.02 * time)[None], -np.sin(1.02 * time)[None]
    truth, ours = (conservation.phase(*track, (1.0, 1.0)) for track in ((q, v), fast))
    assert truth[0, -1] - truth[0, 0] == pytest.approx(20.0)
    assert conservation.phase_error(ours, truth) == pytest.approx(0.02, abs=1e-6)
    grown = 0.5 * np.linspace(1.0, 1.01, 4001)[None] ** 2
    assert conservation.energy_drift(grown, spread=0.5) == pytest.approx(0.0201, abs=1e-6)
    assert conservation.energy_drift(np.array([[1.0, np.nan]]), 1.0) == np.inf
