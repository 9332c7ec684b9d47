"""Windows of several sets: a function of seed and step, shared as asked, cut from the clips that are there."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.data.video.windows import Pool, variance

FRAMES, LENGTH = 9, 4


@pytest.fixture(scope="module")
def pool() -> Pool:
    """Every pixel of frame t of clip n of set k is 100 k + 9 n + t; its action too."""

    def clips(k: int) -> dict[str, np.ndarray]:
        value = 100 * k + np.arange(5)[:, None] * FRAMES + np.arange(FRAMES)
        return {
            "pictures": np.broadcast_to(value[..., None, None], (5, FRAMES, 2, 2)).astype(np.uint8),
            "actions": np.broadcast_to(value[:, :-1, None], (5, FRAMES - 1, 2)).astype(np.float32),
        }

    shares = {"a": 0.5, "b": 0.3, "c": 0.2}
    return Pool({name: clips(k) for k, name in enumerate(shares)}, shares, {"a": 1.0, "b": 2.0, "c": 3.0})


def test_a_batch_is_a_function_of_seed_and_step(pool) -> None:
    one, again = pool.batch(1, 7, 8, LENGTH), pool.batch(1, 7, 8, LENGTH)
    for name, x in one.items():
        np.testing.assert_array_equal(x, again[name])
    for other in (pool.batch(1, 8, 8, LENGTH), pool.batch(2, 7, 8, LENGTH)):
        assert np.any(one["pictures"] != other["pictures"])


def test_every_batch_has_the_shares_to_within_one_clip(pool) -> None:
    total = np.zeros(3)
    for step in range(200):
        weight = pool.batch(0, step, 10, LENGTH)["weight"]
        counts = np.array([np.sum(weight == k) for k in (1.0, 2.0, 3.0)])
        assert np.all(np.abs(counts - [5.0, 3.0, 2.0]) <= 1.0)
        total += counts
    np.testing.assert_allclose(total / total.sum(), [0.5, 0.3, 0.2], atol=0.01)


def test_windows_are_cut_anywhere_and_lie_within_a_clip(pool) -> None:
    starts = set()
    for step in range(100):
        batch = pool.batch(0, step, 8, LENGTH)
        first = batch["pictures"][:, 0, 0, 0].astype(int)
        np.testing.assert_array_equal(
            batch["pictures"][:, :, 0, 0] - first[:, None], np.tile(np.arange(LENGTH), (8, 1))
        )
        np.testing.assert_array_equal(batch["actions"][..., 0], batch["pictures"][:, :-1, 0, 0])
        starts |= set(first % 100 % FRAMES)
    assert starts == set(range(FRAMES - LENGTH + 1))


def test_variance_is_that_about_the_mean_picture() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 5)).astype(np.uint8)
    expected = np.mean(np.square(pictures / 255.0 - np.mean(pictures / 255.0, axis=(0, 1))))
    assert variance(pictures) == pytest.approx(expected, rel=1e-5)
