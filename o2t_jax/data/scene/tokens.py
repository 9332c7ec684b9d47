"""Descriptions as sequences of tokens: what the learned parser writes of a made sentence (`coding.py` numbers them).

    E 1 red ball E 1 person A #0 fall A #1 walk R #0 next_to #1 .

Of a sequence's tokens some are generated (`FIXED`), all others are copied from the sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

from o2t_jax.physics.scene.description import PREDICATES, Action, Description, Entity, Relation

END = "."
_INDICES = tuple(f"#{i}" for i in range(8))
_NUMBERS = tuple(str(i) for i in range(1, 7))
FIXED = (END, "E", "A", "R", *_NUMBERS, *_INDICES, *(name.replace(" ", "_") for name in PREDICATES))


def to_tokens(description: Description) -> list[str]:
    """The sequence of a description, without its unknown words."""
    found = []
    for entity in description.entities:
        found += ["E", str(entity.number), *entity.attributes, entity.noun]
    for action in description.actions:
        target = [] if action.object is None else [f"#{action.object}"]
        found += ["A", f"#{action.subject}", action.verb, *target, *action.manner]
    for relation in description.relations:
        found += ["R", f"#{relation.subject}", relation.predicate.replace(" ", "_"), f"#{relation.object}"]
    return [*found, END]


def from_tokens(tokens: Sequence[str]) -> Description | None:
    """The description of a sequence; None where it is none."""
    groups: list[list[str]] = []
    for token in tokens:
        if token == END:
            break
        if token in ("E", "A", "R"):
            groups.append([token])
        elif groups:
            groups[-1].append(token)
        else:
            return None
    try:
        parts = [_part(group[0], group[1:]) for group in groups]
    except (ValueError, IndexError):
        return None
    entities = tuple(part for part in parts if isinstance(part, Entity))
    actions = tuple(part for part in parts if isinstance(part, Action))
    relations = tuple(part for part in parts if isinstance(part, Relation))
    named = [i for a in actions for i in (a.subject, a.object or 0)] + [
        i for r in relations for i in (r.subject, r.object)
    ]
    return Description(entities, actions, relations) if all(i < len(entities) for i in named) else None


def _part(kind: str, rest: list[str]) -> Entity | Action | Relation:
    if kind == "E":
        return Entity(rest[-1], int(rest[0]), tuple(rest[1:-1]))
    first = _INDICES.index(rest[0])
    if kind == "R":
        return Relation(
            first, PREDICATES[[p.replace(" ", "_") for p in PREDICATES].index(rest[1])], _INDICES.index(rest[2])
        )
    target = _INDICES.index(rest[2]) if rest[2:3] and rest[2] in _INDICES else None
    return Action(first, rest[1], target, tuple(rest[2 if target is None else 3 :]))


__all__ = ["END", "FIXED", "from_tokens", "to_tokens"]
