"""What a check finds: a number that a lawful motion bounds, its interval, and the verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

PASS, FAILS, CANNOT = "pass", "fails", "cannot tell"


@dataclasses.dataclass(frozen=True)
class Band:
    """`low` to `high`, where the number of a lawful film lies: perspective, air and the tracker's bias move it.
    `least` to `most`, what an interval must lie in to tell a lawful film from one that was tampered with."""

    low: float
    high: float
    least: float
    most: float


@dataclasses.dataclass(frozen=True)
class Finding:
    """`value` with the interval `low` to `high` (95 %, of all that were compared); `count`, how many were compared,
    of which `told` were precise enough; `at` s, where the one that stands for all is; NaN where there is nothing to
    compare, and `why`."""

    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    count: int = 0
    told: int = 0
    at: float = float("nan")
    why: str = ""

    def verdict(self, band: Band) -> str:
        """`FAILS` where the interval is outside the band, `PASS` where it meets the band and is narrow enough."""
        if not np.isfinite([self.value, self.low, self.high]).all():
            return CANNOT
        if self.low > band.high or self.high < band.low:
            return FAILS
        return PASS if self.low >= band.least and self.high <= band.most else CANNOT


@dataclasses.dataclass(frozen=True)
class Check:
    """A check of one `kind` of motion. `find` reads what `kinds.Motion` holds; `says`, what its number is; `main`,
    whether a film can pass by it: it looks at every sighting."""

    kind: str
    says: str
    band: Band
    find: Callable[[Any], Finding]
    main: bool = False

    def as_dict(self, name: str, finding: Finding) -> dict[str, Any]:
        """For JSON."""
        return {
            "check": name,
            "says": self.says,
            "value": finding.value,
            "low": finding.low,
            "high": finding.high,
            "lawful": [self.band.low, self.band.high],
            "compared": finding.count,
            "told": finding.told,
            "at": finding.at,
            "verdict": finding.verdict(self.band),
            "why": finding.why,
        }


def worst(findings: Sequence[Finding], band: Band, none: str) -> Finding:
    """Which of several stands for all: the one farthest outside the band; else, of those that pass, the one nearest to
    its edge; else the narrowest. `none` says why there is nothing to compare."""
    told = [each for each in findings if each.verdict(band) != CANNOT or np.isfinite([each.low, each.high]).all()]
    if not told:
        return Finding(why=none)
    passed = [each for each in told if each.verdict(band) == PASS]
    failed = [each for each in told if each.verdict(band) == FAILS]
    if failed:
        chosen = max(failed, key=lambda each: max(each.low - band.high, band.low - each.high))
    elif passed:
        chosen = max(passed, key=lambda each: max(each.value - band.high, band.low - each.value))
    else:
        chosen = min(told, key=lambda each: each.high - each.low)
    return dataclasses.replace(chosen, count=len(told), told=len(passed) + len(failed))


__all__ = ["CANNOT", "FAILS", "PASS", "Band", "Check", "Finding", "worst"]
