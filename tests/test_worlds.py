"""experiments.studies.worlds: what it trains, how it judges; the trainings are long runs with recorded results."""

from __future__ import annotations

import types

import numpy as np
import pytest

from o2t_jax.commands.studies import worlds
from o2t_jax.errors import UsageError


def flags(**changes):
    return types.SimpleNamespace(**{"worlds": "", "draw": 0, "low": 1.0, "high": 30.0, "alpha": 0.0, **changes})


def test_named_worlds_come_first_and_drawn_ones_are_kept(tmp_path) -> None:
    made = worlds.worlds(flags(worlds="1.62, 9.5:-8", draw=5, low=9.0, high=10.0, alpha=10.0), tmp_path)
    assert made[:2] == [(1.62, 0.0), (9.5, -8.0)] and len(made) == 7
    assert all(9.0 <= g0 <= 10.0 and abs(alpha) <= 10.0 for g0, alpha in made[2:])
    assert sum(abs(alpha) >= 5.0 for _, alpha in made[2:]) >= 3
    again = worlds.worlds(flags(worlds="1.62, 9.5:-8", draw=5, low=9.0, high=10.0, alpha=10.0), tmp_path)
    assert again == made


def test_a_world_that_is_no_number_is_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match="'moon'"):
        worlds.worlds(flags(worlds="moon"), tmp_path)


def test_the_true_law_has_no_error_and_a_wrong_one_its_own() -> None:
    z = np.linspace(0.0, 20.0, 201)
    law = {"g_of_z": np.stack([z, 9.5 + 8 / (z + 10)], -1).tolist(), "g0": 9.5, "alpha": 8.0, "g0_weight": 9.9}
    found = worlds.judge(law, 9.5, 8.0)
    assert found["curve_error"] == pytest.approx(0.0, abs=1e-12)
    assert found["fit_error"] == pytest.approx(0.0, abs=1e-12)
    assert worlds.judge({**law, "g0": 9.6}, 9.5, 8.0)["fit_error"] == pytest.approx(0.1)
    assert worlds.judge({**law, "g0_weight": 9.9}, 10.0, 0.0)["mean_g_error_%"] == pytest.approx(-1.0)


def test_trivial_answers_match_the_published_figure() -> None:
    # At |alpha| = 10 the best line is off by 0.042 m/s^2.
    assert worlds.trivial(9.5, 10.0)["best line"] == pytest.approx(0.042, abs=0.002)
    assert worlds.trivial(9.8, 0.0)["always 9.8"] == pytest.approx(0.0)


def test_a_refined_law_is_told_with_its_intervals_and_whether_they_hold() -> None:
    law = {"g0": 9.51, "alpha": 7.0, "half_width": [0.02, 0.3], "form": None}
    row = worlds.judge_refined({"refined": law, "weights": {"g0": 9.6, "alpha": 8.0}}, 9.5, 8.0)
    assert row["law phase"] == pytest.approx(0.1)
    assert row["held"] == "g0" and row["refined g0"] == "9.51000 +- 0.02000" and row["form"] == "undetermined"
    assert worlds.judge_refined({"refined": {**law, "form": "linear"}, "weights": law}, 9.6, 6.0)["held"] == "none"
    assert worlds.judge_refined({"refined": None, "error": "no ball"}, 9.5, 8.0) == {"refined g0": "no ball"}


def test_refining_needs_whole_flights(tmp_path, capsys) -> None:
    assert worlds.main(["--config=cpu", "--refine", "--worlds=9.8", f"--out={tmp_path / 'out'}"]) == 2
    assert "sampler=flights" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_world_of_another_law_is_not_judged_as_a_hyperbolic_one(tmp_path, capsys) -> None:
    assert worlds.main(["--config=cpu", "--config.world.law=linear", "--worlds=9.8", f"--out={tmp_path / 'out'}"]) == 2
    assert (
        "world.law=linear: worlds here are G0 or G0:ALPHA" in capsys.readouterr().err
        and not (tmp_path / "out").exists()
    )
