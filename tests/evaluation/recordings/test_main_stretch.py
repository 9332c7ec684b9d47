"""Which stretch of a track stands for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from o2t_jax.evaluation.recordings import analysis
from o2t_jax.evaluation.recordings.naming import NONE, Naming
from o2t_jax.evaluation.recordings.quantities import Scale


def stretch(verdict: str) -> Naming:
    fit = cast(Any, SimpleNamespace(law=SimpleNamespace(name=verdict)))
    return Naming(verdict, {verdict: fit}, {}, (), "")


@pytest.mark.parametrize(
    ("verdicts", "lengths", "main"),
    [
        ((NONE, "pendulum"), (2593, 28), 0),  # a swing's last centimetre is no law of the film
        ((NONE, "free flight"), (900, 400), 1),  # a hand, and then the throw
        (("free flight", "free flight"), (400, 500), 1),
        ((NONE, NONE), (5, 9), 1),
    ],
)
def test_a_short_stretch_does_not_stand_for_a_track_without_a_law(verdicts, lengths, main):
    namings = [stretch(verdict) for verdict in verdicts]
    assert analysis._main(namings, list(lengths), Scale(None, 0.0)) == main


def test_of_a_launch_the_first_flight_stands():
    namings = [stretch("free flight"), stretch("free flight")]
    assert analysis._main(namings, [300.0, 500.0], Scale(None, 0.0, speed=2.7)) == 0
