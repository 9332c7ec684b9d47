"""The law read off: exact without noise, intervals that are what they claim, and the three kinds of answer."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.dynamics.law import information, rows, shooting, solver
from o2t_jax.evaluation.dynamics.law.decision import CANNOT_TELL, NONE, decide
from o2t_jax.evaluation.dynamics.law.design import Experiment, design, telling_apart, widths
from o2t_jax.evaluation.dynamics.law.equations import trajectory
from o2t_jax.evaluation.dynamics.law.form import Regression, form_of, read_form
from o2t_jax.evaluation.dynamics.law.readout import over_seeds, readout
from o2t_jax.evaluation.dynamics.law.shooting import Observed
from o2t_jax.evaluation.dynamics.law.terms import clearance_of, library
from o2t_jax.evaluation.dynamics.law.worlds import LAWS, readings_of, text_of, truth_of
from o2t_jax.physics.envs import get_environment

LAYOUT = get_environment("pendulum").layout
EQUATION = library(LAYOUT, 1)
LAW = LAWS["pendulum"]
FREE = EQUATION.free(LAW.terms)
TRUTH = truth_of(EQUATION, LAW, get_environment("pendulum", damping=0.3).params)
NOISE, DT, SEQUENCES, STEPS = 0.05, 0.1, 40, 20


def simulated(theta=TRUTH, noise=0.0, seed=0, equation=EQUATION, spread=1.5):
    rng = np.random.default_rng(seed)
    actions = rng.choice([-2.0, 0.0, 2.0], size=(SEQUENCES, STEPS, 1))
    starts = rng.uniform(-spread, spread, (SEQUENCES, 2))
    with jax.enable_x64(True):
        run = jax.vmap(lambda s, a: trajectory(equation.rates, s, a, theta, DT, 2))
        states = np.asarray(run(starts, actions))
    return Observed.of(states + noise * rng.standard_normal(states.shape), actions, DT)


@pytest.fixture(scope="module")
def clean():
    return simulated()


@pytest.fixture(scope="module")
def noisy():
    return simulated(noise=NOISE)


@pytest.fixture(scope="module")
def found(noisy):
    return shooting.fit(EQUATION, noisy, free=FREE, noise=NOISE)


@pytest.mark.parametrize("name", ["spring", "double_pendulum", "spaceship", "gravity_two"])
def test_a_worlds_law_is_the_worlds_own_equation(name):
    env: Any = get_environment(name)
    law = LAWS[name]
    equation = law.whole or library(env.layout, env.actions.size)
    theta = truth_of(equation, law, env.params)
    state = env.reset(jax.random.key(3), env.params)
    action = np.asarray(env.actions.table)[-1]
    # Observation is linear in these worlds, so it takes rates to rates.
    own = jax.jit(lambda: env.observe(env.field(state, action, env.params), env.params))()
    read = jax.jit(equation.rates)(env.observe(state, env.params), action, theta.astype(np.float32))
    np.testing.assert_allclose(read, own, rtol=2e-4, atol=2e-4)
    assert {reading.name for reading in readings_of(equation, law.terms, law)} == {r.name for r in law.readings}


def test_without_noise_shooting_finds_the_parameters_exactly(clean):
    fit = shooting.fit(EQUATION, clean, free=FREE, noise=NOISE)
    assert fit.converged
    np.testing.assert_allclose(fit.theta, TRUTH, atol=1e-6)


def test_the_interval_is_close_to_the_cramer_rao_width_and_holds_the_truth(found, clean):
    low, high = information.intervals(found)
    best = information.cramer_rao(information.fisher(EQUATION, TRUTH, clean, NOISE, free=FREE), FREE)
    at = np.flatnonzero(FREE)
    ratio = (0.5 * (high - low) / 1.96)[at] / best[at]
    assert np.all((ratio > 0.7) & (ratio < 1.4)), ratio
    assert np.all(np.abs(found.theta - TRUTH)[at] < 4 * best[at])


def test_four_times_the_sequences_halve_the_interval(clean):
    each = information.fisher(EQUATION, TRUTH, clean, NOISE, free=FREE)
    one, four = (information.cramer_rao(part, FREE)[FREE] for part in (each, np.tile(each, (4, 1, 1))))
    np.testing.assert_allclose(four, 0.5 * one, rtol=1e-9)
    # of the replicates as well, to their own accuracy
    few = information.cramer_rao(each[: SEQUENCES // 4], FREE)[FREE]
    assert np.all((few / one > 1.4) & (few / one < 2.9))


def test_the_information_is_the_curvature_of_the_misfit_that_refits_the_starts(clean):
    """Profile likelihood: chi2 / 2 with one parameter moved, the others held, all initial states refitted."""
    at, step = EQUATION.index("sin x"), 0.02
    each = information.fisher(EQUATION, TRUTH, clean, NOISE, free=FREE)
    moved = [TRUTH + step * (np.arange(len(TRUTH)) == at) * sign for sign in (1, -1)]
    held = np.zeros(len(TRUTH), bool)
    # No parameter is free: `fit` sets what is not free to 0, so the search itself is called.
    weight = np.full(clean.states.shape[1:], 1.0 / NOISE)
    with jax.enable_x64(True):
        chi2 = [
            float(solver.minimise(
                theta, clean.states[:, 0], held.astype(float), *clean, weight, equation=EQUATION, varying=(), inner=2,
                iterations=solver.ITERATIONS,
            )[2])
            for theta in moved
        ]  # fmt: skip
    assert np.mean(chi2) / step**2 == pytest.approx(np.sum(each, 0)[at, at], rel=0.02)


def test_a_parameter_of_each_sequence_is_found_for_each():
    friction = np.random.default_rng(1).uniform(0.05, 0.5, SEQUENCES)
    at = EQUATION.index("v")
    parts = simulated()
    with jax.enable_x64(True):
        thetas = np.tile(TRUTH, (SEQUENCES, 1))
        thetas[:, at] = -friction
        run = jax.vmap(lambda s, a, theta: trajectory(EQUATION.rates, s, a, theta, DT, 2))
        states = np.asarray(run(parts.states[:, 0], parts.actions, thetas))
    fit = shooting.fit(EQUATION, Observed.of(states, parts.actions, DT), TRUTH, free=FREE, varying=(at,), noise=NOISE)
    np.testing.assert_allclose(fit.own[:, 2], -friction, atol=1e-5)
    assert not fit.free[at]


def test_the_form_of_a_field_is_named_where_the_data_lay(clean):
    def field(states, actions):
        return jax.vmap(EQUATION.rates, (0, 0, None))(states, actions, TRUTH)

    form = read_form(field, clean.states[:, :-1], clean.actions, LAYOUT, most=60)
    assert form.terms == ("v", "sin x", "u")
    np.testing.assert_allclose(form.theta, TRUTH, atol=1e-3)


def test_a_form_is_named_from_noisy_data_and_written_as_json(noisy):
    form = form_of(Regression(*rows.differences(noisy), LAYOUT))
    decision = decide(noisy, LAYOUT, form)
    record = readout(decision, LAYOUT, world="pendulum", params=get_environment("pendulum", damping=0.3).params)
    assert record["form"] == "x'' = -c x' - d sin x + h u"
    entry = record["parameters"]["gravity_per_length"]
    assert entry["low"] < entry["value"] < entry["high"]
    assert entry["value"] == pytest.approx(9.81, rel=0.01)
    assert (entry["truth"], entry["unit"]) == (pytest.approx(9.81), "1/s^2")
    assert record["noise"] == pytest.approx([NOISE] * 2, rel=0.1)
    other = {**record, "form": NONE}
    assert over_seeds([record, record])["form"] == record["form"]
    assert over_seeds([record, other])["form"] == CANNOT_TELL


def test_small_swings_cannot_tell_a_pendulum_from_a_spring():
    data = simulated(noise=NOISE, spread=0.3, seed=2)
    quiet = Observed(data.states, 0.0 * data.actions, DT)
    with jax.enable_x64(True):
        run = jax.vmap(lambda s, a: trajectory(EQUATION.rates, s, a, TRUTH, DT, 2))
        states = np.asarray(run(0.2 * data.states[:, 0], quiet.actions))
    quiet = Observed.of(states + NOISE * np.random.default_rng(5).standard_normal(states.shape), quiet.actions, DT)
    decision = decide(quiet, LAYOUT, form_of(Regression(*rows.differences(quiet), LAYOUT)))
    assert decision.answer == CANNOT_TELL
    either = [set(terms) for terms in (decision.terms, *decision.rivals)]
    assert any("x" in terms for terms in either)
    assert any("sin x" in terms for terms in either)


def test_a_term_outside_the_library_is_none_of_these():
    def rates(state, action, theta):
        return EQUATION.rates(state, action, theta).at[1].add(3.0 * jax.numpy.cos(3.0 * state[0]))

    outside = type(EQUATION)("outside", EQUATION.names, EQUATION.terms, EQUATION.start, rates)
    data = simulated(noise=NOISE, equation=outside)
    decision = decide(data, LAYOUT, form_of(Regression(*rows.differences(data), LAYOUT)))
    assert decision.answer == NONE
    assert decision.misfit.p < 1e-6


def test_designed_pushes_beat_random_ones():
    table = np.array([[-2.0], [0.0], [2.0]])
    experiment = Experiment(np.zeros(2), table, 20, DT, NOISE)
    found = design(EQUATION, TRUTH, experiment, ["sin x", "v"], free=FREE, starts=2, lengths=(4, 1))
    assert np.all(found.ratio < 0.6)
    again = widths(EQUATION, TRUTH, experiment, found.actions[None], free=FREE)[0]
    np.testing.assert_allclose(found.half_width, again[[EQUATION.index(name) for name in found.wanted]], rtol=1e-6)
    with pytest.raises(UsageError, match="held fixed"):
        design(EQUATION, TRUTH, experiment, ["x^3"], free=FREE)


def test_telling_two_forms_apart_wants_what_only_one_has():
    free, wanted = telling_apart(EQUATION, ("x", "u"), ("sin x", "u"))
    assert wanted == ("x", "sin x")
    assert [name for name, chosen in zip(EQUATION.names, free, strict=True) if chosen] == ["x", "sin x", "u"]


def test_windows_share_no_state_and_keep_their_sequence(clean):
    cut, owner = clean.windows(6)
    assert cut.states.shape == (SEQUENCES * 3, 7, 2)
    assert list(owner[:4]) == [0, 0, 0, 1]
    np.testing.assert_array_equal(cut.states[1], clean.states[0, 7:14])
    np.testing.assert_array_equal(cut.actions[1], clean.actions[0, 7:13])


def test_distances_and_texts():
    layout = get_environment("three_body").layout
    clearance = clearance_of(layout)
    assert clearance is not None
    assert clearance_of(LAYOUT) is None
    assert float(clearance(np.array([0.0, 0, 3, 0, 3, 1, *[0.0] * 6]))) == pytest.approx(1.0, abs=1e-3)
    assert text_of(LAYOUT, 1, ("x", "u")) == "x'' = -b x + h u"
    assert text_of(layout, 2, ()) == "q'' = 0"


def test_bad_data_is_one_line():
    with pytest.raises(UsageError, match="finite"):
        Observed.of(np.full((2, 4, 2), np.nan), np.zeros((2, 3, 1)), DT)
    with pytest.raises(UsageError, match="give"):
        Observed.of(np.zeros((2, 4, 2)), np.zeros((2, 4, 1)), DT)
    with pytest.raises(UsageError, match="sin x"):
        EQUATION.free(("sinx",))
