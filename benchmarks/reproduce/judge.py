"""Is a figure that was measured again the one that is stated?

A row that states a spread is held to it. A list of several numbers shows its own spread: largest minus smallest. Other
rows are held to the tolerance of their kind, which every report states. Rounding counts: half a unit of the last digit
that the row shows is always allowed.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from benchmarks.table import Figure, Row

Measured = float | Sequence[float]


class Kind(enum.Enum):
    """What a figure is; `share` of its size, or `units` of its last digit, may be between two measurements."""

    COUNTED = ("a count or a sum, equal on every machine", 0.0, 0.0)
    SEEDED = ("the same random numbers, other rounding: 2 %, or one unit of the last digit", 0.02, 1.0)
    LEARNED = ("a training with the same seed, other rounding: 50 %", 0.5, 1.0)
    MEMORY = ("memory: 30 %", 0.3, 1.0)
    SPEED = ("speed or time on the machine that the row names: 30 %", 0.3, 0.0)

    def __init__(self, text: str, share: float, units: float) -> None:
        self.text, self.share, self.units = text, share, units


class Judgement(NamedTuple):
    """`inside`, the allowed difference (one for each number), and where it comes from."""

    inside: bool
    allowed: tuple[float, ...]
    by: str


def numbers_of(figure: Figure | Measured | None) -> tuple[float, ...]:
    """The numbers of a figure that is a number or a list of them. Raises ValueError for a text."""
    if isinstance(figure, str) or figure is None:
        raise ValueError(f"{figure!r} is no number")
    return tuple(map(float, figure)) if isinstance(figure, Sequence) else (float(figure),)


def unit_of_last_digit(number: int | Decimal | float) -> float:
    """0.01 for 1.23, 1 for an integer."""
    exponent = Decimal(str(number)).as_tuple().exponent
    return 10.0**exponent if isinstance(exponent, int) and exponent < 0 else 1.0


def judge(row: Row, measured: Measured, kind: Kind) -> Judgement:
    """Compares number by number. A list of another length, and a number that is NaN, is outside."""
    items = row.value if isinstance(row.value, Sequence) else [row.value]
    stated, found = numbers_of(row.value), numbers_of(measured)
    spreads = numbers_of(row.spread) if row.spread is not None else ()
    allowed, by = [], kind.text
    for number, item in enumerate(items):
        value, unit = stated[number], unit_of_last_digit(item)  # pyright: ignore[reportArgumentType]
        if spreads:
            limit, by = spreads[number if len(spreads) > 1 else 0], "the row's spread"
        else:
            limit = max(kind.share * abs(value), kind.units * unit)
            if kind is not Kind.COUNTED and len(stated) > 1 and (width := max(stated) - min(stated)) > limit:
                limit, by = width, "the spread of the row's own numbers"
        allowed.append(limit + 0.5 * unit)
    # Figures are decimal: their differences have rounding errors of their own.
    pairs = zip(found, stated, allowed, strict=False)
    inside = len(found) == len(stated) and all(abs(a - b) <= limit + 1e-9 * abs(b) for a, b, limit in pairs)
    return Judgement(inside, tuple(allowed), by)
