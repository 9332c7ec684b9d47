"""A small encoder-decoder that writes a description's tokens: generates some, copies the others from the sentence.

Transformer (Vaswani et al. 2017, arXiv 1706.03762) with a pointer (See et al. 2017, arXiv 1704.04368): one softmax over
the tokens that can be generated and the sentence's words; the probability of a token is the sum over all ways to it.
"""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from o2t_jax.types import Array

_NEVER = -1e9


class _Block(nn.Module):
    """Self-attention, attention to `memory` where there is one, and two dense layers; all residual, norms before."""

    heads: int
    dropout: float

    @nn.compact
    def __call__(self, x: jax.Array, mask: Any, memory: Any, memory_mask: Any, *, train: bool) -> jax.Array:
        drop = nn.Dropout(self.dropout, deterministic=not train)
        y = nn.LayerNorm()(x)
        x = x + drop(nn.MultiHeadDotProductAttention(self.heads)(y, y, mask=mask))
        if memory is not None:
            x = x + drop(nn.MultiHeadDotProductAttention(self.heads)(nn.LayerNorm()(x), memory, mask=memory_mask))
        y = nn.gelu(nn.Dense(2 * x.shape[-1])(nn.LayerNorm()(x)))
        return x + drop(nn.Dense(x.shape[-1])(y))


class PointerParser(nn.Module):
    """`size` words are read, `fixed` tokens can be generated. Sentences to `length`, sequences to `out_length`."""

    size: int
    fixed: int
    length: int
    out_length: int
    width: int = 128
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1

    def setup(self) -> None:
        self.embed = nn.Embed(self.size, self.width)
        self.places = nn.Embed(self.length, self.width)
        self.out_places = nn.Embed(self.out_length, self.width)
        self.reading = [_Block(self.heads, self.dropout) for _ in range(self.layers)]
        self.writing = [_Block(self.heads, self.dropout) for _ in range(self.layers)]
        self.read_norm, self.write_norm = nn.LayerNorm(), nn.LayerNorm()
        self.generate = nn.Dense(self.fixed)
        self.point, self.pointed = nn.Dense(self.width), nn.Dense(self.width)

    def read(
        self, words: Int[Array, "b s"], lemmas: Int[Array, "b s"], there: Bool[Array, "b s"], *, train: bool = False
    ) -> Float[jax.Array, "b s d"]:
        """The sentence's memory."""
        x = self.embed(words) + self.embed(lemmas) + self.places(jnp.arange(words.shape[1]))
        mask = nn.make_attention_mask(there, there)
        for block in self.reading:
            x = block(x, mask, None, None, train=train)
        return self.read_norm(x)

    def write(
        self,
        memory: Float[Array, "b s d"],
        there: Bool[Array, "b s"],
        before: Int[Array, "b t"],
        *,
        train: bool = False,
    ) -> Float[jax.Array, "b t ways"]:
        """Log probabilities of generating each fixed token, then of copying each word, after tokens `before`."""
        x = self.embed(before) + self.out_places(jnp.arange(before.shape[1]))
        mask = nn.make_causal_mask(before)
        memory_mask = nn.make_attention_mask(jnp.ones_like(before), there)
        for block in self.writing:
            x = block(x, mask, memory, memory_mask, train=train)
        x = self.write_norm(x)
        copied = jnp.einsum("btd,bsd->bts", self.point(x), self.pointed(memory)) / self.width**0.5
        copied = jnp.where(there[:, None], copied, _NEVER)
        return jax.nn.log_softmax(jnp.concatenate([self.generate(x), copied], -1))

    def __call__(self, batch: Any, *, train: bool = False) -> jax.Array:
        """`write` of `data.scene.tokens.Encoded`."""
        memory = self.read(batch.words, batch.lemmas, batch.there, train=train)
        return self.write(memory, batch.there, batch.before, train=train)


def loss(ways: Float[Array, "b t ways"], batch: Any) -> jax.Array:
    """Mean negative log probability of the tokens, nat."""
    fixed = ways.shape[-1] - batch.copies.shape[-1]
    generated = jnp.take_along_axis(ways[..., :fixed], jnp.maximum(batch.target, 0)[..., None], -1)[..., 0]
    generated = jnp.where(batch.target >= 0, generated, _NEVER)
    copied = jax.nn.logsumexp(jnp.where(batch.copies, ways[..., fixed:], _NEVER), axis=-1)
    both = jnp.logaddexp(generated, copied)
    return -jnp.sum(jnp.where(batch.counts, both, 0.0)) / jnp.maximum(jnp.sum(batch.counts), 1)


@functools.partial(jax.jit, static_argnums=0)
def greedy(model: PointerParser, params: Any, batch: Any, start: int) -> Int[jax.Array, "b t"]:
    """The likeliest token, one after the other: below `model.fixed` a generated one, else `model.fixed` + its word."""
    batch = jax.tree.map(jnp.asarray, batch)
    memory = model.apply(params, batch.words, batch.lemmas, batch.there, method="read")
    count, length = batch.words.shape
    rows = jnp.arange(count)
    can = batch.fixed >= 0

    def step(t: int, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        before, chosen = state
        ways = jnp.exp(model.apply(params, memory, batch.there, before, method="write")[:, t])
        generated, copied = ways[:, : model.fixed], ways[:, model.fixed :]
        # The same token by several ways: those of one that can be generated count there.
        generated = generated.at[rows[:, None], jnp.maximum(batch.fixed, 0)].add(copied * can)
        copied = jnp.einsum("bs,bsr->br", copied, batch.same.astype(copied.dtype)) * ~can
        best = jnp.argmax(jnp.concatenate([generated, copied], -1), -1)
        word = batch.lemmas[rows, jnp.clip(best - model.fixed, 0, length - 1)]
        following = jnp.where(best < model.fixed, best, word)
        return before.at[:, t + 1].set(following, mode="drop"), chosen.at[:, t].set(best)

    blank = jnp.zeros((count, model.out_length), jnp.int32)
    return jax.lax.fori_loop(0, model.out_length, step, (blank.at[:, 0].set(start), blank))[1]


__all__ = ["PointerParser", "greedy", "loss"]
