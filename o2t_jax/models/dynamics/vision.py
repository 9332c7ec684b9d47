"""Between pictures and states: the encoder of K frames, the transform to positions and momenta, the decoder.

GroupNorm and SiLU stand where the original has BatchNorm and LeakyReLU: a batch's statistics would tie its samples to
each other. Enlargement is by nearest neighbours and by depth to space: XLA compiles transposed convolutions badly on
CPUs.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from o2t_jax.models import ops
from o2t_jax.models.dynamics.nets import MapNet, VectorNet, lecun_normal, with_coordinates
from o2t_jax.models.layers import Conv, Dense, NormAct, ResBlock, res_blocks


class Encoder(nn.Module):
    """K frames, stacked on channels -> mean and log variance of the latent, a map or a vector.

    Attributes: `widths` of the levels, each of half the size of the one before; `depths`, further 3x3 convolutions at
    each level; `channels` of the latent; `flat`: a vector [B, channels], else a map [B, S / 2^levels, ..., channels].
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    channels: int
    flat: bool

    @nn.compact
    def __call__(self, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`frames` [B, K, S, S, c] in 0..1 -> mean, log variance, each [B, h, w, channels] or [B, channels]."""
        b, k, height, width, c = frames.shape
        x = jnp.moveaxis(frames, 1, 3).reshape(b, height, width, k * c)
        x = with_coordinates(2.0 * x - 1.0)
        for i, (features, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            x = NormAct(name=f"norm{i}")(Conv(features, strides=2, name=f"conv{i}")(x))
            for j in range(depth):
                x = NormAct(name=f"norm{i}_{j}")(Conv(features, name=f"conv{i}_{j}")(x))
        x = x.reshape(b, -1) if self.flat else x
        # Noise starts small, so that the first pictures do not drown in it.
        mean = Dense(self.channels, name="mean")(x)
        log_variance = Dense(self.channels, kernel_init=nn.initializers.zeros, name="log_variance")(x)
        return mean, jnp.clip(log_variance - 4.0, -16.0, 4.0)


class Transform(nn.Module):
    """The encoder's sample and the actions between its frames -> the state: positions, then momenta."""

    hidden: int
    channels: int
    flat: bool

    @nn.compact
    def __call__(self, latent: jax.Array, actions: Any) -> jax.Array:
        """`latent` [B, ..., C], `actions` [B, K - 1, A] -> [B, ..., C]."""
        net = VectorNet if self.flat else MapNet
        given = (actions,) if actions.size else ()
        return net(self.hidden, self.channels, activation=jnp.tanh, last_init=lecun_normal)(latent, *given)


class Decoder(nn.Module):
    """Positions -> pictures. It never sees momenta.

    Attributes: `widths` of the levels, each of twice the size of the one before, a residual block in each; the last
    level has half the picture's size; `channels` of the picture; `side`, pixels of the first level.
    """

    widths: tuple[int, ...]
    channels: int
    side: int
    flat: bool

    @nn.compact
    def __call__(self, positions: jax.Array) -> jax.Array:
        """`positions` [B, h, w, C] or [B, C] -> [B, S, S, channels] in 0..1."""
        x = positions
        if self.flat:
            x = nn.silu(Dense(2 * self.widths[0], name="wide")(x))
            x = Dense(self.side**2 * self.widths[0], name="map")(x)
            x = x.reshape(-1, self.side, self.side, self.widths[0])
        x = Dense(self.widths[0], name="enter")(with_coordinates(x))
        for i, width in enumerate(self.widths):
            if i:
                x = Conv(width, name=f"conv{i}")(ops.upsample(x))
            x = res_blocks(x, [ResBlock(name=f"block{i}")])
        x = Conv(4 * self.channels, name="last")(nn.silu(x))
        return nn.sigmoid(depth_to_space(x))


def depth_to_space(x: jax.Array) -> jax.Array:
    """[B, h, w, 4 C] -> [B, 2 h, 2 w, C]."""
    b, h, w, c = x.shape
    blocks = x.reshape(b, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(b, 2 * h, 2 * w, c // 4)


__all__ = ["Decoder", "Encoder", "Transform", "depth_to_space"]
