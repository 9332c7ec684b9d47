"""Captions' scene graphs by the rule parser: what its description says, as tuples in the caption's words."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence

from o2t_jax.data.scene import words
from o2t_jax.data.scene.captions import Caption, Triple
from o2t_jax.data.scene.parser import MOST_THINGS, parse
from o2t_jax.errors import UsageError
from o2t_jax.physics.scene.description import Description


def nouns_of(captions: Iterable[Caption], least: int = 3) -> tuple[str, ...]:
    """Things of `least` training graphs, of one word."""
    found = collections.Counter(part for c in captions for t in c.graph for part in (t[0], t[-1]) if t[1:2] != ("is",))
    return tuple(sorted(noun for noun, count in found.items() if count >= least and noun.isalpha()))


def rule_graph(caption: Sequence[str], nouns: Iterable[str]) -> tuple[Triple, ...]:
    """The tuples of a caption's words; none where the rules refuse it."""
    try:
        description = parse(" ".join(caption), nouns)
    except UsageError:
        return ()
    return graph_of(description, caption)


def graph_of(description: Description, caption: Sequence[str]) -> tuple[Triple, ...]:
    """A description as tuples; a thing is called as in the caption, which may be its plural."""
    counted = any(word in words.NUMBERS or word.isdecimal() for word in caption)
    names = [e.noun if e.noun in caption else words.plural(e.noun) for e in description.entities]
    found: list[Triple] = []
    for entity, name in zip(description.entities, names, strict=True):
        found += [(name, "is", attribute) for attribute in entity.attributes]
        found += [(name, "is", str(entity.number))] if counted and 1 < entity.number <= MOST_THINGS else []
    for action in description.actions:
        what = ("is", action.verb) if action.object is None else (action.verb, names[action.object])
        found.append((names[action.subject], *what))
    found += [(names[r.subject], r.predicate, names[r.object]) for r in description.relations]
    said = {part for triple in found for part in triple}
    found += [(name,) for name in names if name not in said]
    return tuple(dict.fromkeys(found))


__all__ = ["graph_of", "nouns_of", "rule_graph"]
