"""Which way of seeing is better is told by sightings that the law was not fitted to."""

from __future__ import annotations

import numpy as np

from o2t_jax.evaluation.recordings.analysis import analyse
from o2t_jax.evaluation.recordings.held_out import HeldOut, held_out
from o2t_jax.evaluation.recordings.quantities import Clock, Scale


def test_the_residual_held_out_is_that_of_the_sightings():
    times = np.arange(40) / 60
    clean = 300 * np.stack([1.5 * times, 2.5 * times - 4.9 * times**2], 1)
    told = []
    for noise in (0.1, 0.4):
        points = clean + np.random.default_rng(0).normal(0, noise, clean.shape)
        sigma = np.full(40, noise)
        found = analyse(times, points, sigma, noise, view=None, scale=Scale(), clock=Clock(0.0, ""))
        assert found is not None
        told.append(held_out(found, times, points, sigma, None))
        assert 0.7 * noise < told[-1].residual < 1.5 * noise
    assert told[0].better_than(told[1]) and not told[1].better_than(told[0])


def test_a_law_that_is_named_goes_first_and_sightings_are_not_given_up():
    good, bad = HeldOut(0.2, 50, True), HeldOut(0.1, 50, False)
    assert good.better_than(bad) and not bad.better_than(good)
    assert not HeldOut(0.1, 40, True).better_than(good)
    assert not HeldOut(0.195, 50, True).better_than(good)
