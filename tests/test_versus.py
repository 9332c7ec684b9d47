"""benchmarks.versus: turns of two sides become ratios; what is no checkout is refused."""

from __future__ import annotations

import itertools

import pytest

from benchmarks import versus


class Fake:
    """A side whose steps take `seconds`, and double the processor time."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.turns = seconds, []

    def turn(self, row: str, count: int) -> list[tuple[float, float]]:
        self.turns.append((row, count))
        return [(self.seconds, 2 * self.seconds)] * (count - 1)


def test_sides_take_turns_and_ratios_are_ours_over_theirs(monkeypatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr(versus.time, "monotonic", lambda: next(clock))
    ours, other = Fake(0.3), Fake(0.2)
    first, second = versus.compare(ours, other, ["seed64", "seed512"], 2.0)
    assert ours.turns == other.turns == [("seed64", 5), ("seed512", 3)]
    assert (first["row"], first["steps"], second["steps"]) == ("seed64", 4, 2)
    for name in ("median", "shortest", "median_cpu"):
        assert first[name] == pytest.approx(1.5)
    assert second["ours_s"] == 0.3


def test_what_is_no_checkout_is_refused(tmp_path, capsys) -> None:
    assert versus.main([f"--other={tmp_path}"]) == 2
    assert "is no checkout" in capsys.readouterr().err
