"""How well predicted scene graphs agree with true ones: share of equal sets, and F1 over their tuples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

Graph = Collection[tuple[str, ...]]


def set_match(found: Sequence[Graph], truth: Sequence[Graph]) -> float:
    """Share of captions whose predicted set of tuples is the true one (Li et al. 2023, arXiv 2305.17497)."""
    return sum(set(a) == set(b) for a, b in zip(found, truth, strict=True)) / max(len(truth), 1)


def f1(
    found: Sequence[Graph], truth: Sequence[Graph], counts: Callable[[tuple[str, ...]], bool] = lambda _: True
) -> float:
    """F1 of all captions' tuples together, that `counts`: 2 hits / (predicted + true); 1 where both have none."""
    pairs = [({x for x in a if counts(x)}, {x for x in b if counts(x)}) for a, b in zip(found, truth, strict=True)]
    every = sum(len(a) + len(b) for a, b in pairs)
    return 2.0 * sum(len(a & b) for a, b in pairs) / every if every else 1.0


def is_relation(triple: tuple[str, ...]) -> bool:
    """Whether a tuple relates two things: three parts, and not "is", which gives attributes and numbers."""
    return len(triple) == 3 and triple[1] != "is"


__all__ = ["f1", "is_relation", "set_match"]
