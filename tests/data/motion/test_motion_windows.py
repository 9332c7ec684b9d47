"""Windows of clips: aligned once, however the person stood and looked; short clips are masked, not stretched."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.data.motion.windows import aligned, cut
from o2t_jax.physics.motion.skeleton import OURS


def clip(frames: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    places = np.array(OURS.offsets)
    for i, parent in enumerate(OURS.parents[1:], 1):
        places[i] += places[parent]
    return places + np.array([0.0, 0.9, 0.0]) + np.cumsum(rng.normal(0.0, 0.02, (frames, 21, 3)), axis=0)


@pytest.mark.parametrize("angle", [0.0, 1.0, -2.5])
def test_place_and_heading_do_not_matter(angle) -> None:
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
    motion = clip(10)
    elsewhere = motion @ turn.T + np.array([3.0, 0.0, -7.0])
    np.testing.assert_allclose(aligned(elsewhere, 4), aligned(motion, 4), atol=1e-9)
    now = aligned(elsewhere, 4)[4]
    np.testing.assert_allclose(now[0, [0, 2]], 0.0, atol=1e-12)
    left = now[OURS.index("LeftUpLeg")] - now[OURS.index("RightUpLeg")]
    assert left[0] > 0.0 and abs(left[2]) < 1e-9
    np.testing.assert_allclose(np.linalg.norm(np.diff(now, axis=0)), np.linalg.norm(np.diff(motion[4], axis=0)))


def test_short_clips_are_masked_and_too_short_ones_left_out() -> None:
    found = cut([clip(30), clip(12, 1), clip(5, 2)], [0, 1, 2], [0, 0, 1], given=4, length=16, stride=6, least=8)
    np.testing.assert_array_equal(found.clip, [0, 0, 0, 1])
    np.testing.assert_array_equal(found.label, [0, 0, 0, 1])
    np.testing.assert_array_equal(found.mask.sum(1), [16, 16, 16, 12])
    np.testing.assert_array_equal(found.positions[3, 12:], np.repeat(found.positions[3, 11:12], 4, axis=0))
    some = found.take(np.array([3]))
    assert len(some) == 1 and some.label[0] == 1
