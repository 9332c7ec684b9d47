"""Captions with their scene graphs: files in the form of FACTUAL's, and the sequences that a network writes of them.

A file is a CSV with the columns caption and scene_graph, such as

    young girl sitting on a bed,"( girl , on , bed ) , ( girl , is , young )"

(Li et al. 2023, arXiv 2305.17497). A tuple is mostly (subject, predicate, object); attributes and numbers are objects
of "is", and a thing of which nothing is said is a tuple of one. As a sequence the tuples stand in the caption's order:

    girl | is | young ; girl | on | bed .
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from o2t_jax.data.scene.coding import Vocabulary
from o2t_jax.errors import UsageError

Triple = tuple[str, ...]
END, BETWEEN, NEXT = ".", "|", ";"
_TUPLE = re.compile(r"\(([^()]*)\)")


@dataclasses.dataclass(frozen=True)
class Caption:
    """A caption's words and what it says, in the file's order."""

    words: tuple[str, ...]
    graph: tuple[Triple, ...]


def read_captions(path: Path) -> list[Caption]:
    """All captions of a file. Raises: UsageError where it cannot be read or has another form."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): give a CSV of captions (docs/scene.md)") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no CSV of captions ({error}): see docs/scene.md") from None
    if not rows or not {"caption", "scene_graph"} <= set(rows[0]):
        raise UsageError(f"{path} has no columns caption and scene_graph, or no rows: see docs/scene.md")
    return [Caption(tuple(words_of(row["caption"] or "")), read_graph(row["scene_graph"] or "")) for row in rows]


def words_of(caption: str) -> list[str]:
    """Words in lower case as the files have them; punctuation at a word's end stands apart and is left out."""
    return [word for word in re.split(r"[\s,.;:!?\"]+", caption.lower()) if word]


def read_graph(text: str) -> tuple[Triple, ...]:
    """The tuples of "( a , b , c ) , ( d , is , e )"."""
    parts = (tuple(" ".join(x.split()) for x in found.split(",")) for found in _TUPLE.findall(text.lower()))
    return tuple(part for part in parts if any(part))


def graph_text(graph: Iterable[Triple]) -> str:
    """`read_graph`'s inverse."""
    return " , ".join(f"( {' , '.join(triple)} )" for triple in graph)


def to_sequence(caption: Caption) -> list[str]:
    """The tokens of a caption's graph; equal tuples once, in the order of their things and words in the caption."""
    place = {word: i for i, word in reversed(list(enumerate(caption.words)))}

    def order(triple: Triple) -> tuple[int, ...]:
        places = [[place[word] for word in part.split() if word in place] for part in triple]
        subject, last = min(places[0], default=len(place)), min(places[-1], default=-1)
        return max(subject, last), subject, last

    tokens: list[str] = []
    for triple in sorted(dict.fromkeys(caption.graph), key=order):
        for part in triple:
            tokens += [*part.split(), BETWEEN]
        tokens[-1] = NEXT
    return [*tokens[:-1], END]


def from_sequence(tokens: Sequence[str]) -> tuple[Triple, ...]:
    """The tuples of a sequence, whatever it is; empty parts are left out."""
    text = " ".join(tokens)
    parts = (tuple(x.strip() for x in part.split(BETWEEN)) for part in text.split(NEXT))
    return tuple(dict.fromkeys(part for part in parts if all(part)))


def vocabulary_of(captions: Sequence[Caption], least: int, least_read: int) -> Vocabulary:
    """Tokens that `least` sequences have and the caption does not are generated; words of `least_read` captions known.

    A word's lemma is the predicate or other word of the graphs that English inflection makes it a form of.
    """
    written: collections.Counter[str] = collections.Counter()
    read: collections.Counter[str] = collections.Counter()
    lemmas: collections.Counter[str] = collections.Counter()
    for caption in captions:
        own = set(caption.words)
        read.update(own)
        said = {word for triple in caption.graph for part in triple for word in part.split()}
        written.update(said - own)
        lemmas.update(said)
    fixed = [END, BETWEEN, NEXT, *sorted(word for word, count in written.items() if count >= least)]
    fixed = list(dict.fromkeys(fixed))
    known = sorted(word for word, count in (read | lemmas).items() if count >= least_read and word not in fixed)
    return Vocabulary(tuple(fixed), tuple(known), Stems(lemmas))


class Stems:
    """Word -> the commonest word of `known` that it can be a form of: sitting -> sit, lying -> lie; else itself."""

    def __init__(self, known: collections.Counter[str]) -> None:
        self.known = known

    def __call__(self, word: str) -> str:
        found = [stem for stem in _stems(word) if stem in self.known]
        return max(found, key=lambda stem: self.known[stem]) if found else word


def _stems(word: str) -> list[str]:
    """What `word` can be a form of by its ending."""
    found = []
    for ending in ("ing", "ed", "es", "s", "d", "n", "en"):
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < 2:
            continue
        found += [stem, stem + "e"]
        found += [stem[:-1]] if stem[-1] == stem[-2] else []
        found += [stem[:-1] + "y"] if stem[-1] == "i" else []
        found += [stem[:-1] + "ie"] if stem[-1] == "y" else []
    return found


__all__ = [
    "Caption",
    "Stems",
    "Triple",
    "from_sequence",
    "graph_text",
    "read_captions",
    "read_graph",
    "to_sequence",
    "vocabulary_of",
    "words_of",
]
