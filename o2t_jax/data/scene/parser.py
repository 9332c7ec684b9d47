"""The rule parser: one pass over a sentence's words, from left to right. docs/scene.md has its rules.

It knows the words of `words.py` and the nouns of a knowledge base, and names all others. What a relation or verb
goes with follows from its place: after "and" the clause's subject, after a verb the verb's, else the last noun.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from o2t_jax.data.scene import words
from o2t_jax.errors import UsageError
from o2t_jax.physics.scene.description import Action, Description, Entity, Relation

MOST_THINGS = 6
MOST_WORDS = 300  # with punctuation; a phrase is tried from each word on, so that thousands took seconds
_Group = tuple[int, ...]  # entities; empty where the noun is unknown


def tokens_of(sentence: str) -> list[str]:
    """Words in lower case, numbers and the punctuation that matters."""
    return re.findall(r"[a-z]+(?:'[a-z]+)?|\d+|[,.;]", sentence.lower())


def parse(sentence: str, nouns: Iterable[str]) -> Description:
    """What `sentence` says. `nouns`: the things that are known, besides persons.

    Raises: UsageError for an empty sentence, one of more than 300 words, one without a known noun, and a number of
    things above 6.
    """
    tokens = tokens_of(sentence)
    if len(tokens) > MOST_WORDS:
        raise UsageError(f"the sentence has {len(tokens)} words and signs: give at most {MOST_WORDS}")
    if not any(token.isalnum() for token in tokens):
        raise UsageError('the sentence is empty: give one such as "a red ball falls next to a person who walks"')
    description = _Reader(tokens, frozenset(nouns) | words.PERSONS).read()
    if not description.entities:
        raise UsageError(
            f"no known thing in {sentence!r} (unknown: {', '.join(description.unknown) or 'none'}): "
            f"known are person, {', '.join(sorted(set(nouns)))}"
        )
    return description


@dataclasses.dataclass
class _Noun:
    """A noun phrase as it was read; `singular` None: its noun is unknown."""

    singular: str | None
    number: int
    attributes: tuple[str, ...]
    definite: bool
    end: int


class _Reader:
    def __init__(self, tokens: list[str], nouns: frozenset[str]) -> None:
        self.tokens = tokens
        self.nouns = words.singular_of(nouns)
        self.entities: list[Entity] = []
        self.actions: list[Action] = []
        self.relations: list[Relation] = []
        self.unknown: list[str] = []
        self.main: _Group = ()  # subject of the clause
        self.subject: _Group = ()  # of the next verb or relation
        self.last: _Group = ()  # noun read last
        self.state = "start"  # start, noun (as subject), object, verb, be, relation, joiner, relative
        self.before = "start"  # the state before a joiner
        self.predicate: str | None = None
        self.verb: tuple[int, ...] = ()  # the last verb's actions
        self.passive: str | None = None

    def read(self) -> Description:
        i = 0
        while i < len(self.tokens):
            i = self._step(i)
        return Description(
            tuple(self.entities), tuple(self.actions), tuple(self.relations), tuple(dict.fromkeys(self.unknown))
        )

    def _step(self, i: int) -> int:
        """Reads what begins at token `i`; returns where the next begins."""
        token = self.tokens[i]
        if token in words.JOINERS:
            if self.state != "joiner":
                self.before, self.state = self.state, "joiner"
            return i + 1
        if token in words.RELATIVES and self.last and self.state in ("noun", "object"):
            self.subject, self.state = self.last, "relative"
            return i + 1
        if token in words.BE:
            if self.state != "relative":
                self.subject = self.main or self.subject
            self.state = "be"
            return i + 1
        if phrase := self._phrase(i):
            return self._relation(i, *phrase)
        if noun := self._noun(i):
            return self._add(noun)
        if token in words.PRONOUNS and (group := self._meant(words.PRONOUNS[token])):
            self._place(group, i + 1)
            return i + 1
        if token in words.verb_of():
            self._verb(token)
        elif token in words.MANNERS:
            for number in self.verb:
                action = self.actions[number]
                self.actions[number] = dataclasses.replace(action, manner=(*action.manner, token))
        elif token not in words.SILENT | words.DETERMINERS:
            self.unknown.append(token)
        return i + 1

    def _phrase(self, i: int) -> tuple[str, int] | None:
        """The predicate of the longest phrase that begins at `i`, and the number of its words."""
        for size in range(words.LONGEST_PHRASE, 0, -1):
            if predicate := words.PHRASES.get(tuple(self.tokens[i : i + size])):
                return predicate, size
        return None

    def _relation(self, i: int, predicate: str, size: int) -> int:
        if self.tokens[i] == "by" and self.passive:
            self.state = "agent"
            return i + 1
        if self.state == "joiner":
            self.subject = self.main
        elif self.state in ("noun", "object"):
            self.subject = self.last if self.state == "object" else self.main
        self.predicate, self.state = predicate, "relation"
        return i + size

    def _verb(self, token: str) -> None:
        verb = words.verb_of()[token]
        if self.state == "be" and token in words.participles():
            self.passive = verb
            self.state = "verb"
            return
        if self.state in ("joiner", "object") or self.state == "noun":
            self.subject = self.main
        first = len(self.actions)
        self.actions += [Action(subject, verb) for subject in self.subject]
        self.verb = tuple(range(first, len(self.actions)))
        self.passive, self.state = None, "verb"

    def _noun(self, i: int) -> _Noun | None:
        """The noun phrase that begins at `i`: (article | number)? attribute* noun."""
        start, number, definite, article = i, None, False, False
        while i < len(self.tokens) and (self.tokens[i] in words.DETERMINERS or self._number(i) is not None):
            definite |= self.tokens[i] == "the"
            article = True
            if (count := self._number(i)) is not None:
                number = count
            i += 1
        attributes, strange = [], []
        while i < len(self.tokens):
            token = self.tokens[i]
            after = self.tokens[i + 1] if i + 1 < len(self.tokens) else ""
            # "light" is a lamp too: an attribute only before more of the phrase.
            more = after in words.ATTRIBUTES or after in self.nouns
            if token in words.ATTRIBUTES and (more or token not in self.nouns):
                attributes.append(token)
            elif token in self.nouns:
                singular, many = self.nouns[token]
                self.unknown += strange
                # Two or more, not said how many: two.
                return _Noun(singular, number or (2 if many else 1), tuple(attributes), definite, i + 1)
            elif article and not self._is_known(i):
                strange.append(token)
            else:
                break
            i += 1
        if strange:
            self.unknown += strange
            return _Noun(None, 0, (), definite, i)
        self.unknown += attributes if i > start and not strange else []
        return _Noun(None, 0, (), definite, i) if attributes else None

    def _number(self, i: int) -> int | None:
        token = self.tokens[i]
        number = int(token) if token.isdecimal() else words.NUMBERS.get(token)
        if number is not None and not 1 <= number <= MOST_THINGS:
            raise UsageError(f"{token} things: the number must be from 1 to {MOST_THINGS}; say a smaller one")
        return number

    def _is_known(self, i: int) -> bool:
        token = self.tokens[i]
        fixed = words.JOINERS | words.RELATIVES | words.BE | words.SILENT | words.DETERMINERS
        return token in fixed or token in words.verb_of() or token in words.MANNERS or bool(self._phrase(i))

    def _add(self, noun: _Noun) -> int:
        group: _Group = ()
        if noun.singular is not None:
            entity = Entity(noun.singular, noun.number, noun.attributes)
            group = (self._same(entity) if noun.definite else None) or (len(self.entities),)
            if group[0] == len(self.entities):
                self.entities.append(entity)
        self._place(group, noun.end)
        return noun.end

    def _same(self, entity: Entity) -> _Group | None:
        """The last entity that "the ..." can mean."""
        for i in reversed(range(len(self.entities))):
            other = self.entities[i]
            if other.noun == entity.noun and set(entity.attributes) <= set(other.attributes):
                return (i,)
        return None

    def _meant(self, who: str) -> _Group:
        fits = [
            i
            for i, entity in enumerate(self.entities)
            if who == "any" or (entity.noun in words.PERSONS) == (who == "person")
        ]
        return (fits[-1],) if fits else ()

    def _place(self, group: _Group, end: int) -> None:
        """Gives the entities of a noun phrase, which ends before token `end`, their part in the clause."""
        self.last = group
        if self.state == "agent" and self.passive:
            self.actions += [Action(one, self.passive, other) for one in group for other in self.main]
            self.passive, self.state = None, "object"
        elif self.state == "relation" and self.predicate:
            self._relate(group)
        elif self.state == "verb" and self.verb and self.actions[self.verb[0]].verb in words.TRANSITIVE:
            # Of several objects the first; more than one subject share it.
            for number in self.verb:
                self.actions[number] = dataclasses.replace(self.actions[number], object=group[0] if group else None)
            self.state = "object"
        elif self.state == "joiner" and self.before == "object" and self.predicate and not self._starts_clause(end):
            self._relate(group)
        elif self.state == "joiner" and self.before == "noun":
            self.main = self.subject = self.main + group
            self.state = "noun"
        else:
            self.main = self.subject = group
            self.predicate, self.state = None, "noun"

    def _relate(self, group: _Group) -> None:
        self.relations += [Relation(one, self.predicate or "", other) for one in self.subject for other in group]
        self.state = "object"

    def _starts_clause(self, end: int) -> bool:
        token = self.tokens[end] if end < len(self.tokens) else ""
        return token in words.verb_of() or token in words.BE


__all__ = ["MOST_THINGS", "parse", "tokens_of"]
