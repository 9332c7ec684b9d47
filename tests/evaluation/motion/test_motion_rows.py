"""Rows that learn nothing, errors, and the judge of classes: on motions whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.evaluation.motion import classes, errors, rows

RNG = np.random.default_rng(0)


def straight(speed: np.ndarray, frames: int, joints: int = 3) -> np.ndarray:
    """[N, frames, joints, 3] that move along z at these m a frame."""
    clip = np.zeros((len(speed), frames, joints, 3), np.float32)
    clip[..., 2] = (speed[:, None] * np.arange(frames))[..., None]
    return clip + np.arange(joints, dtype=np.float32)[:, None]


def test_what_moves_straight_on_is_predicted_by_its_velocity() -> None:
    clip = straight(np.array([0.1, -0.05]), 12)
    found = rows.from_frames(clip[:, :5], 7, np.zeros((3, 3), np.float32))
    for name in ("constant velocity", "root velocity kept"):
        np.testing.assert_allclose(found[name], clip[:, 5:], atol=1e-5)
    np.testing.assert_array_equal(found["hold last"], np.repeat(clip[:, 4:5], 7, axis=1))
    assert set(found) == set(rows.FROM_FRAMES)


def test_the_hips_go_on_without_their_height_and_the_pose_is_held() -> None:
    clip = straight(np.array([0.1]), 12)
    clip[..., 1] += 0.2 * np.arange(12)[:, None]  # rises
    clip[:, :, 1, 0] += np.arange(12)  # an arm moves away
    found = rows.from_frames(clip[:, :5], 7, np.zeros((3, 3), np.float32))["root velocity kept"]
    np.testing.assert_allclose(found[0, :, 0, 1], clip[0, 4, 0, 1], atol=1e-6)
    np.testing.assert_allclose(
        found[0, :, 1] - found[0, :, 0], np.repeat((clip[0, 4, 1] - clip[0, 4, 0])[None], 7, 0), rtol=1e-5
    )


@pytest.fixture(scope="module")
def known() -> rows.Known:
    """Two classes of six clips, two windows each."""
    clip = np.repeat(np.arange(12), 2)
    return rows.Known(RNG.normal(size=(24, 10, 3, 3)).astype(np.float32), clip // 6, clip % 2, clip)


def test_the_nearest_windows_are_those_of_a_plain_search(known) -> None:
    given = RNG.normal(size=(4, 5, 3, 3)).astype(np.float32)
    label = np.array([0, 1, 1, 0])
    found = rows.nearest(given, label, known, 3)
    far = np.sum((known.clips[None, :, :5] - given[:, None]) ** 2, axis=(2, 3, 4))
    for n in range(4):
        by_clip = sorted((far[n][known.clip == c].min(), c) for c in range(12) if c // 6 == label[n])
        assert known.clip[found[n]].tolist() == [c for _, c in by_clip[:3]]
        assert np.allclose([far[n, i] for i in found[n]], [d for d, _ in by_clip[:3]], rtol=1e-4)


def test_no_clip_is_its_own_neighbour(known) -> None:
    own = rows.nearest(known.clips[:, :5], known.label, known, 5, known.clip)
    assert not np.any(known.clip[own] == known.clip[:, None])
    assert np.all(known.label[own] == known.label[:, None])
    seen = rows.nearest(known.clips[:, :5], known.label, known, 1)
    np.testing.assert_array_equal(seen[:, 0], np.arange(24))


def test_rows_of_clips_are_means_of_what_they_say(known) -> None:
    given, label, style = known.clips[:2, :5], known.label[:2], known.style[:2]
    found = rows.from_clips(given, label, style, known)
    after = known.clips[:, 5:]
    np.testing.assert_allclose(found["mean clip of class"][0], after[known.label == 0].mean(0), atol=1e-6)
    both = (known.label == 0) & (known.style == known.style[0])
    np.testing.assert_allclose(found["mean clip of class and style"][0], after[both].mean(0), atol=1e-6)
    np.testing.assert_allclose(found["nearest clip"], after[:2], atol=1e-6)
    assert tuple(found) == rows.FROM_CLIPS


def test_a_mean_without_the_own_clip_is_that_of_the_others_and_widens_where_none_is_left(known) -> None:
    label, style, own = known.label[:1], known.style[:1], known.clip[:1]
    others = (known.label == label) & (known.style == style) & (known.clip != own)
    found = rows.mean_of_cell(label, style, known, own)[0]
    np.testing.assert_allclose(found, known.clips[others].mean(0), atol=1e-6)
    unseen = rows.mean_of_cell(label, np.array([7]), known)[0]
    np.testing.assert_allclose(unseen, known.clips[known.label == label].mean(0), atol=1e-6)
    np.testing.assert_allclose(rows.mean_of_cell(np.array([9]), None, known)[0], known.clips.mean(0), atol=1e-6)


def test_errors_count_the_frames_that_are_there_and_only_those() -> None:
    truth = np.zeros((2, 4, 3, 3))
    found = truth + np.array([0.03, 0.0, 0.04])
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1]], float)
    found[0, 2:] += 100.0
    each = errors.squared(found, truth, mask)
    np.testing.assert_allclose(each, 0.0025)
    assert errors.millimetres(each) == pytest.approx(50.0)
    np.testing.assert_allclose(errors.by_clip(np.array([1.0, 2.0, 6.0]), np.array([3, 7, 7])), [1.0, 4.0])
    line = straight(np.array([0.1, 0.2]), 4)
    np.testing.assert_allclose(errors.travelled(line, mask), [0.1, 0.6], rtol=1e-5)


def test_the_judge_knows_classes_it_has_seen_and_not_noise() -> None:
    label = np.arange(60) % 3
    clips = RNG.normal(0.0, 0.1, (60, 12, 4, 3)) + label[:, None, None, None] * np.linspace(0, 1, 12)[:, None, None]
    mask = np.ones((60, 12))
    judge = classes.fit(clips[:45], mask[:45], label[:45], 3)
    assert np.mean(judge.classify(clips[45:], mask[45:]) == label[45:]) > 0.9
    np.testing.assert_array_equal(classes.usual_mask(np.tri(5)[2:], np.zeros(3, int), 0), [1, 1, 1, 1, 0])
    drawn = classes.random_of_class(label, np.array([2, 0]), 5)
    assert drawn.shape == (5, 2) and np.all(label[drawn] == [2, 0])
