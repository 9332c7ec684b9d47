"""Sentences and the sequences they give as numbers: what the learned parser reads, and what it is compared with.

A token is named by one number: below `Vocabulary.generated` the network can write it by itself; up to
`Vocabulary.size` it is known; from there on it is a word of this sentence that is in no list, counted in the sentence.
A token with several ways to it (generated, copied as it stands, copied as its lemma) has one number.
"""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

BUCKETS = 64  # embeddings of words that are in no list
ENDINGS = 256  # embeddings of a word's last three letters
_NOTHING = -1


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """`fixed`: tokens that can be generated, the first of which ends a sequence; `known`: further words that are read;
    `lemma`: the other form in which a word can be copied."""

    fixed: tuple[str, ...]
    known: tuple[str, ...]
    lemma: Callable[[str], str]

    @property
    def generated(self) -> int:
        """The number of tokens that can be generated."""
        return len(self.fixed)

    @property
    def size(self) -> int:
        """The number of tokens in a list."""
        return len(self.fixed) + len(self.known)

    @property
    def embedded(self) -> int:
        """The number of embeddings: the lists, `BUCKETS`, and the start of a sequence (the last one)."""
        return self.size + BUCKETS + 1

    @functools.cached_property
    def numbers(self) -> Mapping[str, int]:
        """Token -> its number, of those in a list."""
        return {token: i for i, token in enumerate((*self.fixed, *self.known))}

    def embedding(self, token: str) -> int:
        """The number of a token's embedding."""
        found = self.numbers.get(token)
        return self.size + zlib.crc32(token.encode()) % BUCKETS if found is None else found

    def forms(self, words: Sequence[str]) -> list[str]:
        """All that can be copied from a sentence of these words: they, then their lemmas."""
        return [*words, *map(self.lemma, words)]

    def local(self, forms: Sequence[str]) -> dict[str, int]:
        """Number -> of each form that is in no list: it counts on from `size`."""
        strange = dict.fromkeys(form for form in forms if form not in self.numbers)
        return {form: self.size + i for i, form in enumerate(strange)}


def encode(
    vocabulary: Vocabulary,
    sentences: Sequence[Sequence[str]],
    sequences: Sequence[Sequence[str]],
    length: int,
    out_length: int,
) -> dict[str, np.ndarray]:
    """B sentences of words, cut at S = `length`, and the T = `out_length` tokens that each gives (none: to predict).

    Returns:
        forms: [B, 2 S] embeddings of the words, then of their lemmas.
        ids: [B, 2 S] their tokens' numbers; -1 where there is no word.
        endings: [B, S] buckets of the words' last three letters.
        present: float32 [B, S + T] 1 where there is a word, then where a token counts.
        target: [B, T] numbers of the tokens; before: [B, T] the embedding of what comes before each.
    """
    count = len(sentences)
    made = {
        "forms": np.zeros((count, 2 * length), np.int32),
        "ids": np.full((count, 2 * length), _NOTHING, np.int32),
        "endings": np.zeros((count, length), np.int32),
        "present": np.zeros((count, length + out_length), np.float32),
        "target": np.zeros((count, out_length), np.int32),
        "before": np.full((count, out_length), vocabulary.embedded - 1, np.int32),
    }
    for b, given in enumerate(sentences):
        words = list(given[:length])
        size, forms = len(words), vocabulary.forms(words)
        local = vocabulary.local(forms)
        number = {**local, **{form: vocabulary.numbers[form] for form in forms if form not in local}}
        for first, part in ((0, forms[:size]), (length, forms[size:])):
            made["forms"][b, first : first + size] = [vocabulary.embedding(form) for form in part]
            made["ids"][b, first : first + size] = [number[form] for form in part]
        made["endings"][b, :size] = [zlib.crc32(word[-3:].encode()) % ENDINGS for word in words]
        made["present"][b, :size] = 1.0
        if not len(sequences):
            continue
        tokens = list(sequences[b][:out_length])
        made["before"][b, 1 : len(tokens)] = [vocabulary.embedding(token) for token in tokens[:-1]]
        for t, token in enumerate(tokens):
            found = local.get(token, vocabulary.numbers.get(token, _NOTHING))
            # A token that can be neither generated nor copied teaches nothing.
            can = 0 <= found < vocabulary.generated or token in number
            made["target"][b, t] = found if can else _NOTHING
            made["present"][b, length + t] = float(can)
    return made


def decode(vocabulary: Vocabulary, words: Sequence[str], chosen: Sequence[int], length: int) -> list[str]:
    """The tokens of a sequence of numbers, without its end."""
    strange = list(vocabulary.local(vocabulary.forms(list(words[:length]))))
    known = (*vocabulary.fixed, *vocabulary.known)
    tokens = []
    for number in chosen:
        if number == 0:
            break
        place = int(number) - vocabulary.size
        tokens.append(known[number] if place < 0 else strange[place] if place < len(strange) else known[0])
    return tokens


__all__ = ["BUCKETS", "ENDINGS", "Vocabulary", "decode", "encode"]
