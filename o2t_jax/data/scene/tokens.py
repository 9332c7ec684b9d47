"""Descriptions as sequences of tokens, and sentences as numbers: what the learned parser reads and writes.

    E 1 red ball E 1 person A 0 fall A 1 walk R 0 next_to 1 .

Of a sequence's tokens some are generated (`FIXED`), all others are copied from the sentence's lemmas.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from o2t_jax.physics.scene.description import PREDICATES, Action, Description, Entity, Relation

END, START = ".", "<s>"
_INDICES = tuple(f"#{i}" for i in range(8))
_NUMBERS = tuple(str(i) for i in range(1, 7))
FIXED = (END, START, "E", "A", "R", *_NUMBERS, *_INDICES, *(name.replace(" ", "_") for name in PREDICATES))
BUCKETS = 32  # for words that are not in the vocabulary


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


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Numbers of words that are read, and of tokens that can be generated; all others are copied."""

    known: tuple[str, ...]
    fixed: tuple[str, ...] = FIXED

    def __post_init__(self) -> None:
        object.__setattr__(self, "_numbers", {w: i for i, w in enumerate((*self.fixed, *self.known))})

    def __len__(self) -> int:
        return len(self.fixed) + len(self.known) + BUCKETS

    def number(self, word: str) -> int:
        """That of a word; one of `BUCKETS` for an unknown one."""
        numbers: Mapping[str, int] = self._numbers  # pyright: ignore[reportAttributeAccessIssue]
        found = numbers.get(word)
        return len(numbers) + zlib.crc32(word.encode()) % BUCKETS if found is None else found


class Encoded(NamedTuple):
    """B sentences of S words, and the sequences of T tokens they give. `words`, `lemmas` [B, S], `fixed` [B, S] the
    number of a lemma among the generated tokens (-1: it can only be copied), `same` [B, S, S] whether two lemmas are
    equal, `there` [B, S]. `before` [B, T] the token before each, `target` [B, T] its number among the generated (-1),
    `copies` [B, T, S] where it can be copied from, `counts` [B, T]."""

    words: Int[np.ndarray, "b s"]
    lemmas: Int[np.ndarray, "b s"]
    fixed: Int[np.ndarray, "b s"]
    same: Bool[np.ndarray, "b s s"]
    there: Bool[np.ndarray, "b s"]
    before: Int[np.ndarray, "b t"]
    target: Int[np.ndarray, "b t"]
    copies: Bool[np.ndarray, "b t s"]
    counts: Bool[np.ndarray, "b t"]


def encode(
    read: Sequence[tuple[Sequence[str], Sequence[str]]],
    written: Sequence[Sequence[str]],
    vocabulary: Vocabulary,
    length: int,
    out_length: int,
) -> Encoded:
    """Sentences as (words, lemmas), and their sequences (empty at prediction), padded to `length` and `out_length`."""
    count = len(read)
    fixed = {token: i for i, token in enumerate(vocabulary.fixed)}
    made = Encoded(
        np.zeros((count, length), np.int32),
        np.zeros((count, length), np.int32),
        np.full((count, length), -1, np.int32),
        np.zeros((count, length, length), bool),
        np.zeros((count, length), bool),
        np.zeros((count, out_length), np.int32),
        np.full((count, out_length), -1, np.int32),
        np.zeros((count, out_length, length), bool),
        np.zeros((count, out_length), bool),
    )
    for b, (given, lemmas) in enumerate(read):
        given, lemmas = given[:length], np.array(lemmas[:length])
        size = len(given)
        made.words[b, :size] = [vocabulary.number(word) for word in given]
        made.lemmas[b, :size] = [vocabulary.number(word) for word in lemmas]
        made.fixed[b, :size] = [fixed.get(str(word), -1) for word in lemmas]
        made.same[b, :size, :size] = lemmas[:, None] == lemmas[None]
        made.there[b, :size] = True
        tokens = written[b][:out_length] if len(written) else []
        for t, token in enumerate(tokens):
            made.before[b, t] = fixed[START] if t == 0 else vocabulary.number(tokens[t - 1])
            made.target[b, t] = fixed.get(token, -1)
            made.copies[b, t, :size] = lemmas == token
            # A token that can be neither generated nor copied teaches nothing.
            made.counts[b, t] = made.target[b, t] >= 0 or bool(made.copies[b, t].any())
    return made


__all__ = [
    "BUCKETS",
    "END",
    "FIXED",
    "START",
    "Encoded",
    "Vocabulary",
    "encode",
    "from_tokens",
    "to_tokens",
]
