"""What a sentence says about a scene: entities, actions and relations, and their JSON form (docs/scene.md)."""

from __future__ import annotations

import dataclasses
from typing import Any

PREDICATES = ("on", "above", "under", "in", "left of", "right of", "in front of", "behind", "next to", "near")
"""Relations of two entities. Left, right, front and behind are as the camera sees them."""


@dataclasses.dataclass(frozen=True)
class Entity:
    """`number` things called `noun` (singular), with their attributes in the sentence's order."""

    noun: str
    number: int = 1
    attributes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Action:
    """What entity `subject` does; `verb` is the infinitive, `object` the entity that it is done to."""

    subject: int
    verb: str
    object: int | None = None
    manner: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Relation:
    """Entity `subject` is `predicate` (one of `PREDICATES`) entity `object`."""

    subject: int
    predicate: str
    object: int


@dataclasses.dataclass(frozen=True)
class Description:
    """Numbers of entities count from 0. `unknown`: words of the sentence that were left out."""

    entities: tuple[Entity, ...]
    actions: tuple[Action, ...] = ()
    relations: tuple[Relation, ...] = ()
    unknown: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """JSON types, keys in a fixed order."""
        return {
            "entities": [{"noun": e.noun, "number": e.number, "attributes": list(e.attributes)} for e in self.entities],
            "actions": [
                {"subject": a.subject, "verb": a.verb, "object": a.object, "manner": list(a.manner)}
                for a in self.actions
            ],
            "relations": [dataclasses.asdict(r) for r in self.relations],
            "unknown": list(self.unknown),
        }


__all__ = ["PREDICATES", "Action", "Description", "Entity", "Relation"]
