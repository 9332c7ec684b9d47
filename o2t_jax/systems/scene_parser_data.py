"""The sentences of system `scene_parser` and the sequences they give: made by the grammar, or captions of a folder."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from o2t_jax.config import Config
from o2t_jax.data.scene import captions, words
from o2t_jax.data.scene.coding import Vocabulary, encode
from o2t_jax.data.scene.grammar import sentences
from o2t_jax.data.scene.knowledge import load_kinds
from o2t_jax.data.scene.parser import tokens_of
from o2t_jax.data.scene.tokens import FIXED, to_tokens
from o2t_jax.errors import UsageError
from o2t_jax.physics.scene.description import Description

STRANGE = 200  # made-up things
DEV = 1000  # captions of train.csv that are held out where a folder has no dev.csv


class Made(NamedTuple):
    """Made sentences, what each says, and its words."""

    texts: Sequence[str]
    truths: Sequence[Description]
    words: Sequence[Sequence[str]]


class GrammarData:
    """Sentences of the grammar; tests have pairs of words that no training sentence has."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.nouns = tuple(sorted(load_kinds()))
        self.vocabulary = made_vocabulary((*self.nouns, *strange_nouns()), self.nouns)

    def split(self, name: str) -> Made:
        """Sentences of "train", "validation" or "test"."""
        return self._split(name)

    @functools.cached_property
    def train(self) -> dict[str, np.ndarray]:
        """All training pairs as `coding.encode` has them."""
        made = self.split("train")
        sequences = [to_tokens(truth) for truth in made.truths]
        return encode(self.vocabulary, made.words, sequences, self.config.length, self.config.out_length)

    @functools.cache  # noqa: B019 (it lives as long as its process)
    def _split(self, name: str) -> Made:
        config = self.config
        if name == "train":
            strange = round(config.strange * config.pairs)
            pairs = [
                *itertools.islice(sentences(config.seed, self.nouns, False), config.pairs - strange),
                *itertools.islice(sentences(config.seed + 1, (*self.nouns, *strange_nouns()), False), strange),
            ]
        else:
            # Other seeds than any training: the sentences do not depend on the run's.
            count = config.test_sentences if name == "test" else config.validation_sentences
            pairs = list(itertools.islice(sentences(10**6 + (name == "test"), self.nouns, True), count))
        texts, truths = zip(*pairs, strict=True)
        return Made(texts, truths, [tokens_of(text) for text in texts])


class CaptionData:
    """Captions of a folder; its dev.csv and test.csv are held out.

    Raises: UsageError where a file is missing or has too few.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def split(self, name: str) -> list[captions.Caption]:
        """Captions of "train", "validation" or "test"."""
        folder = Path(self.config.captions)
        if name == "test":
            return self._read(folder / "test.csv")
        if (folder / "dev.csv").exists():
            return self._read(folder / ("dev.csv" if name == "validation" else "train.csv"))
        every = self._read(folder / "train.csv")
        if len(every) <= DEV:
            raise UsageError(
                f"{folder} has no dev.csv, and the {len(every)} captions of train.csv are too few to hold out {DEV}: "
                "add a dev.csv"
            )
        return every[-DEV:] if name == "validation" else every[:-DEV]

    @functools.cached_property
    def vocabulary(self) -> Vocabulary:
        """That of the training captions."""
        return captions.vocabulary_of(self.split("train"), self.config.least, self.config.least_read)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the training captions and their graphs, from which the vocabulary is made."""
        said = [(caption.words, captions.graph_text(caption.graph)) for caption in self.split("train")]
        return hashlib.sha256("".join(f"{' '.join(own)}\t{graph}\n" for own, graph in said).encode()).hexdigest()

    @functools.cached_property
    def train(self) -> dict[str, np.ndarray]:
        """All training pairs as `coding.encode` has them, without those that are too long."""
        config = self.config
        pairs = [(caption.words, captions.to_sequence(caption)) for caption in self.split("train") if caption.graph]
        kept = [(w, s) for w, s in pairs if 0 < len(w) <= config.length and len(s) <= config.out_length]
        if not kept:
            raise UsageError(
                f"no caption of {config.captions} has a graph, at most length={config.length} words and "
                f"out_length={config.out_length} tokens: set --config.length and --config.out_length"
            )
        given, sequences = zip(*kept, strict=True)
        return encode(self.vocabulary, given, sequences, config.length, config.out_length)

    @functools.cache  # noqa: B019
    def _read(self, path: Path) -> list[captions.Caption]:
        return captions.read_captions(path)


def strange_nouns() -> tuple[str, ...]:
    """Made-up things, in no list of the vocabulary."""
    rng = np.random.default_rng(0)
    syllable = lambda: "".join(rng.choice(list(letters)) for letters in ("bdfgklmnprtvz", "aeiou"))  # noqa: E731
    ends = list("bdgklmnprt")
    made = ("".join(syllable() for _ in range(2)) + str(rng.choice(ends)) for _ in range(STRANGE))
    return tuple(word for word in made if word not in words.ATTRIBUTES)  # "metal" is one by chance


def made_vocabulary(nouns: Sequence[str], known_nouns: Sequence[str]) -> Vocabulary:
    """Words of the grammar and their forms. `nouns`: all that can be a thing; `known_nouns`: those in the list."""
    singular = words.singular_of(frozenset(nouns) | words.PERSONS)
    verb_of = words.verb_of()
    things = set(known_nouns) | words.PERSONS
    every = {word for phrase in words.PHRASES for word in phrase}
    every |= things | {words.plural(noun) for noun in things} | set(verb_of) | set(words.ATTRIBUTES)
    every |= set(words.MANNERS) | set(words.NUMBERS) | words.DETERMINERS | words.RELATIVES | words.BE | words.JOINERS
    known = tuple(sorted((every | words.SILENT) - set(FIXED)))

    def lemma(word: str) -> str:
        return singular[word][0] if word in singular else verb_of.get(word, word)

    return Vocabulary(FIXED, known, lemma)


__all__ = ["CaptionData", "GrammarData", "Made", "made_vocabulary", "strange_nouns"]
