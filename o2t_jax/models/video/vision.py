"""Between pictures and latents: maps of 8 x 8, and nothing else from one to the other.

Sizes change by space to depth and back: XLA compiles transposed convolutions badly on CPUs.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from o2t_jax.models.layers import Conv, Dense, zeros

SIDE = 8  # of the map of latents
_DARK = -3.0  # start of the brightness, before the sigmoid: most of most pictures is black
_LAST = 4  # channels of the last convolution, 2 x 2 px


class Residual(nn.Module):
    """A map, and what a 3x3 convolution of it adds."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [B, h, w, C] -> the same shape."""
        return x + Conv(x.shape[-1], name="conv")(nn.silu(x))


class Encoder(nn.Module):
    """Pictures -> maps of latents, not yet bounded. Attributes: `widths`, one for each halving; `size` of a latent."""

    widths: tuple[int, ...]
    size: int

    @nn.compact
    def __call__(self, pictures: jax.Array) -> jax.Array:
        """`pictures` [B, S, S] 0 to 1 -> [B, 8, 8, size]; S is 8 times 2 to the number of widths."""
        x = pictures[..., None]
        for i, width in enumerate(self.widths):
            x = space_to_depth(x)
            x = Conv(width, kernel=3 if i == 0 else 1, name=f"level{i}")(x)
            x = Residual(name=f"residual{i}")(x) if i else nn.silu(x)
        # The bias is what an empty cell is: at zero, where the latent is normalised, gradients explode.
        return Dense(self.size, bias_init=nn.initializers.normal(1.0), name="latent")(nn.silu(x))


class Decoder(nn.Module):
    """Maps of latents -> pictures; the mirror image of `Encoder`. It sees the latents and nothing else."""

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, latents: jax.Array) -> jax.Array:
        """`latents` [B, 8, 8, D] -> pictures [B, S, S] 0 to 1."""
        x = Conv(self.widths[-1], name="latent")(latents)
        for i in reversed(range(1, len(self.widths))):
            x = nn.silu(Residual(name=f"residual{i}")(x))
            x = depth_to_space(Conv(4 * self.widths[i - 1], kernel=1, name=f"level{i}")(x))
        x = Conv(self.widths[0], name="level0")(nn.silu(x))
        x = Conv(_LAST, name="picture")(nn.silu(x))
        return nn.sigmoid(depth_to_space(x)[..., 0] + _DARK)


class Pooled(nn.Module):
    """A few numbers of a map: softmax maps give soft places and values there, a small network the rest.

    Attributes: `features` of the result; `width`, hidden; `maps`, how many places.
    """

    features: int
    width: int = 32
    maps: int = 8

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [B, h, w, C] -> [B, features], zero at the start."""
        b, h, w, _ = x.shape
        x = nn.silu(Conv(self.width, name="conv")(x)).reshape(b, h * w, -1)
        weights = nn.softmax(Dense(self.maps, name="where")(x), axis=1)
        grid = jnp.stack(jnp.meshgrid(jnp.linspace(-1, 1, h), jnp.linspace(-1, 1, w), indexing="ij"), -1)
        values = jnp.concatenate([x, jnp.broadcast_to(grid.reshape(1, h * w, 2), (b, h * w, 2))], axis=-1)
        pooled = jnp.einsum("bpm,bpc->bmc", weights, values).reshape(b, -1)
        hidden = nn.silu(Dense(2 * self.width, name="hidden")(pooled))
        return Dense(self.features, kernel_init=zeros, name="out")(hidden)


def space_to_depth(x: jax.Array) -> jax.Array:
    """[B, 2 h, 2 w, C] -> [B, h, w, 4 C]."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(b, h // 2, w // 2, 4 * c)


def depth_to_space(x: jax.Array) -> jax.Array:
    """The inverse of `space_to_depth`."""
    b, h, w, c = x.shape
    return x.reshape(b, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, c // 4)


__all__ = ["SIDE", "Decoder", "Encoder", "Pooled", "Residual", "depth_to_space", "space_to_depth"]
