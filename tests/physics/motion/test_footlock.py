"""Locked feet: a stance stops sliding, the legs keep their bones, what stands or swings well stays."""

from __future__ import annotations

import numpy as np

from o2t_jax.physics.motion.footlock import lock_feet
from o2t_jax.physics.motion.skeleton import LEFT_ANKLE, OURS, RIGHT_ANKLE, SOLES, STANDING


def crouched(frames: int) -> np.ndarray:
    """[1, frames, J, 3]: feet flat on the ground, knees a little bent ahead."""
    places = np.array(OURS.offsets)
    places[0, 1] += STANDING
    for i, parent in enumerate(OURS.parents[1:], 1):
        places[i] += places[parent]
    for side in ("Left", "Right"):
        hip, knee, ankle, toe = (OURS.index(side + x) for x in ("UpLeg", "Leg", "Foot", "Toe"))
        ahead = 0.1
        places[knee] = places[hip] + [0.0, -np.sqrt(0.39**2 - ahead**2), ahead]
        places[ankle] = places[knee] + [0.0, -np.sqrt(0.41**2 - ahead**2), -ahead]
        places[toe] = places[ankle] + OURS.offsets[toe]
    places[:, 1] += SOLES[0] - places[LEFT_ANKLE, 1]
    return np.repeat(places[None, None], frames, axis=1)


def test_feet_that_stand_well_stay_and_those_that_slide_stop() -> None:
    clip = crouched(10)
    np.testing.assert_allclose(lock_feet(clip), clip, atol=1e-4)
    sliding = clip + np.array([0.0, 0.0, 0.01]) * np.arange(10)[None, :, None, None]
    found = lock_feet(sliding)
    for ankle in (LEFT_ANKLE, RIGHT_ANKLE):
        assert np.ptp(found[0, :, ankle], axis=0).max() < 1e-4
    np.testing.assert_array_equal(found[:, :, 0], sliding[:, :, 0])
    parents = np.array(OURS.parents[1:])
    lengths = np.linalg.norm(found[:, :, 1:] - found[:, :, parents], axis=-1)
    np.testing.assert_allclose(
        lengths, np.linalg.norm(OURS.offsets[1:], axis=-1)[None, None] + np.zeros((1, 10, 1)), atol=1e-4
    )


def test_a_foot_below_the_ground_comes_up_and_one_in_the_air_is_left_alone() -> None:
    deep = crouched(6)
    deep[..., 1] -= 0.05
    assert lock_feet(deep)[:, :, LEFT_ANKLE, 1].min() > SOLES[0] - 1e-5
    aloft = crouched(6) + np.array([0.0, 0.3, 0.05]) * np.arange(1, 7)[None, :, None, None]
    np.testing.assert_allclose(lock_feet(aloft), aloft, atol=1e-4)
