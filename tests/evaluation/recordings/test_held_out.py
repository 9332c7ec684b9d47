"""Of two ways of seeing one flight, the quieter one has the lower held-out residual; a longer stretch goes first."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from o2t_jax.evaluation.recordings import LAWS
from o2t_jax.evaluation.recordings.analysis import Analysis, Part, analyse
from o2t_jax.evaluation.recordings.fitting import fit
from o2t_jax.evaluation.recordings.held_out import HeldOut, better, held_out
from o2t_jax.evaluation.recordings.naming import Naming
from o2t_jax.evaluation.recordings.quantities import Clock, Measured, Scale

TIMES = np.arange(30) / 60
PATH = np.stack([20 + 180 * TIMES, 70 + 200 * TIMES - 0.5 * 981 * TIMES**2], axis=1)  # px, right and up


@functools.cache
def seen(noise: float) -> HeldOut:
    points = PATH + np.random.default_rng(3).normal(0, noise, PATH.shape)
    sigma = np.full(len(TIMES), noise)
    found = analyse(TIMES, points, sigma, noise, view=None, scale=Scale(), clock=Clock(1e-3, "test"), tilt=0.0)
    return held_out(found, TIMES, points, sigma)


@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_the_residual_is_the_noise_of_the_sightings(noise):
    found = seen(noise)
    assert len(found.away) >= 27
    assert 0.8 * noise < found.rms() < 1.6 * noise  # a little above it: the law is fitted to two thirds


def test_a_law_that_begins_at_its_first_sighting_keeps_it():
    """A pendulum's values are those of its first sighting: without it each fold would be off by a frame's swing."""
    law, times = LAWS.get("pendulum"), np.arange(40) / 40
    values = np.array([[80, 100, 60, 0, 0.6, 0.5, np.log(8.0), 0.1]])
    points = law.paths(values, times)[0] + np.random.default_rng(0).normal(0, 0.1, (40, 2))
    sigma = np.full(40, 0.1)
    best = fit(law, times, points, sigma)
    assert best is not None
    naming = Naming("pendulum", {"pendulum": best}, {"pendulum": 0.0}, ("pendulum",), "")
    analysis = Analysis((Part(slice(0, 40), naming, Measured({}, None, ())),), 0, ())
    assert held_out(analysis, times, points, sigma).rms() < 0.13


def test_the_quieter_one_is_better_and_the_reason_has_both_numbers():
    assert better(seen(0.05), seen(0.3))[0] == 0
    chosen, reason = better(seen(0.3), seen(0.05))
    assert chosen == 1
    assert f"{seen(0.05).rms():.3g}" in reason


def test_more_sightings_under_one_law_go_before_a_low_residual():
    short = HeldOut(TIMES[:10], np.full(10, 0.01), "free flight")
    assert better(short, seen(0.3))[0] == 1
    nothing = held_out(None, TIMES, PATH, np.ones(len(TIMES)))
    assert nothing.rms() == np.inf and better(nothing, short)[0] == 1 and better(short, nothing)[0] == 0
