"""The physics state: a body that falls, turns and travels as known has the known channels."""

from __future__ import annotations

import numpy as np

from o2t_jax.physics.motion.contacts import RATE
from o2t_jax.physics.motion.skeleton import OURS, STANDING
from o2t_jax.physics.motion.state import CHANNELS, physics_state


def standing() -> np.ndarray:
    places = np.array(OURS.offsets)
    places[0, 1] += STANDING
    for i, parent in enumerate(OURS.parents[1:], 1):
        places[i] += places[parent]
    return places


def test_a_body_in_flight_falls_with_g_and_touches_nothing() -> None:
    t = np.arange(8) / RATE
    way = np.stack([1.5 * t, 1.0 + 2.0 * t - 0.5 * 9.81 * t**2, -0.5 * t], axis=-1)
    state = np.asarray(physics_state(standing() + way[:, None]))
    assert state.shape == (CHANNELS,)
    middle = t[-1] - 0.5 / RATE  # where a backward difference is the velocity
    velocity = [1.5, 2.0 - 9.81 * middle, -0.5]
    for first in (4, 12):  # of the hips, and of the centre of mass
        np.testing.assert_allclose(state[first : first + 3], velocity, atol=1e-3)
    np.testing.assert_allclose(state[[0, 3, 16]], -9.81, atol=0.01)
    np.testing.assert_allclose(state[7:10], 0.0, atol=1e-3)
    np.testing.assert_array_equal(state[10:12], 0.0)
    np.testing.assert_allclose(state[21:24], 0.0, atol=1e-3)
    np.testing.assert_array_equal(state[24:], 0.0)


def test_a_body_that_turns_has_its_angular_velocity_and_stands_on_both_feet() -> None:
    angle = 0.8 * np.arange(8) / RATE  # rad/s about the vertical, from ahead to the left
    cos, sin, one, zero = np.cos(angle), np.sin(angle), np.ones(8), np.zeros(8)
    turn = np.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], -1).reshape(8, 3, 3)
    state = np.asarray(physics_state(np.einsum("tab,jb->tja", turn, standing())))
    np.testing.assert_allclose(state[7:10], [0.0, 0.8, 0.0], atol=2e-3)
    np.testing.assert_array_equal(state[10:12], 1.0)
    assert state[22] > 0.01 and np.all(np.abs(state[[21, 23]]) < state[22])


def test_no_frame_after_the_given_ones_is_needed_and_earlier_ones_change_nothing() -> None:
    clip = standing() + np.random.default_rng(0).normal(0.0, 0.02, (8, 21, 3))
    other = clip.copy()
    other[:4] += 0.1
    np.testing.assert_allclose(physics_state(other), physics_state(clip), atol=1e-5)
