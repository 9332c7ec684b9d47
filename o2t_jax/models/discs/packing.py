"""Pairs that matter, packed into few rows: in the document's rooms four of five are farther apart than 3.5 radii.

A network of single rows then does a part of the work, for the same result. Sizes of arrays are fixed, so that the part
is one of `SHARES`: the smallest that has room for all pairs of the batch that matter.
"""

from __future__ import annotations

from math import ceil
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from o2t_jax.types import Array

SHARES = (0.25, 0.375)
LEAST = 128  # rows; with fewer, packing takes longer than what it saves


def masked(
    network: nn.Module, x: Float[Array, "*batch inputs"], mask: Bool[Array, "*batch"], pack: bool, **options: Any
) -> Float[Array, "*batch outputs"]:
    """`network(x, **options)` where `mask`, and 0 elsewhere, for a network that treats every row alone.

    With `pack` it has no forward derivatives (`jax.jvp`), and the same values up to rounding; with random numbers
    (dropout) other ones.
    """
    rows, flat = x.reshape(mask.size, x.shape[-1]), mask.ravel()

    def all_rows(network: nn.Module, rows: jax.Array) -> jax.Array:
        return jnp.where(flat[:, None], network(rows, **options), 0.0)  # type: ignore[operator]

    if not pack or flat.size < LEAST or network.is_initializing():
        found = all_rows(network, rows)
    else:
        ends, sizes = jnp.cumsum(flat), [ceil(share * flat.size) for share in SHARES]

        def few_rows(size: int) -> Any:
            places = Places.of(flat, ends, size)
            return lambda network, rows: _spread(network(_packed(rows, places), **options), places)

        branches = [*map(few_rows, sizes), all_rows]
        found = nn.switch(jnp.sum(ends[-1] > jnp.asarray(sizes)), branches, network, rows)
    return found.reshape(*mask.shape, found.shape[-1])


class Places(NamedTuple):
    """Where S packed rows come from. Attributes: `rows` [S], of each packed row; `slots` [R], the packed row of each
    row, any where it is not; `here` [R], whether it is; `used` [S], whether a packed row is one at all.
    """

    rows: Int[Array, " packed"]
    slots: Int[Array, " rows"]
    here: Bool[Array, " rows"]
    used: Bool[Array, " packed"]

    @classmethod
    def of(cls, mask: Bool[Array, " rows"], ends: Int[Array, " rows"], size: int) -> Places:
        """Those of the rows in `mask`, at most `size`, whose running count is `ends`."""
        # The k-th row is the first at which k rows have been counted: a search, as sorting takes five times as long.
        number = jnp.arange(1, size + 1)
        rows = jnp.minimum(jnp.searchsorted(ends, number), mask.size - 1)
        return cls(rows, jnp.maximum(ends - 1, 0), mask, number <= ends[-1])


# Each is the transpose of the other. JAX's own transpose of a gather is a scatter, which CPUs do one row at a time.
@jax.custom_vjp
def _packed(x: jax.Array, places: Places) -> jax.Array:
    """The rows that matter, then others, which do not pass gradients."""
    return x[places.rows]


@jax.custom_vjp
def _spread(x: jax.Array, places: Places) -> jax.Array:
    """Packed rows back in their places, 0 in all others."""
    return jnp.where(places.here[:, None], x[places.slots], 0.0)


def _spread_transposed(places: Places, slope: jax.Array) -> tuple[jax.Array, None]:
    return jnp.where(places.used[:, None], _packed(slope, places), 0.0), None


_packed.defvjp(lambda x, places: (_packed(x, places), places), lambda places, slope: (_spread(slope, places), None))
_spread.defvjp(lambda x, places: (_spread(x, places), places), _spread_transposed)

__all__ = ["LEAST", "SHARES", "Places", "masked"]
