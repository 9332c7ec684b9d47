"""The Cayley transform without LAPACK, whose threads compete with XLA's for a CPU's cores.

LAPACK's solve of 48 x 48 took 10 ms or more inside a step, and 0.1 ms alone.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def cayley(skew: jax.Array) -> jax.Array:
    """`ops.cayley` by elimination without pivoting: the symmetric part of I + A is I, so no pivot is below one."""
    dim = skew.shape[0]
    eye = jnp.eye(dim, dtype=skew.dtype)

    def eliminate(i: jax.Array, rows: jax.Array) -> jax.Array:
        row = rows[i] / rows[i, i]
        column = jnp.where(jnp.arange(dim) == i, 0.0, rows[:, i])
        return (rows - column[:, None] * row).at[i].set(row)

    return jax.lax.fori_loop(0, dim, eliminate, jnp.concatenate([eye + skew, eye - skew], axis=1))[:, dim:]
