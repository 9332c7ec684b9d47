"""W_ROT: an orthogonal matrix by the Cayley transform."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.models import ops


@jax.custom_vjp
def _cayley(skew: jax.Array) -> jax.Array:
    return ops.cayley(skew)


def _cayley_forward(skew: jax.Array) -> tuple[jax.Array, jax.Array]:
    matrix = _cayley(skew)
    return matrix, matrix


def _cayley_backward(matrix: jax.Array, g: jax.Array) -> tuple[jax.Array]:
    # dW = -(I + A)^-1 dA (I + W), and (I + A)^-1 = (I + W) / 2: the backward pass needs no solve.
    both = jnp.eye(matrix.shape[0], dtype=matrix.dtype) + matrix
    with jax.default_matmul_precision("highest"):
        return (-0.5 * (both.T @ g @ both.T),)


_cayley.defvjp(_cayley_forward, _cayley_backward)


def cayley(skew_entries: jax.Array, dim: int) -> jax.Array:
    """W = (I - A)(I + A)^-1 with A skew-symmetric; orthogonal with determinant +1, its inverse is its transpose.

    Args: `skew_entries` float32 [dim (dim - 1) / 2], the strictly upper triangle of A, row by row.
    Returns: [dim, dim]. Source: A. Cayley 1846; the factors commute, so one linear solve gives it.
    """
    rows, columns = np.triu_indices(dim, 1)
    upper = jnp.zeros((dim, dim), skew_entries.dtype).at[rows, columns].set(skew_entries)
    return _cayley(upper - upper.T)


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
