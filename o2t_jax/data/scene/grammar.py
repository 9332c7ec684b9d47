"""Sentences made by a grammar, each with what it says: training pairs for the learned parser, with a held-out part.

Held out are pairs of words: (noun, predicate), (attribute, noun) and (noun, verb) whose hash falls in a tenth. No
training sentence has one of them; every test sentence has at least one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from o2t_jax.data.scene import words
from o2t_jax.physics.scene.description import Action, Description, Entity, Relation

HELD_OUT = 0.1
_PERSON_VERBS = tuple(verb for verb in words.GAIT_OF if verb not in words.TRANSITIVE)
_NUMBER_WORDS = {number: word for word, number in words.NUMBERS.items()}
_SAID = {
    predicate: [" ".join(p) for p, name in words.PHRASES.items() if name == predicate and p != ("by",)]
    for predicate in words.PHRASES.values()
}


def pairs_of(description: Description) -> Iterator[tuple[str, str]]:
    """The pairs of words that a test holds out."""
    for entity in description.entities:
        yield from ((attribute, entity.noun) for attribute in entity.attributes)
    for action in description.actions:
        yield description.entities[action.subject].noun, action.verb
    for relation in description.relations:
        yield description.entities[relation.subject].noun, relation.predicate


def is_held_out(description: Description) -> bool:
    """Whether it has a held-out pair."""
    return any(zlib.crc32("/".join(pair).encode()) % 1000 < 1000 * HELD_OUT for pair in pairs_of(description))


def sentences(seed: int, nouns: tuple[str, ...], held_out: bool) -> Iterator[tuple[str, Description]]:
    """Endless pairs of a sentence and what it says, all with (or all without) a held-out pair of words."""
    rng = np.random.default_rng((seed, int(held_out)))
    while True:
        sentence, description = _Writer(rng, nouns).write()
        if is_held_out(description) == held_out:
            yield sentence, description


class _Writer:
    def __init__(self, rng: np.random.Generator, nouns: tuple[str, ...]) -> None:
        self.rng = rng
        self.nouns = nouns
        self.entities: list[Entity] = []
        self.actions: list[Action] = []
        self.relations: list[Relation] = []

    def write(self) -> tuple[str, Description]:
        text = self._clause()
        if self.rng.random() < 0.35:
            text += self._one((" and ", " while ", ", ")) + self._clause(plain=True)
        text += "." if self.rng.random() < 0.3 else ""
        return text, Description(tuple(self.entities), tuple(self.actions), tuple(self.relations))

    def _one(self, choices: tuple[str, ...] | list[str]) -> str:
        return choices[int(self.rng.integers(len(choices)))]

    def _clause(self, plain: bool = False) -> str:
        """One clause. `plain`: it begins with a noun and its verb, so that it follows another without doubt."""
        kind = self.rng.random()
        if kind < 0.2 and not plain:
            start, text = len(self.entities), self._noun()
            is_are = "are" if self.entities[start].number > 1 else "is"
            return f"there {is_are} {text} {self._relation(start)}"
        if kind < 0.4:
            start, text = len(self.entities), self._noun()
            return f"{text} {'are' if self.entities[start].number > 1 else 'is'} {self._relation(start)}"
        if kind < 0.6:
            return self._doing(plain)
        if kind < 0.7 and not plain:
            start, text = len(self.entities), self._noun()
            return f"{text} {self._relation(start)}"
        start, text = len(self.entities), self._noun()
        if kind < 0.8 and not plain:  # "on a table and a lamp and a ball fall" can mean more than one thing
            text += f" and {self._noun()}"
        group = range(start, len(self.entities))
        text += " " + self._verb(group)
        return f"{text} {self._relation(*group)}" if self.rng.random() < 0.6 else text

    def _doing(self, plain: bool) -> str:
        start = len(self.entities)
        verb = self._one(sorted(words.TRANSITIVE))
        forms = words.verb_forms(verb)
        if self.rng.random() < 0.3 and not plain:
            text = self._noun(person=False)
            many = self.entities[start].number > 1
            self.actions.append(Action(start + 1, verb, start))
            return f"{text} {'are' if many else 'is'} {forms['past']} by {self._noun(person=True)}"
        text = self._noun(person=True)
        said = self._form(verb, self.entities[start].number > 1)
        self.actions.append(Action(start, verb, start + 1))
        return f"{text} {said} {self._noun(person=False)}"

    def _form(self, verb: str, many: bool) -> str:
        forms = words.verb_forms(verb)
        if self.rng.random() < 0.3:
            return f"{'are' if many else 'is'} {forms['ing']}"
        return verb if many else forms["third"]

    def _verb(self, group: range) -> str:
        many = len(group) > 1 or self.entities[group[0]].number > 1
        person = all(self.entities[i].noun in words.PERSONS for i in group)
        verb = self._one(_PERSON_VERBS if person else words.THING_VERBS)
        manner = (self._one(words.MANNERS),) if self.rng.random() < 0.2 else ()
        self.actions += [Action(i, verb, None, manner) for i in group]
        return " ".join((self._form(verb, many), *manner))

    def _relation(self, *group: int) -> str:
        predicate = self._one(sorted(set(words.PHRASES.values())))
        said = self._one(_SAID[predicate])
        other = len(self.entities)
        text = f"{said} {self._noun()}"
        self.relations += [Relation(i, predicate, other) for i in group]
        if self.entities[other].noun in words.PERSONS and self.rng.random() < 0.4:
            text += f" {self._one(('who', 'that'))} {self._verb(range(other, other + 1))}"
        return text

    def _noun(self, person: bool | None = None) -> str:
        """A noun phrase of a new entity."""
        person = self.rng.random() < 0.3 if person is None else person
        noun = self._one(sorted(words.PERSONS - {"someone"})) if person else self._one(self.nouns)
        number = int(self.rng.integers(2, 7)) if self.rng.random() < 0.2 else 1
        kinds = [list(words.COLOURS), list(words.SIZE_FACTORS), list(words.MASS_FACTORS)]
        count = int(self.rng.choice([0, 1, 2], p=[0.45, 0.4, 0.15]))
        chosen = [self._one(kinds[i]) for i in self.rng.permutation(3)[:count]]
        self.entities.append(Entity(noun, number, tuple(chosen)))
        said = [*chosen, words.plural(noun) if number > 1 else noun]
        first = (
            _NUMBER_WORDS[number] if number > 1 else self._one(("the", words.article(said[0]), words.article(said[0])))
        )
        return " ".join((first, *said))


__all__ = ["is_held_out", "pairs_of", "sentences"]
