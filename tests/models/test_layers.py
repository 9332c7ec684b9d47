"""Layers that add their biases later, where that is cheaper."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models import cpu_ops
from o2t_jax.models.layers import Attention, Conv, ResBlock, Unbiased, add, complete


class Level(nn.Module):
    """What follows a picture in an encoder: every layer that takes or gives a map whose bias is not added yet."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = Attention()(ResBlock()(Conv(16)(x)))
        return complete(add(Conv(16, strides=2)(x), Conv(16, strides=2)(complete(y))))


@pytest.mark.parametrize("size", [8, 64])
def test_biases_that_are_added_later_are_those_of_the_plain_layers(size: int, monkeypatch) -> None:
    """Values, and the gradients by parameters and input; no layer left at its initial zeros."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, size, size, 5)), jnp.float32)
    weights = jnp.asarray(rng.normal(size=(2, size // 2, size // 2, 16)), jnp.float32)
    params = jax.tree.map(
        lambda p: p + jnp.asarray(rng.normal(scale=0.3, size=p.shape), jnp.float32),
        Level().init(jax.random.key(0), x)["params"],
    )

    def outcome(on_cpu: bool):
        monkeypatch.setattr(cpu_ops, "chosen", lambda: on_cpu)
        value = Level().apply({"params": params}, x)
        return value, jax.grad(lambda p, x: jnp.sum(weights * Level().apply({"params": p}, x)), (0, 1))(params, x)

    def close(a, b) -> None:
        # A bias that the next norm takes out again has no gradient but rounding.
        np.testing.assert_allclose(a, b, atol=3e-5 * max(float(np.abs(b).max()), size))

    jax.tree.map(close, outcome(True), outcome(False))


def test_a_sum_of_maps_is_complete_whichever_biases_are_added_yet() -> None:
    pixels = jnp.arange(24.0).reshape(1, 2, 3, 4)
    later = Unbiased(pixels, jnp.arange(4.0))
    at_once = pixels + jnp.arange(4.0)
    for x in (later, at_once):
        for y in (later, at_once):
            np.testing.assert_array_equal(complete(add(x, y)), 2 * at_once)
