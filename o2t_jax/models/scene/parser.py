"""A small encoder-decoder that writes a sentence's meaning: it generates some tokens and copies the others.

Two GRUs that read in both directions, one that writes with attention (Bahdanau et al. 2015, arXiv 1409.0473), and a
pointer (See et al. 2017, arXiv 1704.04368): one softmax over the tokens that can be generated and all words of the
sentence in two forms. A token's probability is the sum over all ways to it, so words in no list can be written too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from o2t_jax.types import Array

_NEVER = -1e9


class Memory(NamedTuple):
    """What was read: `words` [B, S, D] with `keys` of them, `start` [B, D] of what writes, `there` [B, S] 0 or 1."""

    words: jax.Array
    keys: jax.Array
    start: jax.Array
    there: jax.Array


class _Writer(nn.Module):
    """One token: the GRU's step on the token before and what was attended to, then attention."""

    width: int

    @nn.compact
    def __call__(self, carry: tuple[Any, Any], before: jax.Array, memory: Memory) -> Any:
        state, seen = carry
        state, _ = nn.GRUCell(self.width, name="gru")(state, jnp.concatenate([before, seen], -1))
        score = jnp.einsum("bd,bsd->bs", nn.Dense(self.width, use_bias=False, name="ask")(state), memory.keys)
        score = jnp.where(memory.there > 0, score / self.width**0.5, _NEVER)
        seen = jnp.einsum("bs,bsd->bd", jax.nn.softmax(score), memory.words)
        return (state, seen), jnp.concatenate([state, seen], -1)


class PointerParser(nn.Module):
    """`embedded` embeddings, `generated` tokens that can be written by themselves, `endings`; sentences of `length`."""

    embedded: int
    generated: int
    endings: int
    length: int
    width: int = 128
    layers: int = 1
    dropout: float = 0.1

    def setup(self) -> None:
        self.embed = nn.Embed(self.embedded, self.width)
        self.embed_ending = nn.Embed(self.endings, self.width)
        self.join = nn.Dense(self.width)
        half = self.width // 2
        self.reading = [
            nn.Bidirectional(nn.RNN(nn.GRUCell(half)), nn.RNN(nn.GRUCell(half))) for _ in range(self.layers)
        ]
        self.key, self.begin = nn.Dense(self.width, use_bias=False), nn.Dense(self.width)
        scan = nn.scan(
            _Writer,
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=(1, nn.broadcast),
            out_axes=1,
        )
        self.writer = scan(self.width)
        self.out = nn.Dense(self.width)
        self.generate = nn.Dense(self.generated)
        self.point = nn.Dense(2 * self.width)
        self.pointed = nn.Dense(2 * self.width)
        self.drop = nn.Dropout(self.dropout)

    def read(self, batch: Mapping[str, Array], *, train: bool = False) -> Memory:
        """The sentence's memory, from "forms", "endings" and the words' part of "present" (`data.scene.coding`)."""
        there = jnp.asarray(batch["present"])[:, : self.length]
        forms = self.embed(jnp.asarray(batch["forms"]))
        parts = [forms[:, : self.length], forms[:, self.length :], self.embed_ending(jnp.asarray(batch["endings"]))]
        x = self.drop(self.join(jnp.concatenate(parts, -1)), deterministic=not train) * there[..., None]
        count = jnp.sum(there, axis=1).astype(jnp.int32)
        for layer in self.reading:
            y = self.drop(layer(x, seq_lengths=count), deterministic=not train) * there[..., None]
            x = x + y
        mean = jnp.sum(x, axis=1) / jnp.maximum(jnp.sum(there, axis=1), 1.0)[:, None]
        return Memory(x, self.key(x), jnp.tanh(self.begin(mean)), there)

    def step(self, memory: Memory, carry: tuple[Any, Any], before: Int[Array, " b"]) -> Any:
        """One token on: the new carry, and `ways` [B, W] after the token whose embedding is `before`."""
        carry, found = self.writer(carry, self.embed(before)[:, None], memory)
        return carry, self._ways(memory, found, train=False)[:, 0]

    def first(self, memory: Memory) -> tuple[jax.Array, jax.Array]:
        """The carry before the first token."""
        return memory.start, jnp.zeros_like(memory.start)

    def __call__(self, batch: Mapping[str, Array], *, train: bool = False) -> Float[jax.Array, "b t ways"]:
        """Log probabilities of all ways to each token, after the true ones before it."""
        memory = self.read(batch, train=train)
        before = self.drop(self.embed(jnp.asarray(batch["before"])), deterministic=not train)
        _, found = self.writer(self.first(memory), before, memory)
        return self._ways(memory, found, train=train)

    def _ways(self, memory: Memory, found: jax.Array, *, train: bool) -> Float[jax.Array, "b t ways"]:
        """First the generated tokens, then the words, then their lemmas."""
        x = self.drop(jnp.tanh(self.out(found)), deterministic=not train)
        split = lambda y: jnp.split(y, 2, axis=-1)  # noqa: E731 (as it stands, as its lemma)
        copied = [
            jnp.where(memory.there[:, None] > 0, jnp.einsum("btd,bsd->bts", a, b) / self.width**0.5, _NEVER)
            for a, b in zip(split(self.point(x)), split(self.pointed(memory.words)), strict=True)
        ]
        return jax.nn.log_softmax(jnp.concatenate([self.generate(x), *copied], -1))


