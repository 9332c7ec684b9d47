"""W_ROT: an orthogonal matrix by the Cayley transform."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


def cayley(skew_entries: jax.Array, dim: int) -> jax.Array:
    """W = (I - A)(I + A)^-1 with A skew-symmetric; orthogonal with determinant +1, its inverse is its transpose.

    Args: `skew_entries` float32 [dim (dim - 1) / 2], the strictly upper triangle of A, row by row.
    Returns: [dim, dim]. Source: A. Cayley 1846; the factors commute, so one linear solve gives it.
    """
    rows, columns = np.triu_indices(dim, 1)
    upper = jnp.zeros((dim, dim), skew_entries.dtype).at[rows, columns].set(skew_entries)
    skew = upper - upper.T
    eye = jnp.eye(dim, dtype=skew_entries.dtype)
    with jax.default_matmul_precision("highest"):
        return jnp.linalg.solve(eye + skew, eye - skew)


class CayleyRotation(nn.Module):
    """The trained rotation: dim (dim - 1) / 2 parameters, 1,128 for 48."""

    dim: int
    init_scale: float = 0.02

    @nn.compact
    def __call__(self) -> jax.Array:
        """Returns W [dim, dim], float32."""
        count = self.dim * (self.dim - 1) // 2
        entries = self.param("skew", nn.initializers.normal(self.init_scale), (count,), jnp.float32)
        return cayley(entries, self.dim)


def rotate(matrix: jax.Array, h: jax.Array) -> jax.Array:
    """`matrix` [D, D] applied to rows `h` [..., D], at full float32 precision (TF32 would break orthogonality)."""
    return jnp.einsum("ij,...j->...i", matrix, h, precision=jax.lax.Precision.HIGHEST)
