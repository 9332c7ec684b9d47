"""Attention in the form that XLA compiles well for a CPU.

A softmax that divides its weights takes two more passes over all pairs of pixels. The division is done on the product
instead, which is one vector per pixel.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax


def attention(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """`ops.attention`: scores with heads before pixels, divided after the sum."""
    product = partial(jnp.einsum, preferred_element_type=jnp.promote_types(query.dtype, jnp.float32))
    query, key, value = (jnp.swapaxes(v, 1, 2) for v in (query, key, value))
    scores = product("bhqd,bhkd->bhqk", query * query.shape[-1] ** -0.5, key)
    weights = jnp.exp(scores - lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True)))
    mixed = product("bhqk,bhkd->bhqd", weights.astype(value.dtype), value) / jnp.sum(weights, axis=-1, keepdims=True)
    return jnp.swapaxes(mixed, 1, 2).astype(value.dtype)
