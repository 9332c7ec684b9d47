"""W_ROT is a rotation whatever its parameters."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from o2t_jax.models.o2t.rotation import CayleyRotation, cayley, rotate


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**16), scale=st.floats(0.0, 3.0), dim=st.sampled_from([2, 7, 48]))
def test_cayley_is_orthogonal_with_determinant_one(seed: int, scale: float, dim: int) -> None:
    entries = scale * np.random.default_rng(seed).normal(size=dim * (dim - 1) // 2).astype(np.float32)
    matrix = np.asarray(cayley(jnp.asarray(entries), dim), np.float64)
    assert np.abs(matrix @ matrix.T - np.eye(dim)).max() < 2e-5 * max(1.0, scale * dim)
    assert np.linalg.det(matrix) == pytest.approx(1.0, abs=1e-3)


def test_two_by_two_is_the_known_angle() -> None:
    # (1 - a i) / (1 + a i) has the angle -2 atan(a).
    a = 0.7
    angle = 2 * np.arctan(a)
    expected = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert np.allclose(cayley(jnp.array([a]), 2), expected, atol=1e-6) or np.allclose(
        cayley(jnp.array([a]), 2), np.transpose(expected), atol=1e-6
    )


def test_parameter_count_and_inverse() -> None:
    params = CayleyRotation(48).init(jax.random.key(0))
    assert sum(x.size for x in jax.tree.leaves(params)) == 1128
    matrix = CayleyRotation(48).apply(params)
    h = jax.random.normal(jax.random.key(1), (5, 48))
    assert np.allclose(rotate(matrix.T, rotate(matrix, h)), h, atol=1e-5)
    assert not np.allclose(matrix, np.eye(48), atol=1e-3), "the start must not be the identity"
