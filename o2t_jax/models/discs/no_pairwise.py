"""`NoPairwise`: the paper's baseline whose encoder sees one object at a time."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.models.discs.base import DiscModel
from o2t_jax.models.discs.classic import Decoder, Encoder
from o2t_jax.models.discs.inputs import Seen
from o2t_jax.types import Array


class NoPairwise(DiscModel):
    """As `Classic` without its pair layer: encodings of the context's objects, each by itself, are summed.

    The decoder sees [sum, the encoding of the disc itself], both from the same encoder; its output times `speed` is
    added to the last velocity. With the document's five numbers it has 23,302 parameters. Source: Chang et al. 2017
    (arXiv:1612.00341), figure 2c, and their code for the shared encoder without biases.

    Attributes: `width` of all layers; `layers` of encoder and of decoder.
    """

    width: int = 50
    layers: int = 5

    @nn.compact
    def velocity(self, seen: Seen, last: Float[Array, "scenes discs 2"], train: bool) -> Float[Array, "scenes discs 2"]:
        """See `DiscModel`."""
        encoder = Encoder(self.width, self.layers, self.dtype, name="encoder")
        both = jnp.concatenate([self.sum_of(encoder, seen.context, seen), encoder(seen.own)], axis=-1)
        return last + Decoder(self.width, self.layers, self.dtype, name="decoder")(both)


__all__ = ["NoPairwise"]
