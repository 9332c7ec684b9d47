"""R-precision, distance of pairs and Fréchet distance against what they are where it is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from o2t_jax.evaluation.motion.embedding_scores import frechet_distance, matched_distance, r_precision

RNG = np.random.default_rng(0)


def test_pairs_that_agree_are_found_and_strangers_by_chance():
    texts = RNG.normal(size=(3200, 8))
    np.testing.assert_array_equal(r_precision(texts, texts + 1e-6), [1, 1, 1])
    assert matched_distance(texts, texts + 3.0) == pytest.approx(3.0 * np.sqrt(8))
    np.testing.assert_allclose(r_precision(texts, RNG.normal(size=texts.shape)), np.arange(1, 4) / 32, atol=0.015)


def test_equal_texts_are_told_apart_by_no_motion():
    """Two kinds of text, 16 of each in a pool."""
    texts = np.repeat(np.eye(2), 16, axis=0)
    np.testing.assert_allclose(r_precision(texts, texts, top=17)[[0, 2, 15, 16]], [1 / 16, 3 / 16, 1, 1])


@given(st.integers(0, 99), st.floats(0.1, 3.0), st.floats(-2.0, 2.0))
def test_gaussians_of_one_number_have_the_known_distance(seed, scale, shift):
    one = np.random.default_rng(seed).normal(size=(500, 1))
    other = scale * one + shift
    apart = np.mean(one) - np.mean(other)
    spread = np.std(one, ddof=1) - np.std(other, ddof=1)
    assert frechet_distance(one, other) == pytest.approx(apart**2 + spread**2, abs=1e-9)


def test_the_distance_is_none_of_a_set_from_itself_symmetric_and_blind_to_a_turn():
    one, other = RNG.normal(size=(400, 5)), RNG.normal(size=(300, 5)) @ RNG.normal(size=(5, 5))
    assert frechet_distance(one, one) == pytest.approx(0.0, abs=1e-9)
    turn = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
    expected = frechet_distance(one, other)
    assert expected > 0.1
    assert frechet_distance(other, one) == pytest.approx(expected)
    assert frechet_distance(one @ turn, other @ turn) == pytest.approx(expected)


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="at least 32 pairs"):
        r_precision(np.zeros((31, 2)), np.zeros((31, 2)))
    with pytest.raises(ValueError, match="two are the least"):
        frechet_distance(np.zeros((1, 2)), np.zeros((9, 2)))
