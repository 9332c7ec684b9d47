"""`Classic`: the Neural Physics Engine, as re-implemented in the document and as its authors built it."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.config import unknown_choice
from o2t_jax.models.discs.base import DiscModel
from o2t_jax.models.discs.inputs import Seen
from o2t_jax.models.layers import Dense, zeros
from o2t_jax.types import Array

PAIRS = ("joint", "two")


class Encoder(nn.Module):
    """`layers` x (linear `width` without bias, ReLU), so that 0 gives 0; `dtype` as in `DiscModel`."""

    width: int = 50
    layers: int = 5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch width"]:
        for i in range(self.layers):
            x = nn.relu(Dense(self.width, use_bias=False, dtype=self.dtype, name=f"layer_{i}")(x))
        return x


class PairEncoder(nn.Module):
    """The pair layer, of `width` / 2 numbers each for focus and context with `pair` = two, then an `Encoder`."""

    pair: str = "joint"
    width: int = 50
    layers: int = 5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch width"]:
        def linear(name: str, x: Array) -> Array:
            return Dense(self.width // 2, use_bias=False, dtype=self.dtype, name=name)(x)

        if self.pair == "joint":
            x = linear("pair", x)
        elif self.pair == "two":
            focus, context = jnp.split(x, 2, axis=-1)
            x = nn.relu(jnp.concatenate([linear("focus", focus), linear("context", context)], axis=-1))
        else:
            raise unknown_choice("pair", self.pair, PAIRS)
        return Encoder(self.width, self.layers, self.dtype, name="layers")(x)


class Decoder(nn.Module):
    """`layers` - 1 x (linear `width`, ReLU), then linear to 2 numbers, which start at 0."""

    width: int = 50
    layers: int = 5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch 2"]:
        for i in range(self.layers - 1):
            x = nn.relu(Dense(self.width, dtype=self.dtype, name=f"layer_{i}")(x))
        return Dense(2, dtype=self.dtype, kernel_init=zeros, name="out")(x)


class Classic(DiscModel):
    """Encodings of pairs, summed over the context, and a decoder that gives the change of velocity.

    The decoder sees [sum, the disc's own numbers]; its output times `speed` is added to the last velocity. Untrained,
    discs move straight: the last layer starts at 0, which is our choice. Source: Chang, Ullman, Torralba & Tenenbaum,
    ICLR 2017 (arXiv:1612.00341), figure 2b.

    Attributes: `pair`, the pair layer: "joint", one linear map of focus and context together without bias or
    activation, as in the document (22,552 parameters); "two", a linear map with ReLU for each of them, joined, as in
    the paper's own code. `width` of all layers (of the pair layer's maps: half); `layers` of encoder and of decoder.
    Raises: UsageError for an unknown `pair`.
    """

    pair: str = "joint"
    width: int = 50
    layers: int = 5

    @nn.compact
    def velocity(self, seen: Seen, last: Float[Array, "scenes discs 2"], train: bool) -> Float[Array, "scenes discs 2"]:
        """See `DiscModel`."""
        encoder = PairEncoder(self.pair, self.width, self.layers, self.dtype, name="encoder")
        message = self.sum_of(encoder, seen.pairs(), seen)
        change = Decoder(self.width, self.layers, self.dtype, name="decoder")(jnp.concatenate([message, seen.own], -1))
        return last + change


__all__ = ["PAIRS", "Classic", "Decoder", "Encoder", "PairEncoder"]
