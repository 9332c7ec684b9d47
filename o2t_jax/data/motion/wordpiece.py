"""BERT's tokens: words in lower case without accents, cut greedily into the longest pieces that a vocabulary has
(Devlin et al. 2019, arXiv 1810.04805)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from o2t_jax.errors import UsageError
from o2t_jax.parsing import json_of

BEGIN, END, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
_MOST_PIECES = 2**24
MOST_LETTERS = 100  # longer words are unknown


class WordPiece:
    """`pieces`: piece -> number; those inside a word begin with ##."""

    def __init__(self, pieces: dict[str, int]) -> None:
        missing = [token for token in (BEGIN, END, UNKNOWN) if token not in pieces]
        if missing:
            raise UsageError(f"the vocabulary of pieces has no {', '.join(missing)}: it is none of BERT")
        self.pieces = pieces

    @classmethod
    def from_folder(cls, folder: Path) -> WordPiece:
        """From vocab.txt, one piece a line, or tokenizer.json. Raises: UsageError where neither can be read."""
        lines, whole = folder / "vocab.txt", folder / "tokenizer.json"
        try:
            if lines.is_file():
                # Not splitlines: a piece may be a sign that Unicode takes for the end of a line.
                text = lines.read_text("utf-8").removesuffix("\n")
                kind, found = "WordPiece", {piece: i for i, piece in enumerate(text.split("\n"))}
            else:
                model = json_of(whole.read_text("utf-8"))["model"]
                kind, found = model["type"], {str(piece): int(i) for piece, i in dict(model["vocab"]).items()}
            if not all(0 <= number < _MOST_PIECES for number in found.values()):
                raise ValueError("a number that is none of a piece")
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            raise UsageError(f"{folder} has no vocab.txt and no tokenizer.json that holds pieces of words") from None
        if kind != "WordPiece":
            raise UsageError(f"{whole} is a {kind} tokenizer; a WordPiece one is needed")
        return cls(found)

    def numbers(self, text: str, most: int = 128) -> list[int]:
        """[CLS], the pieces' numbers (at most `most` with both ends), [SEP]."""
        found = [number for word in _words(text) for number in self._cut(word)]
        return [self.pieces[BEGIN], *found[: most - 2], self.pieces[END]]

    def batch(self, texts: Sequence[str], length: int) -> tuple[Int[np.ndarray, "b t"], Int[np.ndarray, "b t"]]:
        """Numbers padded by 0, and 1 where there is a token."""
        numbers, there = np.zeros((2, len(texts), length), np.int32)
        for i, text in enumerate(texts):
            own = self.numbers(text, length)
            numbers[i, : len(own)], there[i, : len(own)] = own, 1
        return numbers, there

    def _cut(self, word: str) -> list[int]:
        if len(word) > MOST_LETTERS:
            return [self.pieces[UNKNOWN]]
        found, first = [], 0
        while first < len(word):
            for last in range(len(word), first, -1):
                number = self.pieces.get(("##" if first else "") + word[first:last])
                if number is not None:
                    found.append(number)
                    first = last
                    break
            else:
                return [self.pieces[UNKNOWN]]
        return found


def _words(text: str) -> list[str]:
    """Words and single signs of punctuation."""
    plain = [c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn"]
    return "".join(f" {c} " if _is_sign(c) else " " if unicodedata.category(c)[0] == "C" else c for c in plain).split()


def _is_sign(c: str) -> bool:
    """Punctuation as BERT has it: also signs such as $ and +."""
    return (c.isascii() and c.isprintable() and not c.isalnum() and c != " ") or unicodedata.category(c)[0] == "P"


__all__ = ["WordPiece"]
