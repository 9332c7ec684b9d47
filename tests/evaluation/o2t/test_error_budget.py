"""The budget of g's error: each part is found where it was put, and nowhere else."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from o2t_jax.commands.studies import error_budget as command
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t import error_budget
from o2t_jax.evaluation.o2t.sights import BallRays
from o2t_jax.geometry.camera import look_at, world_to_camera

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


def test_rays_of_larger_pictures_are_those_of_their_cameras_in_the_frame_of_camera_1() -> None:
    para, _, ray = flights(25)
    para[:, 1::2, 4:] += (20.0, -5.0)  # the right eye looks elsewhere
    local = np.einsum("npij,npj->npi", world_to_camera(para[..., 4], para[..., 5]), ray)

    class Network:
        def sight(self, pictures, para, corner=None):
            raise AssertionError("pictures as large as the run's are another matter")

        def sight_close(self, pictures, factor):
            assert factor == 4 and pictures.shape[1:] == (8, 8, 3)
            number = pictures[:, 0, 0, 0].astype(int) * 5 + pictures[:, 0, 0, 1]
            flat = local.reshape(-1, 3)[number]
            return BallRays(flat, np.full(len(flat), 0.1), np.ones(len(flat), bool))

    pictures = np.zeros((25, 5, 8, 8, 3), np.uint8)
    pictures[..., 0], pictures[..., 1] = np.arange(25)[:, None, None, None], np.arange(5)[None, :, None, None]
    found = error_budget.sight_samples(Network(), {"pictures": pictures, "para": para}, 4)
    np.testing.assert_allclose(found.direction, ray, atol=1e-12)
    assert found.seen.shape == (25, 5)


def test_samples_may_be_larger_than_the_run_by_a_power_of_two() -> None:
    config = ConfigDict({"render_size": 64})
    assert command.enlarged(config, None) == 1 and command.enlarged(config, 512) == 8 and config.render_size == 512
    for side in (511, 256, 1536):
        with pytest.raises(UsageError, match=f"--side={side} must be 512"):
            command.enlarged(config, side)


def test_the_table_names_every_part() -> None:
    para, position, ray = flights(50)
    found = error_budget.budget(para, position, turned(ray, 1e-3), np.ones((50, 5), bool), HUBER)
    text = command.format_budget({"workdir": "runs/a", "side": 64, "truth": G, "weights": 3.7, **found})
    for part in (*command.ROWS.values(), "the law in the weights", "along u", "along v"):
        assert part in text
    assert "-0.27" in text  # of the weights: 3.7 for 3.71
