"""What teaches the mask tower."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from o2t_jax.models.o2t.mask_tower import swap_loss
from tests.models.o2t.test_stereo import SIZE, outline


def test_swap_loss_is_least_at_the_true_coverage() -> None:
    rng = np.random.default_rng(1)
    background = rng.uniform(0.6, 1.0, (SIZE, SIZE, 3))
    colour = np.array([0.4, 0.2, 0.3])
    places = [np.array([4.0, y, z]) for y, z in ((0.6, 0.5), (-0.6, -0.4))]
    masks = np.stack([outline(p, 0.3, 0.0, 0.0) for p in places])
    pictures = background + masks[..., None] * (colour - background)

    def loss(candidate: np.ndarray) -> float:
        seen = jnp.asarray(pictures[None], jnp.float32)
        return float(swap_loss(jnp.asarray(candidate[None]), seen, seen[:, ::-1])[0])

    true = loss(masks)
    assert true < loss(0.8 * masks) and true < loss(np.clip(masks + 0.1, 0, 1)) and true < loss(0 * masks + 0.01)
    for axis in (1, 2):
        assert true < loss(np.roll(masks, 1, axis)) and true < loss(np.roll(masks, -1, axis))
