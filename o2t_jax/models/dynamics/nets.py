"""The two networks that predictors are built from: of maps [B, h, w, C] and of vectors [B, D].

Both are called as `net(state, *given)`, where `given` are vectors [B, F] or numbers [] or [B]: actions, a time step.
So that every law is written once, for maps and for vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from o2t_jax.models.cores.inputs import joined
from o2t_jax.models.layers import ConvParams, Dense, lecun_normal


class SmallConv(nn.Module):
    """3x3 convolution, 'same' padding, of a small map, as one matrix product over its nine shifts.

    XLA:CPU runs the gradient of a convolution in a loop twenty times slower than outside; a product is as fast
    there. So a roll-out can be a loop, which compiles in a tenth of the time of its steps one after another.
    """

    features: int
    kernel_init: Any = lecun_normal

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [B, h, w, C] -> [B, h, w, features]."""
        kernel, bias = ConvParams(self.features, kernel_init=self.kernel_init, name="Conv_0")(x.shape[-1])
        b, h, w, c = x.shape
        padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        shifted = [padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)]
        product = jnp.concatenate(shifted, axis=-1).reshape(b * h * w, 9 * c) @ kernel.reshape(9 * c, -1)
        return product.reshape(b, h, w, -1) + bias


class MapNet(nn.Module):
    """Three 3x3 convolutions of a map and its coordinates; the last one starts at zero unless `last_init` is given.

    What is `given`, and the mean of the first layer over the map, are added to all pixels: a force may act everywhere,
    and a pixel learns of an object elsewhere. Attributes: `hidden` channels; `features`, those of the result.
    """

    hidden: int
    features: int
    activation: Callable[[jax.Array], jax.Array] = nn.silu
    last_init: Any = nn.initializers.zeros

    @nn.compact
    def __call__(self, state: jax.Array, *given: Any) -> jax.Array:
        """`state` [B, h, w, C] -> [B, h, w, features]."""
        x = SmallConv(self.hidden, name="first")(with_coordinates(state))
        if given:
            x = x + Dense(self.hidden, name="given")(joined(state.shape[0], *given))[:, None, None]
        x = self.activation(x)
        x = x + Dense(self.hidden, name="mean")(jnp.mean(x, axis=(1, 2)))[:, None, None]
        x = self.activation(SmallConv(self.hidden, name="second")(x))
        return SmallConv(self.features, kernel_init=self.last_init, name="last")(x)


class VectorNet(nn.Module):
    """Three dense layers of a vector; as `MapNet`."""

    hidden: int
    features: int
    activation: Callable[[jax.Array], jax.Array] = nn.silu
    last_init: Any = nn.initializers.zeros

    @nn.compact
    def __call__(self, state: jax.Array, *given: Any) -> jax.Array:
        """`state` [B, D] -> [B, features]."""
        x = joined(state.shape[0], state, *given)
        x = self.activation(Dense(self.hidden, name="first")(x))
        x = self.activation(Dense(self.hidden, name="second")(x))
        return Dense(self.features, kernel_init=self.last_init, name="last")(x)


Net = Callable[..., nn.Module]
"""`MapNet` or `VectorNet`."""


def with_coordinates(maps: jax.Array) -> jax.Array:
    """`maps` [B, h, w, C] with two channels more: row and column, -1 to 1."""
    b, h, w, _ = maps.shape
    rows, columns = jnp.linspace(-1.0, 1.0, h), jnp.linspace(-1.0, 1.0, w)
    grid = jnp.stack(jnp.meshgrid(rows, columns, indexing="ij"), axis=-1).astype(maps.dtype)
    return jnp.concatenate([maps, jnp.broadcast_to(grid, (b, h, w, 2))], axis=-1)


def halves(state: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Positions and momenta: the first and the second half of the last axis."""
    positions, momenta = jnp.split(state, 2, axis=-1)
    return positions, momenta


__all__ = ["MapNet", "Net", "SmallConv", "VectorNet", "halves", "lecun_normal", "with_coordinates"]
