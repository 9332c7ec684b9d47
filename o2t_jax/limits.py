"""The values that a number of a config may have. Needs no JAX."""

from __future__ import annotations

import math
from typing import NamedTuple


class Limits(NamedTuple):
    """An interval: `least` to `most`. `above`: without `least` itself; `below`: without `most` itself."""

    least: float = -math.inf
    most: float = math.inf
    above: bool = False
    below: bool = False

    def hold(self, value: float) -> bool:
        """Whether the value lies in the interval. NaN does not."""
        low = value > self.least if self.above else value >= self.least
        high = value < self.most if self.below else value <= self.most
        return low and high

    def __str__(self) -> str:
        """What a value must be, after "must": "be at least 1", "not be negative", "be 0 to below 1"."""
        if self.most == math.inf:
            if self == NOT_NEGATIVE:
                return "not be negative"
            return f"be {'above' if self.above else 'at least'} {self.least:g}"
        low = f"above {self.least:g} and {'below' if self.below else 'at most'}" if self.above else f"{self.least:g} to"
        return f"be {low} {'below ' if self.below and not self.above else ''}{self.most:g}"


def at_least(least: float) -> Limits:
    """`least` and everything above it."""
    return Limits(least)


NOT_NEGATIVE = at_least(0)
COUNT = at_least(1)
POSITIVE = Limits(0, above=True)
SHARE = Limits(0, 1)
BELOW_ONE = Limits(0, 1, below=True)
