"""Scenes that exist: drawn as layouts, their relations read off. They measure the planner."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float

from o2t_jax.physics.scene import planner
from o2t_jax.physics.scene.description import PREDICATES, Relation
from o2t_jax.physics.scene.kinds import Kind
from o2t_jax.physics.scene.relations import WALL, Problem, misses

_SIDE = 3.5  # m, half side of the square in which things are drawn
_STACKED = 0.3
_ORDERED = ("left of", "right of", "in front of", "behind", "on", "above")


def draw_scene(rng: np.random.Generator, kinds: Sequence[Kind], count: int) -> tuple[list[Kind], list[Relation]]:
    """`count` things that do not overlap, and up to two relations for each that hold between them."""
    while True:
        things = [kinds[i] for i in rng.integers(len(kinds), size=count)]
        place = np.zeros((count, 3))
        place[:, :2] = rng.uniform(-_SIDE, _SIDE, (count, 2))
        for i in range(1, count):
            if rng.random() < _STACKED:
                below = int(rng.integers(i))
                place[i] = place[below] + [0.0, 0.0, things[below].level]
        found = true_relations(things, place)
        contact = [r for r in found if r.predicate in ("on", "under", "in", "above")]
        lifted = {r.subject for r in contact if r.predicate in ("on", "above", "in")}
        _, overlap, _ = _missed(things, contact, place)
        if overlap.max() < 1e-6 and all(i in lifted or place[i, 2] == 0.0 for i in range(count)):
            break
    others = [r for r in found if r not in contact]
    chosen = [others[i] for i in rng.permutation(len(others))[: 2 * count]]
    return things, [*contact, *chosen]


def reversed_relation(rng: np.random.Generator, relations: Sequence[Relation]) -> Relation | None:
    """One of the relations with subject and object exchanged, which contradicts it; None where none is an order."""
    orders = [r for r in relations if r.predicate in _ORDERED]
    if not orders:
        return None
    chosen = orders[int(rng.integers(len(orders)))]
    return Relation(chosen.object, chosen.predicate, chosen.subject)


def true_relations(things: Sequence[Kind], place: Float[np.ndarray, "things 3"]) -> list[Relation]:
    """All relations that hold in a layout."""
    count = len(things)
    every = [Relation(i, p, j) for i in range(count) for j in range(count) if i != j for p in PREDICATES]
    found = []
    for first in range(0, len(every), planner.MOST_RELATIONS):
        part = every[first : first + planner.MOST_RELATIONS]
        missed, _, _ = _missed(things, part, place)
        found += [r for r, miss in zip(part, missed, strict=False) if miss < 1e-5 and _possible(things, r)]
    return found


def _possible(things: Sequence[Kind], relation: Relation) -> bool:
    low, high = things[relation.subject], things[relation.object]
    if relation.predicate == "under":
        return bool(2.0 * low.half[2] <= high.clearance and np.all(low.half[:2] + WALL <= high.half[:2]))
    return relation.predicate != "in" or (high.hollow and bool(np.all(low.half[:2] < high.half[:2] - WALL)))


def _missed(things: Sequence[Kind], relations: Sequence[Relation], place: np.ndarray) -> tuple[np.ndarray, ...]:
    padded = np.zeros((planner.MOST_THINGS, 3), np.float32)
    padded[: len(place)] = place
    missed, overlap, outside = (np.asarray(x) for x in _exact(planner.problem_of(things, relations), padded))
    return np.abs(missed).max(axis=1), overlap, outside


@jax.jit
def _exact(problem: Problem, place: jax.Array) -> tuple[jax.Array, ...]:
    return misses(problem, place, 0.0)


__all__ = ["draw_scene", "reversed_relation", "true_relations"]
