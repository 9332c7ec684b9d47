"""Roll-outs of several models: intervals over scenes, the ceilings they are measured by, what a figure shows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from o2t_jax.evaluation.discs import metrics
from o2t_jax.evaluation.discs.rollouts import CEILING, IDLE, Rollouts

SPEED, STEPS = 60.0, 12


def turned(velocity: np.ndarray, degrees: np.ndarray | float) -> np.ndarray:
    a = np.deg2rad(degrees)
    x, y = velocity[..., 0], velocity[..., 1]
    return np.stack([np.cos(a) * x - np.sin(a) * y, np.sin(a) * x + np.cos(a) * y], axis=-1)


@pytest.fixture(scope="module")
def rolled() -> Rollouts:
    """One disc a scene that turns by 6 degrees a step; models that are off by 10, and by 20 in half of the scenes."""
    start = np.zeros((8, 1, 1, 2))
    start[..., 0] = np.linspace(20.0, 50.0, 8)[:, None, None]
    truth = turned(np.repeat(start, STEPS + 1, axis=1), 6.0 * np.arange(STEPS + 1)[:, None])
    wide = np.where(np.arange(8) % 2, 20.0, -20.0)[:, None, None]
    models = {"near": 1.2 * turned(truth[:, 1:], 10.0), "wide": turned(truth[:, 1:], np.maximum(wide, 0.0))}
    ceilings = {f"{CEILING} of near": truth, f"{CEILING} of wide": turned(truth, 5.0)}
    of = {name: f"{CEILING} of {name}" for name in models}
    return Rollouts(truth, models, ceilings, of, np.ones((8, 1), bool), np.ones((8, 1)), SPEED)


def cosine(degrees: float) -> float:
    return float(np.cos(np.deg2rad(degrees)))


def test_an_interval_is_that_of_the_mean_over_scenes(rolled) -> None:
    near, wide = (rolled.interval(name, "cosine") for name in ("near", "wide"))
    np.testing.assert_allclose(near.mean, cosine(10.0))
    np.testing.assert_allclose(near.high - near.low, 0.0, atol=1e-6)
    np.testing.assert_allclose(wide.mean, (1 + cosine(20.0)) / 2)
    half = 1.96 * (1 - cosine(20.0)) / 2 * np.sqrt(8 / 7) / np.sqrt(8)
    np.testing.assert_allclose(wide.high - wide.mean, half)
    np.testing.assert_allclose(rolled.interval("near", "magnitude").mean, 0.2)
    # Constant velocity is as far behind as the truth has turned.
    np.testing.assert_allclose(rolled.interval(IDLE, "cosine").mean, [cosine(6.0 * t) for t in range(1, STEPS + 1)])


def test_nan_scenes_are_left_out_and_a_lone_one_has_no_interval() -> None:
    found = metrics.interval(np.array([[1.0, np.nan, np.nan], [3.0, 2.0, np.nan]]))
    np.testing.assert_array_equal(found.mean, [2.0, 2.0, np.nan])
    np.testing.assert_allclose(found.high, [2.0 + 1.96, np.nan, np.nan])


def test_a_prediction_that_runs_away_is_not_left_out() -> None:
    truth = np.full((1, 2, 2, 2), 10.0)
    predicted = truth.astype(np.float32)
    predicted[0, 0, 0], predicted[0, 1, 0] = np.nan, 3e38
    found = metrics.follow(predicted, truth, np.ones((1, 2), bool), SPEED)
    np.testing.assert_allclose(found.cosine, [[0.5, 1.0]])
    assert np.isinf(found.magnitude[0, 0]) and 1e30 < found.magnitude[0, 1] < np.inf
    assert np.isinf(metrics.interval(found.magnitude).mean[0])
    assert np.isfinite(metrics.energy(predicted[:, 1:], np.ones((1, 2)), np.ones((1, 2), bool))).all()


def test_each_model_has_its_own_ceiling(rolled) -> None:
    last = cosine(6.0 * STEPS)
    assert rolled.share("near") == pytest.approx((cosine(10.0) - last) / (1.0 - last))
    assert rolled.share("wide") == pytest.approx(((1 + cosine(20.0)) / 2 - last) / (cosine(5.0) - last))
    curve = rolled.curve("wide", "cosine")
    assert set(curve.baselines) == {IDLE, f"{CEILING} of wide"} and curve.method == "wide"
    np.testing.assert_allclose(curve.baselines[f"{CEILING} of wide"], cosine(5.0))


def test_hits_of_a_ceiling_are_counted_from_its_own_start(rolled) -> None:
    """Every disc turns in every step; the start of a ceiling is noise, and no hit."""
    straight = np.repeat(rolled.truth[:, :1], STEPS + 1, axis=1)
    noisy = dict.fromkeys(rolled.ceilings, straight + 5.0)
    own = dataclasses.replace(rolled, ceilings=noisy | {f"{CEILING} of near": rolled.truth})
    assert own.hits_in_order(f"{CEILING} of near") == STEPS == own.hits_in_order("wide")
    assert own.hits_in_order(f"{CEILING} of wide") == 0.0 == own.hits_in_order(IDLE)
    assert own.energy_drift(f"{CEILING} of wide") == pytest.approx(0.0)


def test_rows_and_lines_hold_every_method_at_every_step(rolled) -> None:
    rows = rolled.table().rows
    assert len(rows) == 5 * 2 * STEPS
    found = {(row["method"], row["measure"], row["frames ahead"]): row for row in rows}
    assert found["near", "speed error", 3]["mean"] == pytest.approx(0.2)
    assert found["wide", "cosine", STEPS]["low"] < found["wide", "cosine", STEPS]["mean"]
    columns, horizons = rolled.horizons()
    assert list(columns) == ["method", "cosine t+10", "speed t+10"]
    assert horizons[2] == {"method": IDLE, "cosine t+10": pytest.approx(cosine(60.0)), "speed t+10": pytest.approx(0.0)}
    left, right = rolled.figure().axes
    drawn = {line.get_label(): np.asarray(line.get_xydata()) for line in left.get_lines()}
    assert set(drawn) == {"near", "wide", IDLE, *rolled.ceilings}
    np.testing.assert_allclose(drawn[IDLE][:, 0], np.arange(1, STEPS + 1))
    np.testing.assert_allclose(drawn[IDLE][:, 1], rolled.interval(IDLE, "cosine").mean)
    assert len(left.collections) == 2 and "lower is better" in right.get_ylabel()
