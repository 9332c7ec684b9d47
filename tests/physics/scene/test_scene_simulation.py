"""Things fall by g, stacks stay, pushes move, elastic balls come back; a person under torques."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.physics.motion.skeleton import OURS, STANDING
from o2t_jax.physics.scene.humanoid import Clip, Humanoid, stays_upright
from o2t_jax.physics.scene.kinds import Kind, Part
from o2t_jax.physics.scene.mjcf import GRAVITY, Placed
from o2t_jax.physics.scene.simulation import FPS, Push, simulate

BALL = Kind("ball", 0.5, 0.5, "red", (Part("sphere", (0.15,), (0.0, 0.0, 0.15)),))
BOX = Kind("box", 4.0, 0.6, "brown", (Part("box", (0.2, 0.2, 0.2), (0.0, 0.0, 0.2)),))


@pytest.fixture(scope="module")
def track():
    pytest.importorskip("mujoco")
    things = [
        Placed("ball", BALL, (0.0, 0.0, 2.0)),
        Placed("rubber", BALL, (3.0, 0.0, 1.5), bouncy=True),
        Placed("low", BOX, (5.0, 0.0, 0.0)),
        Placed("high", BOX, (5.0, 0.0, 0.4)),
        Placed("crate", BOX, (-3.0, 0.0, 0.0)),
        Placed("lamp", BOX, (-5.0, 0.0, 1.0), held=True),
    ]
    return simulate(things, 2.0, [Push("crate", 0.5, 1.0, (0.0, 1.0), 1.0)])


def test_free_fall_obeys_g(track):
    height = track.of("ball")[:9, 2]
    assert np.diff(height, 2) == pytest.approx(-GRAVITY / FPS**2, rel=1e-4)


def test_a_stack_stays_and_what_hangs_hangs(track):
    for name in ("low", "high", "lamp"):
        assert np.abs(track.of(name) - track.of(name)[0]).max() < 0.01


def test_a_push_moves_where_it_points_and_friction_stops_it(track):
    way = track.of("crate") - track.of("crate")[0]
    assert np.abs(way[: FPS // 2]).max() < 0.01
    assert 0.3 < way[-1, 1] < 1.5
    assert abs(way[-1, 0]) < 0.05
    assert np.linalg.norm(track.velocity[-1, track.bodies.index("crate")]) < 0.2


def test_only_the_elastic_ball_comes_back(track):
    after = slice(FPS, None)
    assert track.of("rubber")[after, 2].max() > 0.4
    assert track.of("ball")[after, 2].max() < 0.1


def test_nothing_sinks_into_the_floor(track):
    """An elastic contact is a spring: it gives way by more."""
    for name, shape, size, centre in zip(
        track.geoms, track.shape, track.size, track.centre.swapaxes(0, 1), strict=True
    ):
        lowest = centre[:, 2].min() - size[2 if shape == "box" else 0]
        assert lowest > (-0.03 if name.startswith("rubber") else -0.01), name


def standing(frames: int = 41) -> Clip:
    down = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # the left arm hangs
    rotations = np.tile(np.eye(3), (frames, len(OURS), 1, 1))
    rotations[:, OURS.index("LeftArm")], rotations[:, OURS.index("RightArm")] = down.T, down
    return Clip(np.tile([0.0, STANDING, 0.0], (frames, 1)), rotations, 20.0)


def test_a_person_stands_by_torques_and_falls_without():
    pytest.importorskip("mujoco")
    held, limp = Humanoid("a", standing()), Humanoid("b", standing(), (3.0, 0.0, 0.0), limp=True)
    track = simulate([], 2.0, actors=[held, limp])
    assert stays_upright(held, track.of("a.Hips"), track.time)
    assert not stays_upright(limp, track.of("b.Hips"), track.time)


def test_a_person_begins_in_the_clips_pose():
    pytest.importorskip("mujoco")
    body = Humanoid("a", standing(), (1.0, 2.0, 0.0), heading=0.7)
    track = simulate([], 0.05, actors=[body])
    assert track.of("a.Hips")[0] == pytest.approx([1.0, 2.0, STANDING], abs=1e-6)
    hand = track.of("a.LeftHand")[0] - track.of("a.LeftArm")[0]
    assert hand == pytest.approx([0.0, 0.0, -0.46], abs=1e-3)
    left = track.of("a.LeftUpLeg")[0] - track.of("a.RightUpLeg")[0]
    assert left[:2] == pytest.approx([0.13 * np.cos(0.7), 0.13 * np.sin(0.7)], abs=1e-6)


def test_without_mujoco_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(UsageError, match=r"o2t_jax\[motion\]"):
        simulate([Placed("ball", BALL, (0.0, 0.0, 1.0))], 1.0)


def test_a_length_of_time_that_is_none():
    with pytest.raises(UsageError, match="seconds"):
        simulate([], 0.0)
