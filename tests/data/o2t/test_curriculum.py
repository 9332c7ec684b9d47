"""The curriculum draws what its table says, and n always lies beyond the second pair of pictures."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from o2t_jax.data.o2t.curriculum import Curriculum, ModeMix, Phase
from o2t_jax.errors import UsageError
from o2t_jax.geometry.para import DIS, FUTURE, VIEW

GUIDE_TABLE = [
    (0, (1.0, 0.0, 0.0)),
    (999, (1.0, 0.0, 0.0)),
    (1_000, (0.5, 0.5, 0.0)),
    (9_999, (0.5, 0.5, 0.0)),
    (10_000, (0.2, 0.5, 0.3)),
    (49_999, (0.2, 0.5, 0.3)),
    (50_000, (0.1, 0.1, 0.8)),
    (199_999, (0.1, 0.1, 0.8)),
]


@pytest.mark.parametrize(("step", "probabilities"), GUIDE_TABLE)
def test_guide_phases_start_where_the_guide_says(step, probabilities):
    assert Curriculum.guide(200_000, 20).at(step).probabilities == probabilities


def test_scaled_phases_start_at_0_2_8_25_percent():
    assert [phase.start for phase in Curriculum.scaled(400, 16).phases] == [0, 8, 32, 100]


@pytest.mark.parametrize(("n_max", "scale"), [(20, 1.0), (40, 2.0)])
def test_gaussian_grows_from_3_1_to_15_8_and_scales_with_n_max(n_max, scale):
    curriculum = Curriculum.guide(90_000, n_max)
    assert curriculum.at(50_000).gaussian == pytest.approx((3 * scale, 1 * scale))
    assert curriculum.at(89_999).gaussian == pytest.approx((15 * scale, 8 * scale))
    assert curriculum.at(500_000) == curriculum.at(89_999)
    means = [curriculum.at(s).gaussian[0] for s in range(50_000, 90_000, 5_000)]
    assert np.all(np.diff(means) > 0)


@pytest.mark.parametrize("step", [0, 1_000, 10_000, 50_000])
def test_drawn_modes_follow_the_table(step):
    mix = Curriculum.guide(60_000, 20).at(step)
    rng = np.random.default_rng(0)
    count = 4_000
    drawn = np.bincount([mix.draw_mode(rng) for _ in range(count)], minlength=3) / count
    p = np.array(mix.probabilities)
    assert np.all(np.abs(drawn - p) <= 4 * np.sqrt(p * (1 - p) / count))


def test_drawn_n_follows_the_clipped_gaussian():
    mix = Curriculum.guide(60_000, 20).at(59_999)
    rng = np.random.default_rng(1)
    drawn = np.array([mix.draw_steps(rng, FUTURE, 1, 1, 20)[1] for _ in range(4_000)])
    expected = np.clip(np.rint(np.random.default_rng(2).normal(15, 8, 200_000)), 2, 20)
    assert drawn.mean() == pytest.approx(expected.mean(), abs=4 * expected.std() / np.sqrt(len(drawn)))
    assert np.mean(drawn == 20) == pytest.approx(np.mean(expected == 20), abs=0.03)


def test_short_phase_keeps_the_guides_n_where_k_allows_it():
    short = Curriculum.guide(60_000, 20).at(10_000)
    rng = np.random.default_rng(3)
    assert {short.draw_steps(rng, FUTURE, 1, 1, 20) for _ in range(50)} == {(1, 2)}
    assert {n - k for k, n in (short.draw_steps(rng, FUTURE, 4, 8, 20) for _ in range(200))} == {1, 2}


@settings(deadline=None, max_examples=60)
@given(
    k_min=st.integers(1, 10),
    k_span=st.integers(0, 6),
    beyond=st.integers(1, 20),
    train_steps=st.integers(1, 3_000),
    step=st.integers(0, 4_000),
    seed=st.integers(0, 10_000),
)
def test_n_exceeds_k_and_stays_within_n_max(k_min, k_span, beyond, train_steps, step, seed):
    k_max = k_min + k_span
    n_max = k_max + beyond
    rng = np.random.default_rng(seed)
    mix = Curriculum.scaled(train_steps, n_max).at(step)
    for _ in range(10):
        k, n = mix.draw_steps(rng, FUTURE, k_min, k_max, n_max)
        assert k_min <= k <= k_max
        assert k < n <= n_max
        k, n = mix.draw_steps(rng, VIEW, k_min, k_max, n_max)
        assert k_min <= k <= k_max and n == 0


def test_a_single_n_can_be_asked_for():
    rng = np.random.default_rng(4)
    drawn = [ModeMix.only(FUTURE, 6).draw_steps(rng, FUTURE, 4, 8, 20) for _ in range(50)]
    assert {n for _, n in drawn} == {6}
    assert {k for k, _ in drawn} == {4, 5}
    assert {ModeMix.only(VIEW).draw_mode(rng) for _ in range(20)} == {VIEW}
    assert {ModeMix.only(DIS).draw_mode(rng) for _ in range(20)} == {DIS}


def test_a_run_that_never_reaches_a_phase_says_so():
    warning = Curriculum.guide(50_000, 20).warning()
    assert "50000" in warning and "phase 4" in warning and "\n" not in warning
    assert Curriculum.guide(50_001, 20).warning() == ""
    assert Curriculum.scaled(400, 20).warning() == ""
    assert "phases 2" in Curriculum.scaled(2, 20).warning()


def test_description_has_a_line_per_phase_with_its_steps_and_mix():
    lines = Curriculum.guide(50_000, 20).describe().splitlines()
    assert len(lines) == 4
    assert "10000-50000" in lines[2] and "20/50/30" in lines[2]
    assert "not reached" in lines[3]


def test_expected_fractions_average_over_steps():
    curriculum = Curriculum.scaled(400, 12)
    assert curriculum.expected_fractions(6, 10) == pytest.approx([0.75, 0.25, 0.0])


def test_a_mix_survives_pickling_and_compares_by_value():
    mix = Curriculum.guide(60_000, 20).at(55_000)
    assert pickle.loads(pickle.dumps(mix)) == mix


@pytest.mark.parametrize(
    ("build", "names"),
    [
        (lambda: Curriculum.named("guied", 10, 20), "did you mean 'guide'"),
        (lambda: Curriculum.scaled(0, 20), "train_steps=0"),
        (lambda: Curriculum.scaled(10, 0), "n_max=0"),
        (lambda: ModeMix((0.5, 0.4, 0.0)), "sum to 1"),
        (lambda: ModeMix((float("nan"), 0.5, 0.5)), "sum to 1"),
        (lambda: ModeMix((0.0, 0.0, 1.0), 3, 2), "range of n"),
        (lambda: ModeMix.only(FUTURE), "needs n"),
        (lambda: Curriculum((Phase(5, (1.0, 0.0, 0.0)),), 10), "start at 0"),
    ],
)
def test_bad_input_is_refused_in_one_line(build, names):
    with pytest.raises(UsageError) as error:
        build()
    assert names in str(error.value) and "\n" not in str(error.value)


def test_no_view_shows_no_view_and_keeps_the_share_of_the_future() -> None:
    scaled, without = (Curriculum.named(name, 100, 20) for name in ("scaled", "no_view"))
    for step in (0, 5, 20, 60, 99):
        dis, view, future = without.at(step).probabilities
        assert view == 0.0 and dis + future == pytest.approx(1.0)
        assert future == scaled.at(step).probabilities[2]
