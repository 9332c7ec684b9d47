"""Attention as a CPU computes it against the plain form, and that one against JAX' own."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models import ops
from o2t_jax.models.cpu.attention import attention

from .compare import compare


@pytest.mark.parametrize("spread", [1.0, 100.0])  # of the scores; exp(1000) overflows
def test_attention(spread: float) -> None:
    rng = np.random.default_rng(0)
    query, key, value = (jnp.asarray(rng.normal(size=(2, 10, 3, 8)), jnp.float32) for _ in range(3))
    compare(attention, ops.attention, spread * query, key, value)
    np.testing.assert_allclose(
        ops.attention(query, key, value), jax.nn.dot_product_attention(query, key, value), atol=1e-6
    )


def test_attention_of_short_numbers_sums_long_ones() -> None:
    """bfloat16: as near to float32's as the library's own is."""
    rng = np.random.default_rng(0)
    full = [jnp.asarray(rng.normal(size=(1, 500, 2, 8)), jnp.float32) for _ in range(3)]
    short = [v.astype(jnp.bfloat16) for v in full]
    wanted = ops.attention(*full)
    found, usual = attention(*short), ops.attention(*short)
    assert found.dtype == jnp.bfloat16
    assert float(jnp.abs(found - wanted).mean()) < 1.1 * float(jnp.abs(usual - wanted).mean())
