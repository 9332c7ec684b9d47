"""Limits of numbers: what lies in them, and how they are told."""

from __future__ import annotations

import math

import pytest

from o2t_jax.limits import BELOW_ONE, COUNT, NOT_NEGATIVE, POSITIVE, SHARE, Limits, at_least


@pytest.mark.parametrize(
    ("limits", "inside", "outside", "told"),
    [
        (COUNT, (1, 10**9), (0, -1), "be at least 1"),
        (at_least(0.5), (0.5, 2.0), (0.49,), "be at least 0.5"),
        (NOT_NEGATIVE, (0, 3.5), (-1e-9,), "not be negative"),
        (POSITIVE, (1e-9,), (0, -1), "be above 0"),
        (SHARE, (0, 0.5, 1), (-0.1, 1.1), "be 0 to 1"),
        (BELOW_ONE, (0, 0.999), (1, -0.1), "be 0 to below 1"),
        (Limits(0, 1, above=True), (0.1, 1), (0, 1.1), "be above 0 and at most 1"),
        (Limits(0, 1, above=True, below=True), (0.5,), (0, 1), "be above 0 and below 1"),
    ],
)
def test_limits_hold_and_are_told(limits, inside, outside, told) -> None:
    assert str(limits) == told
    assert all(limits.hold(value) for value in inside)
    assert not any(limits.hold(value) for value in (*outside, math.nan))
