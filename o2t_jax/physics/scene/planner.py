"""Where things go: relations as energies, minimised from several starts by L-BFGS (Liu & Nocedal 1989; optax).

The energy is the sum of squares of what `relations.misses` returns, with a margin, so that a minimum at 0 holds all
relations. Orders that go round in a circle (A above B above A) are found before, as a graph.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from o2t_jax.errors import UsageError
from o2t_jax.physics.scene.description import PREDICATES, Relation
from o2t_jax.physics.scene.kinds import Kind
from o2t_jax.physics.scene.relations import ROOM, WALL, Problem, misses

MOST_THINGS, MOST_RELATIONS = 12, 36
TOLERANCE = 0.01  # m by which a relation may be missed
_MARGIN = 0.03  # m to spare in the energy
_STEPS, _STARTS, _ROUNDS = 120, 8, 3
_TOGETHER = 1e-5  # energy per m^2 from the middle: of all layouts a compact one
_SPREAD = 2.5  # m, half side of the square of the starts
_CONTACT = ("on", "under", "in")
_ORDERS = {  # predicate -> (axis, whether the subject is the greater)
    "on": ("z", True),
    "above": ("z", True),
    "under": ("z", False),
    "left of": ("x", False),
    "right of": ("x", True),
    "in front of": ("y", False),
    "behind": ("y", True),
}


class Plan(NamedTuple):
    """`place` [N, 3] m of each thing's footprint's middle and lowest height; `missed` [R] m by relation, `overlap` m
    of the worst pair; `energy`."""

    place: Float[np.ndarray, "things 3"]
    missed: Float[np.ndarray, " relations"]
    overlap: float
    energy: float

    @property
    def holds(self) -> bool:
        """Whether all relations hold and nothing overlaps, to `TOLERANCE`."""
        return max([self.overlap, *self.missed]) <= TOLERANCE


def plan(things: Sequence[Kind], relations: Sequence[Relation], seed: int = 0) -> Plan:
    """The best layout found; `holds` says whether it is one. Relations count things, not entities.

    Raises: UsageError for too many things or relations.
    """
    problem = problem_of(things, relations)
    best: Plan | None = None
    for key in jax.random.split(jax.random.key(seed), _ROUNDS):
        places, energy, missed, overlap = (np.asarray(x) for x in _minimise(problem, key))
        worst = np.maximum(missed.max(axis=1), overlap)
        i = int(
            np.argmin(np.where(worst <= TOLERANCE, -1.0 / (1e-9 + energy), worst))
        )  # of those that hold the most compact
        found = Plan(places[i, : len(things)], missed[i, : len(relations)], float(overlap[i]), float(energy[i]))
        if best is None or max([found.overlap, *found.missed]) < max([best.overlap, *best.missed]):
            best = found
        if best.holds:
            break
    assert best is not None
    return best


def problem_of(things: Sequence[Kind], relations: Sequence[Relation]) -> Problem:
    """The arrays of `plan`. Raises: UsageError for too many things or relations."""
    if len(things) > MOST_THINGS or len(relations) > MOST_RELATIONS:
        raise UsageError(
            f"the scene has {len(things)} things and {len(relations)} relations between them: at most {MOST_THINGS} "
            f"and {MOST_RELATIONS}; say fewer"
        )
    count, pad = len(things), MOST_THINGS - len(things)
    half = np.pad(np.array([thing.half for thing in things], np.float32).reshape(-1, 3), ((0, pad), (0, 0)))
    apart = np.triu(np.ones((MOST_THINGS, MOST_THINGS), bool), 1)
    apart[count:] = apart[:, count:] = False
    lifted = np.zeros(MOST_THINGS, bool)
    for relation in relations:
        lifted[relation.subject] |= relation.predicate in ("on", "above", "in")
        if relation.predicate in _CONTACT:
            low, high = sorted((relation.subject, relation.object))
            apart[low, high] = False
    rows = [(r.subject, r.object, PREDICATES.index(r.predicate), 1) for r in relations]
    table = np.array(rows + [(0, 0, 0, 0)] * (MOST_RELATIONS - len(rows)), np.int32)
    level = np.pad(np.array([thing.level for thing in things], np.float32), (0, pad))
    subject, other, kind, holds = table.T
    return Problem(half, level, np.arange(MOST_THINGS) < count, lifted, subject, other, kind, holds > 0, apart)


def feasible_words(things: Sequence[Kind], relations: Sequence[Relation]) -> list[Relation]:
    """The relations as the planner wants them: under a thing without room beneath means that it stands on the other.

    Raises: UsageError for a relation of a thing to itself, orders in a circle, and things that do not go into another.
    """
    for relation in relations:
        if relation.subject == relation.object:
            raise UsageError(f"{_said(things, relation)}: a thing cannot be so to itself; name another thing")
    _check_orders(things, relations)
    turned = []
    for relation in relations:
        low, high = things[relation.subject], things[relation.object]
        if relation.predicate == "under" and 2.0 * low.half[2] > high.clearance:
            relation = Relation(relation.object, "on", relation.subject)
        elif relation.predicate == "in" and not (high.hollow and np.all(low.half[:2] < high.half[:2] - WALL)):
            why = "it is too small" if high.hollow else "it is not open above"
            raise UsageError(f"{_said(things, relation)}: {why}; say on, under or next to")
        turned.append(relation)
    return turned


def _check_orders(things: Sequence[Kind], relations: Sequence[Relation]) -> None:
    for axis in "xyz":
        graph: dict[int, set[int]] = {}
        said: dict[tuple[int, int], Relation] = {}
        for relation in relations:
            along, greater = _ORDERS.get(relation.predicate, ("", True))
            if along == axis:
                low, high = (relation.object, relation.subject)[:: 1 if greater else -1]
                graph.setdefault(high, set()).add(low)
                said[low, high] = relation
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle = error.args[1]
            steps = [said.get((a, b)) or said[b, a] for a, b in pairwise(circle)]
            text = " and ".join(_said(things, step) for step in reversed(steps))
            raise UsageError(f"impossible relations: {text} cannot all hold; leave one out") from None


def explain(things: Sequence[Kind], relations: Sequence[Relation], found: Plan) -> str:
    """One line on why `found` does not hold."""
    worst = [(m, r) for m, r in zip(found.missed, relations, strict=True) if m > TOLERANCE]
    if not worst:
        return f"the things do not fit: two overlap by {found.overlap:.2f} m in the best layout found; say fewer"
    text = ", ".join(f"{_said(things, r)} (misses by {m:.2f} m)" for m, r in sorted(worst, key=lambda x: -x[0])[:3])
    return f"impossible relations: no layout was found for {text}; leave one out"


def _said(things: Sequence[Kind], relation: Relation) -> str:
    return f"{things[relation.subject].name} {relation.predicate} {things[relation.object].name}"


@functools.partial(jax.jit, static_argnames="starts")
def _minimise(problem: Problem, key: jax.Array, starts: int = _STARTS) -> tuple[jax.Array, ...]:
    """Places [K, N, 3], energy [K], misses by relation [K, R] and the worst overlap or place [K] from K starts."""

    def energy(place: jax.Array) -> jax.Array:
        missed, overlap, outside = misses(problem, place, _MARGIN)
        centre = jnp.sum(jnp.square(place[:, :2]) * problem.there[:, None])
        return sum(jnp.sum(jnp.square(x)) for x in (missed, overlap, outside)) + _TOGETHER * centre

    solver = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(energy)

    def step(carry: tuple[jax.Array, optax.OptState], _: None) -> tuple[tuple[jax.Array, optax.OptState], None]:
        place, state = carry
        value, gradient = value_and_grad(place, state=state)
        change, state = solver.update(gradient, state, place, value=value, grad=gradient, value_fn=energy)
        return (optax.apply_updates(place, change), state), None  # pyright: ignore[reportReturnType]

    def descend(start: jax.Array) -> jax.Array:
        return jax.lax.scan(step, (start, solver.init(start)), None, length=_STEPS)[0][0]

    scale = jnp.array([_SPREAD, _SPREAD, 1.0])
    place = scale * jax.random.uniform(key, (starts, MOST_THINGS, 3), minval=-1.0)
    place = jax.vmap(descend)(place.at[..., 2].set(jnp.abs(place[..., 2])))
    missed, overlap, outside = jax.vmap(lambda p: misses(problem, p, 0.0))(place)
    worst = jnp.maximum(jnp.max(overlap, axis=(1, 2)), jnp.max(jnp.abs(outside), axis=(1, 2)))
    return place, jax.vmap(energy)(place), jnp.max(jnp.abs(missed), axis=-1), worst


__all__ = ["MOST_RELATIONS", "MOST_THINGS", "ROOM", "TOLERANCE", "Plan", "explain", "feasible_words", "plan"]
