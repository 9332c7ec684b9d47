"""Separable filters over the last two axes of stacks of maps, in the forms that compile and run well on a CPU."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

# Up to this side length a filter is a product with a band matrix: fast for small maps, costly per pixel for large ones.
MATRIX_SIDE = 128


def separable(maps: jax.Array, taps: np.ndarray) -> jax.Array:
    """`ops.separable`."""
    for axis in (-2, -1):
        size = maps.shape[axis]
        if size <= MATRIX_SIDE:
            maps = _by_matrix(maps, taps, axis)
        elif np.ptp(taps) == 0.0:
            maps = float(taps[0]) * _running_sum(maps, len(taps), axis)
        else:
            maps = _by_shifts(maps, taps, axis)
    return maps


def _by_matrix(maps: jax.Array, taps: np.ndarray, axis: int) -> jax.Array:
    size, reach = maps.shape[axis], len(taps) // 2
    band = jnp.asarray(sum(tap * np.eye(size, k=i - reach) for i, tap in enumerate(taps)), maps.dtype)
    if axis == -2:
        return jnp.einsum("gh,...hw->...gw", band, maps, precision=jax.lax.Precision.HIGHEST)
    return jnp.einsum("...hw,vw->...hv", maps, band, precision=jax.lax.Precision.HIGHEST)


def _by_shifts(maps: jax.Array, taps: np.ndarray, axis: int) -> jax.Array:
    size, padded = maps.shape[axis], _padded(maps, len(taps) // 2, len(taps) // 2, axis)
    # Shifts and sums fuse into one pass; on a CPU a convolution with one channel per group does not.
    shifted = [jax.lax.slice_in_dim(padded, i, i + size, axis=axis % maps.ndim) for i in range(len(taps))]
    return functools.reduce(jnp.add, [float(tap) * x for tap, x in zip(taps, shifted, strict=True)])


def _running_sum(maps: jax.Array, width: int, axis: int) -> jax.Array:
    """Sums of `width` neighbours by cumulative sums: a `reduce_window` of this width would dominate a step."""
    size = maps.shape[axis]
    total = jnp.cumsum(_padded(maps, width // 2 + 1, width // 2, axis), axis=axis)
    upper = jax.lax.slice_in_dim(total, width, width + size, axis=axis % maps.ndim)
    return upper - jax.lax.slice_in_dim(total, 0, size, axis=axis % maps.ndim)


def _padded(maps: jax.Array, before: int, after: int, axis: int) -> jax.Array:
    pad = [(0, 0)] * maps.ndim
    pad[axis] = (before, after)
    return jnp.pad(maps, pad)
