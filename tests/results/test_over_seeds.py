"""Results of several seeds as one: means, with intervals that cover the true mean at their nominal rate."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.results import Column, Curve, Picture, Scalar, Score, ScoreTable, Table, over_seeds
from o2t_jax.results.seeds import half_width


def merged(*results):
    ((name, result),) = over_seeds([[("x", result)] for result in results])
    assert name == "x"
    return result


def test_the_interval_holds_the_mean_in_95_of_100_draws():
    draws = np.random.default_rng(0).normal(3.0, 2.0, size=(5, 4000))
    held = np.abs(np.mean(draws, axis=0) - 3.0) <= half_width(draws)
    assert 0.94 < np.mean(held) < 0.96


def test_scalars_and_scores_become_means_with_an_interval():
    scalar = merged(Scalar(1.0, "m"), Scalar(2.0, "m"), Scalar(3.0, "m"))
    assert (scalar.value, scalar.unit) == (2.0, "m")
    assert scalar.high - 2.0 == pytest.approx(4.303 / 3**0.5, rel=1e-3) == pytest.approx(2.0 - scalar.low, rel=1e-3)
    scores = [Score(x, baselines={"stand still": 10 * x}, better="lower") for x in (1.0, 3.0)]
    assert merged(*scores).baselines == {"stand still": 20.0}
    assert merged(Scalar(float("nan")), Scalar(1.0)).low is None


def test_curves_over_the_same_x_get_a_band():
    curve = merged(Curve(np.arange(3), np.zeros(3)), Curve(np.arange(3), np.arange(3)))
    np.testing.assert_array_equal(curve.y, [0.0, 0.5, 1.0])
    assert curve.low[0] == curve.high[0] == 0.0 and curve.high[2] > 1.0


def test_tables_that_agree_but_for_numbers_are_averaged_and_others_keep_their_seed():
    def table(error: float, name: str = "ours") -> ScoreTable:
        rows = [{"method": name, "error": error, "count": 3}, {"method": "hold", "error": 9.0, "count": 3}]
        columns = {"method": Column(), "error": Column("m"), "count": Column()}
        return ScoreTable(columns, rows, baselines=("hold",), method=name, better="lower")

    both = merged(table(1.0), table(2.0))
    assert [row["error"] for row in both.rows] == [1.5, 9.0] and both.rows[0]["count"] == 3
    assert both.rows[0]["error ±"] == pytest.approx(12.706 * 0.5, rel=1e-3) and both.rows[1]["error ±"] == 0.0
    other = Table({"n": Column()}, [{"n": 1}, {"n": 2}])
    apart = merged(other, Table({"n": Column()}, [{"n": 1}]))
    assert [row["seed"] for row in apart.rows] == [0, 0, 1]


def test_pictures_are_the_first_seeds_and_names_must_agree():
    black = Picture(np.zeros((2, 2, 3), np.uint8), "scene")
    assert merged(black, black).caption == "scene (seed 0)"
    with pytest.raises(ValueError, match="a, b"):
        list(over_seeds([[("a", Scalar(1.0))], [("b", Scalar(1.0))]]))
