"""From words to clips: the motions whose captions are nearest, by shared words or by a local sentence encoder.

find = Clips(read_motion_captions(path), bag_of_words)      # or sentence_encoder(folder)
find("a person walks in a circle", 3)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.sparse

from o2t_jax.data.motion.captions import Captioned
from o2t_jax.data.motion.wordpiece import WordPiece
from o2t_jax.data.safetensors import read_safetensors
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.motion.retrieval import best_of_items, recall
from o2t_jax.models.motion.bert import BertSizes, SentenceEncoder, params_of
from o2t_jax.parsing import json_of

Encode = Callable[[Sequence[str]], Any]  # texts -> rows of length 1, dense or sparse
MakeEncoder = Callable[[Sequence[str]], Encode]  # from the texts that will be looked in
WEIGHTS = "model.safetensors"
POOL = 32  # motions, as in R-precision (Guo et al. 2022, T2M)
_AT_ONCE, _STEP, _MOST = 64, 16, 128  # sentences, tokens


class Found(NamedTuple):
    """A clip, how well it fits (cosine), and its caption that fits best."""

    motion: Captioned
    score: float
    text: str


class Measured(NamedTuple):
    """Recalls by k among `motions`, and among `pool` of them, over `queries`."""

    recall: dict[int, float]
    of_pool: dict[int, float]
    queries: int
    motions: int
    pool: int


class Clips:
    """Motions by their captions."""

    def __init__(self, motions: Sequence[Captioned], make: MakeEncoder) -> None:
        self.motions = motions
        self.texts = [text for motion in motions for text in motion.texts]
        self.item = np.repeat(np.arange(len(motions)), [len(motion.texts) for motion in motions])
        self.encode = make(self.texts)
        self.vectors = self.encode(self.texts)

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Cosines [queries, captions]."""
        product = self.encode(texts) @ self.vectors.T
        # Equal captions are equal, whatever the order of the sums.
        return np.round(product.toarray() if scipy.sparse.issparse(product) else np.asarray(product), 5)

    def __call__(self, text: str, count: int) -> list[Found]:
        """The `count` motions that fit best. Raises: UsageError where no caption has any of the words."""
        scores = self.scores([text])[0]
        if not np.any(scores):
            raise UsageError(f"no caption has any word of {text!r}: say it in other words")
        best = np.argsort(-best_of_items(scores[None], self.item)[0], kind="stable")[:count]
        found = []
        for motion in best:
            rows = np.flatnonzero(self.item == motion)
            row = rows[np.argmax(scores[rows])]
            found.append(Found(self.motions[motion], float(scores[row]), self.texts[row]))
        return found


def bag_of_words(texts: Sequence[str]) -> Encode:
    """Counts of words, each times log((1 + N) / (1 + n)) + 1 of the N texts of which n have it, as unit vectors."""
    counted = Counter(word for text in texts for word in set(_words(text)))
    number = {word: i for i, word in enumerate(sorted(counted))}
    rarity = np.array([np.log((1 + len(texts)) / (1 + counted[word])) + 1.0 for word in number])

    def encode(given: Sequence[str]) -> Any:
        cells = [(row, number[w]) for row, text in enumerate(given) for w in _words(text) if w in number]
        rows, columns = np.array(cells, int).reshape(-1, 2).T
        shape = (len(given), len(number))
        bag = scipy.sparse.csr_array((np.ones(len(cells)), (rows, columns)), shape=shape).multiply(rarity).tocsr()
        length = np.sqrt(np.asarray(bag.multiply(bag).sum(axis=1)).ravel())
        return bag.multiply(1.0 / np.maximum(length, 1e-12)[:, None]).tocsr()

    return encode


def sentence_encoder(folder: Path) -> MakeEncoder:
    """BERT's encoder from a folder with config.json, model.safetensors and vocab.txt or tokenizer.json, such as one of
    all-MiniLM-L6-v2. Nothing is downloaded. Raises: UsageError where a file is missing or another network's."""
    missing = [name for name in ("config.json", WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"{folder} has no {' and no '.join(missing)}: give the folder of a MiniLM sentence encoder")
    try:
        values = json_of((folder / "config.json").read_text("utf-8"))
    except (ValueError, OSError):
        raise UsageError(f"{folder / 'config.json'} is not readable JSON") from None
    sizes = BertSizes.from_json(values, str(folder / "config.json"))
    pieces = WordPiece.from_folder(folder)
    if max(pieces.pieces.values()) >= sizes.vocab_size:  # its embedding would be NaN
        raise UsageError(f"{folder} has more pieces of words than the {sizes.vocab_size} of its config.json")
    params = params_of(read_safetensors(folder / WEIGHTS), sizes, str(folder / WEIGHTS))
    apply: Any = jax.jit(SentenceEncoder(sizes).apply)

    def encode(given: Sequence[str]) -> np.ndarray:
        texts = sorted(set(given), key=lambda text: len(pieces.numbers(text)))
        known: dict[str, np.ndarray] = {}
        for first in range(0, len(texts), _AT_ONCE):
            part = texts[first : first + _AT_ONCE]
            longest = max(len(pieces.numbers(text, _MOST)) for text in part)
            length = min(-(-longest // _STEP) * _STEP, sizes.max_position_embeddings)
            padded = part + [part[-1]] * (_AT_ONCE - len(part))
            vectors = np.asarray(apply({"params": params}, *pieces.batch(padded, length)))
            known |= dict(zip(part, vectors, strict=False))
        return np.stack([known[text] for text in given])

    return lambda _: encode


def measure(motions: Sequence[Captioned], make: MakeEncoder, ks: Sequence[int] = (1, 3), chunk: int = 200) -> Measured:
    """From a caption to another one of the same motion. Queries: the last caption of each motion that has several,
    looked for among the other captions of all motions, and of the motion and 31 drawn ones. Raises: UsageError where no
    motion has two captions."""
    several = [i for i, motion in enumerate(motions) if len(motion.texts) > 1]
    if not several:
        raise UsageError("no motion has two captions: there is nothing to look for")
    kept = [m._replace(texts=m.texts[:-1]) if len(m.texts) > 1 else m for m in motions]
    clips, rng = Clips(kept, make), np.random.default_rng(0)
    pool = min(POOL, len(motions))
    hits: dict[int, list[np.ndarray]] = {k: [] for k in ks}
    drawn: dict[int, list[np.ndarray]] = {k: [] for k in ks}
    for first in range(0, len(several), chunk):
        right = np.array(several[first : first + chunk])
        scores = best_of_items(clips.scores([motions[i].texts[-1] for i in right]), clips.item)
        others = np.stack([_others(rng, len(motions), i, pool - 1) for i in right])
        few = np.take_along_axis(scores, np.concatenate([right[:, None], others], axis=1), axis=1)
        for k in ks:
            hits[k].append(recall(scores, right, k))
            drawn[k].append(recall(few, np.zeros(len(right), int), k))
    mean = lambda found: {k: float(np.mean(np.concatenate(x))) for k, x in found.items()}  # noqa: E731
    return Measured(mean(hits), mean(drawn), len(several), len(motions), pool)


def _others(rng: np.random.Generator, count: int, but: int, size: int) -> np.ndarray:
    """`size` different numbers below `count`, not `but`."""
    found = rng.choice(count - 1, size, replace=False)
    return found + (found >= but)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


__all__ = ["Clips", "Found", "Measured", "bag_of_words", "measure", "sentence_encoder"]
