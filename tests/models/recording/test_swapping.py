"""The swap of one frame's object into another: zero for the true mask, and more for one that leaves a part out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.models.recording.swapping import centres, moved, object_swap, window

SIDE = 24


def disc(x: float, y: float, radius: float = 5.0) -> np.ndarray:
    """Coverage [S, S] of a disc."""
    v, u = np.mgrid[:SIDE, :SIDE]
    return np.clip(radius + 0.5 - np.hypot(u - x, v - y), 0, 1).astype(np.float32)


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masks, crops and backgrounds of a half white ball: before a white wall, then before a dark one."""
    masks = np.stack([disc(11, 12), disc(13, 11)])
    still = np.stack([np.full((SIDE, SIDE, 3), level, np.float32) for level in (0.9, 0.2)])
    rows = np.arange(SIDE)[None, :, None]
    white = rows < np.array([12, 11])[:, None, None]  # the upper half has the first wall's colour
    ball = np.where(white, 0.9, 0.5)[..., None] * np.ones((1, 1, SIDE, 3))
    crops = still * (1 - masks[..., None]) + ball * masks[..., None]
    return masks, crops.astype(np.float32), still


def swap(masks: jax.Array, crops: np.ndarray, still: np.ndarray) -> jax.Array:
    """The error of each frame, explained by the other one's object."""
    others = jnp.roll(masks, 1, axis=0), jnp.roll(jnp.asarray(crops), 1, axis=0)
    return object_swap(masks, jnp.asarray(crops), others, jnp.asarray(still), np.ones((SIDE, SIDE)))


def test_a_mask_s_centre_and_its_motion_are_exact():
    mask = jnp.asarray(disc(10.25, 13.5)[None])
    np.testing.assert_allclose(centres(mask)[0], [10.25, 13.5], atol=0.03)
    there = moved(mask[..., None], jnp.array([[1.5, -2.25]]))[..., 0]
    np.testing.assert_allclose(centres(there) - centres(mask), [[1.5, -2.25]], atol=1e-4)


def test_the_hidden_half_of_an_object_is_missed_before_another_background():
    masks, crops, still = scene()
    whole = swap(jnp.asarray(masks), crops, still)
    cut = masks.copy()
    cut[0, :12] = 0.0  # where the ball is as white as the wall, its own frame does not need it
    assert np.abs((crops - still)[0, :12]).max() < 1e-6
    half = swap(jnp.asarray(cut), crops, still)
    assert half[1] > 20 * max(whole[1], 1e-5)


def test_a_mask_learns_from_the_other_frame_that_a_part_is_missing():
    masks, crops, still = scene()
    masks[0, :12] *= 0.5
    gradient = np.asarray(jax.grad(lambda masks: jnp.sum(swap(masks, crops, still)))(jnp.asarray(masks)))
    assert gradient[0, 9, 11] < -1e-4  # more of the white half makes the dark frame's picture better


def test_the_window_leaves_out_what_moves_at_the_border():
    weight = window(SIDE, 8.0)
    assert weight[12, 12] == 1.0 and weight[0].max() == 0.0 and weight[12, 2] == 0.0
    np.testing.assert_array_equal(weight, weight.T)
