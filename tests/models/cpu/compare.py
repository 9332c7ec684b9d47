"""Two forms of one operation beside each other."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def compare(ours, plain, *arguments, scale: float = 1.0) -> None:
    """Values and all gradients, relative to each array's maximum, or to `scale`: some gradients are zero."""
    weights = jnp.asarray(np.random.default_rng(9).normal(size=jax.eval_shape(plain, *arguments).shape), jnp.float32)

    def both(f):
        value, back = jax.vjp(f, *arguments)
        return value, *back(weights)

    for found, wanted in zip(jax.jit(lambda: both(ours))(), jax.jit(lambda: both(plain))(), strict=True):
        assert found.shape == wanted.shape
        assert float(jnp.abs(found - wanted).max()) < 1e-5 * max(float(jnp.abs(wanted).max()), scale)
