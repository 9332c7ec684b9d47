"""Sentences to vectors: numbers of words by hashing, and two encoders of them.

Words have no list: a word's number is its hash, so that a new one needs no new model (and means nothing to this one).
"""

from __future__ import annotations

import re
import zlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from o2t_jax.models.layers import MLP, Dense
from o2t_jax.types import Array

BUCKETS = 1024
WORDS = 12  # of a sentence; later ones are dropped
HEADS, BLOCKS = 4, 2  # of the transformer
ENCODERS = ("bag", "transformer")


def word_numbers(sentence: str, buckets: int = BUCKETS, words: int = WORDS) -> Int[np.ndarray, " words"]:
    """Numbers 1 to `buckets` - 1 of a sentence's words, in lower case, then zeros."""
    found = [1 + zlib.crc32(word.encode()) % (buckets - 1) for word in re.findall(r"\w+", sentence.lower())][:words]
    return np.array(found + [0] * (words - len(found)), np.int32)


class TextEncoder(nn.Module):
    """Attributes: `width` of the result; `kind`, a name in `ENCODERS`: the mean of the words' vectors and two dense
    layers, or the document's transformer (two blocks of four heads with learned places), both without padding."""

    width: int
    kind: str

    @nn.compact
    def __call__(self, words: Int[Array, "batch words"]) -> Float[jax.Array, "batch width"]:
        words = jnp.asarray(words)
        there = (words > 0)[..., None].astype(jnp.float32)
        x = nn.Embed(BUCKETS, self.width, name="embedding")(words)
        if self.kind == "transformer":
            place = self.param("place", nn.initializers.normal(0.02), (words.shape[-1], self.width), jnp.float32)
            x = x + place
            for i in range(BLOCKS):
                x = _Block(name=f"block{i}")(x, there[..., 0] > 0)
        mean = jnp.sum(there * x, axis=-2) / jnp.maximum(jnp.sum(there, axis=-2), 1.0)
        return MLP((self.width, self.width), name="out")(mean)


class _Block(nn.Module):
    """Pre-normalised attention over the words that are there, and a dense part (Vaswani et al. 2017)."""

    @nn.compact
    def __call__(self, x: jax.Array, there: jax.Array) -> jax.Array:
        mask = there[:, None, None, :] & there[:, None, :, None]
        attention = nn.MultiHeadDotProductAttention(HEADS, name="attention")
        x = x + attention(nn.LayerNorm(name="norm")(x), mask=mask)
        y = nn.silu(Dense(2 * x.shape[-1], name="wide")(nn.LayerNorm(name="norm_out")(x)))
        return x + Dense(x.shape[-1], name="back")(y)


__all__ = ["BUCKETS", "ENCODERS", "WORDS", "TextEncoder", "word_numbers"]
