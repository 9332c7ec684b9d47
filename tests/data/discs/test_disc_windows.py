"""Windows of discs: which frames they hold, how they are drawn, and that weights undo it."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.data.discs.windows import PoolBatches, WindowPool, collisions
from o2t_jax.errors import UsageError

SCENES, FRAMES, DISCS, SPEED = 40, 12, 3, 60.0


@pytest.fixture(scope="module")
def scenes() -> dict[str, np.ndarray]:
    """Straight motion, with one sudden change of one disc in each scene."""
    rng = np.random.default_rng(0)
    velocity = np.repeat(rng.uniform(-40, 40, (SCENES, 1, DISCS, 2)), FRAMES, axis=1).astype(np.float32)
    when = rng.integers(1, FRAMES, SCENES)
    for scene, time in enumerate(when):
        velocity[scene, time:, 0] *= -1
    return {
        "position": np.cumsum(velocity, axis=1) * 0.1,
        "velocity": velocity,
        "mass": np.ones((SCENES, DISCS), np.float32),
        "radius": np.ones((SCENES, DISCS), np.float32),
        "present": np.ones((SCENES, DISCS), bool),
        "walls/ends": np.zeros((SCENES, 4, 2, 2), np.float32),
        "walls/present": np.ones((SCENES, 4), bool),
    }


def test_windows_are_three_frames_of_one_scene(scenes) -> None:
    pool = WindowPool(scenes, SPEED, 0.0)
    assert pool.size == SCENES * (FRAMES - 2)
    number = 7 * (FRAMES - 2) + 4
    window = pool.take(np.array([number]))
    np.testing.assert_array_equal(window["velocity"][0], scenes["velocity"][7, 4:7])
    np.testing.assert_array_equal(window["position"][0], scenes["position"][7, 4:7])


def test_a_collision_is_a_change_of_velocity_from_the_second_to_the_third_frame(scenes) -> None:
    pool = WindowPool(scenes, SPEED, 0.0)
    window = pool.take(np.arange(pool.size))
    changed = np.abs(window["velocity"][:, 2] - window["velocity"][:, 1]).max(axis=(1, 2)) > 1e-3 * SPEED
    np.testing.assert_array_equal(pool.collides, changed)
    assert 0 < changed.sum() < pool.size / 4


def test_small_changes_are_no_collision() -> None:
    velocity = np.zeros((1, 3, 1, 2), np.float32)
    velocity[0, 1, 0, 0] = 0.9e-3 * SPEED
    velocity[0, 2, 0, 0] = 2.1e-3 * SPEED
    np.testing.assert_array_equal(collisions(velocity, SPEED), [[False, True]])


def test_a_batch_has_the_share_of_collisions_asked_for_and_weights_that_undo_it(scenes) -> None:
    pool = WindowPool(scenes, SPEED, 0.5)
    batches = [pool.batch(3, step, 400) for step in range(50)]
    hit = np.concatenate([np.ptp(batch["velocity"][:, 1:], axis=1).max(axis=(1, 2)) > 0.06 for batch in batches])
    weight = np.concatenate([batch["weight"] for batch in batches])
    share = pool.collides.mean()
    assert hit.mean() == pytest.approx(0.5 + 0.5 * share, abs=0.02)
    # A weighted mean of anything is that of even draws: here of 1, and of whether a window has a collision.
    assert weight.mean() == pytest.approx(1.0, abs=0.02)
    assert (weight * hit).mean() == pytest.approx(share, rel=0.05)


def test_without_a_share_all_weights_are_one(scenes) -> None:
    assert np.all(WindowPool(scenes, SPEED, 0.0).batch(0, 0, 50)["weight"] == 1.0)


def test_without_any_collision_windows_are_drawn_evenly(scenes) -> None:
    still = scenes | {"velocity": np.zeros_like(scenes["velocity"])}
    assert np.all(WindowPool(still, SPEED, 0.5).batch(0, 0, 50)["weight"] == 1.0)


def test_a_batch_is_a_function_of_seed_and_step(scenes) -> None:
    pool = WindowPool(scenes, SPEED, 0.5)
    first = PoolBatches(pool, 8, (0, 1))
    early = [next(first) for _ in range(3)]
    state = first.get_state()
    later = next(first)
    again = next(PoolBatches(pool, 8, (0, 1), state))
    assert early[0]["position"].shape == (2, 8, 3, DISCS, 2)
    for name in later:
        np.testing.assert_array_equal(later[name], again[name])
    assert not np.array_equal(later["position"][0], later["position"][1])


def test_processes_share_a_batch(scenes) -> None:
    pool = WindowPool(scenes, SPEED, 0.5)
    whole = next(PoolBatches(pool, 8, (0,)))
    parts = [next(PoolBatches(pool, 8, (0,), None, slice(i, i + 4))) for i in (0, 4)]
    np.testing.assert_array_equal(whole["position"], np.concatenate([part["position"] for part in parts]))


@pytest.mark.parametrize("share", [1.0, -0.1])
def test_a_share_that_never_shows_the_rest_is_refused(scenes, share) -> None:
    with pytest.raises(UsageError, match="collision_share"):
        WindowPool(scenes, SPEED, share)
