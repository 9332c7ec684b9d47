"""The budget of g's error: each part is found where it was put, and nowhere else."""

import numpy as np
import pytest

from o2t_jax.commands.studies import error_budget as command
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t import error_budget
from o2t_jax.geometry.camera import look_at

G, HUBER = 3.71, 0.02


def flights(count: int, seed: int = 0):
    """(para, true positions [N, 5, 3] m, true rays [N, 5, 3]) of a ball thrown before two eyes and a target camera."""
    rng = np.random.default_rng(seed)
    times = np.stack([np.zeros(count), rng.uniform(0.1, 0.3, count), rng.uniform(0.2, 0.8, count)], axis=-1)
    start = rng.uniform((5, -1, 2), (7, 1, 3), (count, 3))
    velocity = rng.uniform(-1, 1, (count, 3))
    fall = np.array([0, 0, -0.5 * G])
    path = start[:, None] + velocity[:, None] * times[..., None] + fall * times[..., None] ** 2
    moment = [0, 0, 1, 1, 2]
    origin = np.array([[0, 0, 1.5], [0, -0.5, 1.5], [0, 0, 1.5], [0, -0.5, 1.5], [0.3, 0.8, 1.8]])
    position, para = path[:, moment], np.zeros((count, 5, 6))
    para[..., 0], para[..., 1:4] = times[:, moment], origin
    para[..., 4], para[..., 5] = look_at(origin, position.mean(axis=(0, 1)))
    ray = position - origin
    return para, position, ray / np.linalg.norm(ray, axis=-1, keepdims=True)


def turned(ray: np.ndarray, up: float) -> np.ndarray:
    """Rays lifted by `up` rad."""
    lifted = ray + np.array([0, 0, up])
    return lifted / np.linalg.norm(lifted, axis=-1, keepdims=True)


def test_true_sightings_leave_nothing() -> None:
    para, position, ray = flights(50)
    found = error_budget.budget(para, position, ray, np.ones((50, 5), bool), HUBER)
    for name in ("none", "target", "inputs", "scatter", "all", "differences"):
        assert found[name].g == pytest.approx(G, abs=1e-9), name


def test_an_offset_is_told_from_scatter_and_one_that_all_share_cancels() -> None:
    para, position, ray = flights(200)
    seen = np.ones((200, 5), bool)
    lifted = error_budget.budget(para, position, turned(ray, 1e-3), seen, HUBER)
    # A target seen too high is one that fell too little.
    assert lifted["target"].g < G - 0.01 and lifted["inputs"].g > G + 0.01
    assert abs(lifted["all"].g - G) < 0.2 * abs(lifted["target"].g - G)
    assert lifted["scatter"].g == pytest.approx(G, abs=3 * lifted["scatter"].error + 1e-3)
    assert lifted["keypoints"]["v"].offset < -0.01 and abs(lifted["keypoints"]["u"].offset) < 1e-3
    noisy = ray + np.random.default_rng(1).normal(0, 3e-4, ray.shape)
    noisy = error_budget.budget(para, position, noisy / np.linalg.norm(noisy, axis=-1, keepdims=True), seen, HUBER)
    assert 0 < noisy["all"].error < 0.1 and abs(noisy["all"].g - G) < 4 * noisy["all"].error
    assert noisy["keypoints"]["u"].scatter > 10 * lifted["keypoints"]["u"].scatter


def test_samples_without_a_ball_are_left_out_and_too_few_are_refused() -> None:
    para, position, ray = flights(60)
    seen = np.ones((60, 5), bool)
    seen[:30, 2] = False
    wrong = np.where(np.arange(60)[:, None, None] < 30, turned(ray, 0.1), ray)
    found = error_budget.budget(para, position, wrong, seen, HUBER)
    assert found["samples"] == 30 and found["all"].g == pytest.approx(G, abs=1e-9)
    seen[:45, 1] = False
    with pytest.raises(UsageError, match=r"15 of 60 samples .* --samples"):
        error_budget.budget(para, position, ray, seen, HUBER)


def test_the_table_names_every_part() -> None:
    para, position, ray = flights(50)
    found = error_budget.budget(para, position, turned(ray, 1e-3), np.ones((50, 5), bool), HUBER)
    text = command.format_budget({"workdir": "runs/a", "truth": G, "weights": 3.7, **found})
    for part in (*command.ROWS.values(), "the law in the weights", "along u", "along v"):
        assert part in text
    assert "-0.27" in text  # of the weights: 3.7 for 3.71
