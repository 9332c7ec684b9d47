"""`Modern`: the document's larger network of pairs, of normalised residual blocks."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.models.discs.base import DiscModel
from o2t_jax.models.discs.inputs import Seen
from o2t_jax.models.layers import Dense, lecun_normal, zeros
from o2t_jax.types import Array

EPSILON = 1e-5  # of LayerNorm, as in PyTorch; Flax has 1e-6


def gelu(x: Float[Array, "*batch width"]) -> Float[Array, "*batch width"]:
    """x times the normal distribution's integral up to x. Flax' exact one goes by erfc, which takes twice the time."""
    return x * (0.5 + 0.5 * jax.lax.erf(x * 0.5**0.5))


class Trunk(nn.Module):
    """Linear `width`, GELU, then residual blocks x + linear(GELU(linear(LayerNorm(x)))), `expansion` times as wide
    inside. Dropout with probability `dropout` after the first GELU and after both halves of each block.
    """

    width: int
    blocks: int
    expansion: int
    dropout: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "*batch inputs"], train: bool) -> Float[Array, "*batch width"]:
        drop = nn.Dropout(self.dropout, deterministic=not train)
        x = drop(gelu(Dense(self.width, dtype=self.dtype, name="first")(x)))
        for i in range(self.blocks):
            y = nn.LayerNorm(EPSILON, dtype=self.dtype, name=f"norm_{i}")(x)
            y = drop(gelu(Dense(self.expansion * self.width, dtype=self.dtype, name=f"wide_{i}")(y)))
            x = x + drop(Dense(self.width, dtype=self.dtype, name=f"narrow_{i}")(y))
        return x


class Modern(DiscModel):
    """Encodings of pairs by a `Trunk`, summed over the context, and a decoder: a `Trunk`, LayerNorm, linear.

    The decoder sees [sum, the disc's own numbers] and gives the next velocity over `speed`; at the defaults it has
    236,738 parameters. Source: the document.

    Attributes: `msg_dim` numbers of an encoding, and width of the decoder; `enc_blocks`, `dec_blocks`, `expansion` and
    `dropout` of the trunks (dropout in training only, by the random numbers "dropout"); `residual`: the output is the
    change of velocity, as in `Classic`, and untrained discs move straight.
    """

    msg_dim: int = 96
    enc_blocks: int = 3
    dec_blocks: int = 3
    expansion: int = 2
    dropout: float = 0.0
    residual: bool = False

    @nn.compact
    def velocity(self, seen: Seen, last: Float[Array, "scenes discs 2"], train: bool) -> Float[Array, "scenes discs 2"]:
        """See `DiscModel`."""
        encoder, decoder = (
            Trunk(self.msg_dim, blocks, self.expansion, self.dropout, self.dtype, name=name)
            for name, blocks in (("encoder", self.enc_blocks), ("decoder", self.dec_blocks))
        )
        message = self.sum_of(encoder, seen.pairs(), seen, train=train)
        x = nn.LayerNorm(EPSILON, dtype=self.dtype, name="norm")(
            decoder(jnp.concatenate([message, seen.own], axis=-1), train=train)
        )
        init = zeros if self.residual else lecun_normal
        found = Dense(2, dtype=self.dtype, kernel_init=init, name="out")(x).astype(jnp.float32)
        return last + found if self.residual else found


__all__ = ["Modern", "Trunk"]
