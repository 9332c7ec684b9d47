"""The made gaits: planted feet, true flights, one clip by three numbers."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.data.motion.gaits import CLASSES, MotionSource
from o2t_jax.errors import UsageError
from o2t_jax.physics.motion.contacts import RATE, clearance, contacts, flights, foot_speed
from o2t_jax.physics.motion.layout import decode, decode_bones
from o2t_jax.physics.motion.measures import GRAVITY, mass_centre, measures
from o2t_jax.physics.motion.skeleton import OURS


@pytest.fixture(scope="module")
def source() -> MotionSource:
    return MotionSource(seed=5)


@pytest.fixture(scope="module")
def clips(source) -> dict[str, np.ndarray]:
    """32 clips, four of each class."""
    return source.make("train", np.arange(32))


def of(clips: dict[str, np.ndarray], name: str) -> np.ndarray:
    return clips["positions"][clips["label"] == CLASSES.index(name)]


def test_a_clip_is_a_function_of_seed_split_and_index(source, clips):
    again = source.make("train", np.array([11]))
    for name, leaf in again.items():
        np.testing.assert_array_equal(leaf[0], clips[name][11], err_msg=name)
    other = source.make("test", np.array([11]))
    assert np.abs(other["positions"][0] - clips["positions"][11]).max() > 0.01
    assert {name: (leaf.shape[1:], leaf.dtype) for name, leaf in clips.items()} == {
        name: (leaf.shape, leaf.dtype) for name, leaf in source.spec.items()
    }
    assert clips["features"].dtype == np.float32
    assert len(set(clips["style"].tolist())) == 3


def test_features_and_positions_are_the_same_motion(clips):
    np.testing.assert_allclose(decode(clips["features"]), clips["positions"], atol=1e-5)
    np.testing.assert_allclose(decode_bones(OURS, clips["features"]), clips["positions"], atol=1e-4)
    np.testing.assert_allclose(clips["positions"][:, 0, 0, ::2], 0.0, atol=1e-6)


def test_bones_keep_their_lengths_and_nobody_sinks_or_floats(clips):
    bones = np.linalg.norm(clips["positions"][:, :, 1:] - clips["positions"][:, :, np.array(OURS.parents[1:])], axis=-1)
    np.testing.assert_allclose(
        bones, np.broadcast_to(np.linalg.norm(OURS.offsets[1:], axis=-1), bones.shape), atol=1e-4
    )
    told = measures(clips["positions"])
    assert float(clearance(clips["positions"]).min()) > -1e-4
    assert float(told["float"].max()) < 2e-3


@pytest.mark.parametrize("name", [name for name in CLASSES if name != "jump"])
def test_standing_feet_do_not_skate(clips, name):
    """A joint that is flat on the ground before and after a step has not moved; a swinging foot is above it."""
    positions = of(clips, name)
    flat = np.asarray(clearance(positions)) < 2e-4
    kept = flat[:, :-1] & flat[:, 1:]
    speed = np.asarray(foot_speed(positions))[:, :-1]
    assert kept.sum() > 50
    assert speed[kept].max() < 0.02
    walks = name in ("walk", "run", "turn")
    assert (np.linalg.norm(positions[:, -1, 0] - positions[:, 0, 0], axis=-1).min() > 0.5) == walks


def test_a_jump_falls_with_g(clips):
    found = []
    for positions in of(clips, "jump"):
        spans = flights(positions)
        assert len(spans) == 1
        first, past = spans[0]
        height = np.asarray(mass_centre(positions))[first:past, 1]
        found.append(-2.0 * np.polyfit(np.arange(len(height)) / RATE, height, 2)[0])
    np.testing.assert_allclose(found, GRAVITY, rtol=0.02)


def test_a_runner_flies_and_a_walker_never_does(clips):
    assert not np.asarray(contacts(of(clips, "run"))).any(-1).all(-1).any()
    assert np.asarray(clearance(of(clips, "walk"))).min(-1).max() < 2e-3


def test_bad_requests_are_one_line():
    with pytest.raises(UsageError, match="frames=3"):
        MotionSource(0, frames=3)
    with pytest.raises(UsageError, match="'dance'"):
        MotionSource(0, classes=("walk", "dance"))
    with pytest.raises(UsageError, match="each once"):
        MotionSource(0, classes=("walk", "walk"))
    with pytest.raises(UsageError, match="split 'all'"):
        MotionSource(0).make("all", np.arange(2))