def loss(ways: Float[Array, "b t ways"], batch: Mapping[str, Array], length: int) -> Float[jax.Array, " b"]:
    """Negative log probability of the tokens, nat: each sentence's mean over its own tokens."""
    ways, target = jnp.asarray(ways), jnp.asarray(batch["target"])
    generated = ways.shape[-1] - 2 * length
    own = jnp.take_along_axis(ways[..., :generated], jnp.clip(target, 0, generated - 1)[..., None], -1)[..., 0]
    own = jnp.where((target >= 0) & (target < generated), own, _NEVER)
    same = target[:, :, None] == jnp.asarray(batch["ids"])[:, None]
    copied = jax.nn.logsumexp(jnp.where(same, ways[..., generated:], _NEVER), axis=-1)
    counts = jnp.asarray(batch["present"])[:, length:]
    every = jnp.where(counts > 0, -jnp.logaddexp(own, copied), 0.0)
    return jnp.sum(every, axis=1) / jnp.maximum(jnp.sum(counts, axis=1), 1.0)


def write(
    model: PointerParser, params: Any, batch: Mapping[str, Array], size: int, out_length: int
) -> tuple[Float[jax.Array, "b t ways"], Int[jax.Array, "b t"]]:
    """The likeliest token, one after the other: log probabilities of the ways, and the tokens' numbers.

    Args: `size`: tokens in a list (`Vocabulary.size`). Reads nothing of the target.
    """
    variables = {"params": params}
    memory: Any = model.apply(variables, batch, method="read")
    ids, forms = jnp.asarray(batch["ids"]), jnp.asarray(batch["forms"])
    rows = jnp.arange(len(ids))[:, None]
    generated, most = model.generated, size + ids.shape[1]

    def step(state: Any, _: None) -> Any:
        carry, before = state
        carry, ways = model.apply(variables, memory, carry, before, method="step")  # pyright: ignore[reportGeneralTypeIssues]
        chance = jnp.exp(ways)
        total = jnp.zeros((len(ids), most + 1)).at[:, :generated].set(chance[:, :generated])
        total = total.at[rows, jnp.where(ids < 0, most, ids)].add(chance[:, generated:])
        best = jnp.argmax(total[:, :most], axis=-1)
        # A word in no list has the embedding of its first place in the sentence.
        place = jnp.argmax(ids == best[:, None], axis=-1)
        following = jnp.where(best < size, best, jnp.take_along_axis(forms, place[:, None], 1)[:, 0])
        return (carry, following), (ways, best)

    start = jnp.full(len(ids), model.embedded - 1)
    first: Any = model.apply(variables, memory, method="first")
    _, (ways, chosen) = jax.lax.scan(step, (first, start), None, length=out_length)
    return jnp.moveaxis(ways, 0, 1), jnp.moveaxis(chosen, 0, 1)


__all__ = ["Memory", "PointerParser", "loss", "write"]
