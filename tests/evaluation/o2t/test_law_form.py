"""The form of a law: named where the data identify it, and no form where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.commands.studies import interval_coverage as coverage
from o2t_jax.commands.studies import law_form as study
from o2t_jax.evaluation.o2t import law_form
from o2t_jax.geometry.camera import intrinsics_for

LENS = intrinsics_for(512, 512)


@pytest.fixture(scope="module")
def result():
    return study.run_forms(laws=6, tracks=40, size=512, seed=3)


def test_a_form_that_leads_is_named_and_one_that_does_not_is_not_guessed(result):
    assert result["counts"]["clear"]["right"] >= 5 and result["counts"]["clear"]["wrong"] == 0
    assert result["counts"]["unclear"]["wrong"] == 0 and result["counts"]["unclear"]["undetermined"] >= 5
    assert {record["form"] for record in result["clear"]} == set(study.TRUE_FORMS), "both kinds of law were tried"


def test_of_a_constant_law_nothing_is_named():
    rng = np.random.default_rng(1)
    for _ in range(3):
        exact = coverage.draw_tracks(rng, np.array([9.5]), coverage.Study(1, 40, 0.3, 512), "constant")
        assert law_form.named(law_form.leads(law_form.fit_forms(exact, LENS))) is None


def test_leads_by_hand():
    rng = np.random.default_rng(2)
    tracks = coverage.draw_tracks(rng, np.array([9.5, 8.0]), coverage.Study(1, 30, 0.1, 512))
    fits = law_form.fit_forms(tracks, LENS)
    ahead = law_form.leads(fits, 0.1)
    squares = {form: fit.squared_sum for form, fit in fits.items()}
    assert ahead["hyperbolic"] == pytest.approx(0.5 * (squares["linear"] - squares["hyperbolic"]) / 0.01)
    assert ahead["linear"] == pytest.approx(-ahead["hyperbolic"])
    assert squares["constant"] > squares["linear"], "it is contained in it"
    assert law_form.named({"a": law_form.LEAD, "b": -1.0}) == "a"
    assert law_form.named({"a": 0.99 * law_form.LEAD, "b": -1.0}) is None
