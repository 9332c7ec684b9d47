"""Laws of skeletons, of the feature layout and of the measures."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.physics.motion import kinematics, layout
from o2t_jax.physics.motion.contacts import contacts, flights
from o2t_jax.physics.motion.measures import GRAVITY, floating, jerk, mass_centre, measures, penetration, skate
from o2t_jax.physics.motion.skeleton import FEET, MASS_SHARES, OURS, SOLES, STANDING, Skeleton


@pytest.fixture(scope="module")
def motion() -> tuple[jax.Array, jax.Array]:
    """Root [30, 3] and rotations [30, 21, 3, 3] of somebody who turns and drifts, with noise in every joint."""
    of_noise, of_walk = jax.random.split(jax.random.key(3))
    noise = jax.random.normal(of_noise, (30, 21, 6)) * 0.2
    rotations = kinematics.from_six(noise + jnp.array([1.0, 0, 0, 0, 1, 0]))
    heading = 2.0 + 0.2 * jnp.arange(30.0)  # more than a whole turn
    rotations = rotations.at[:, 0].set(kinematics.about_y(heading) @ rotations[:, 0])
    walk = jnp.cumsum(jax.random.normal(of_walk, (30, 3)) * 0.02, 0)
    return walk + jnp.array([0.5, STANDING, -2.0]), rotations


@pytest.fixture(scope="module")
def standing() -> jax.Array:
    """Positions [16, 21, 3] of somebody who stands still."""
    root = jnp.broadcast_to(jnp.array([0.0, STANDING, 0.0]), (16, 3))
    return kinematics.forward(OURS, root, jnp.broadcast_to(jnp.eye(3), (16, 21, 3, 3)))


def test_a_chain_made_by_hand():
    """Upper arm 2 m up, forearm 1 m: the shoulder bends forward by 90 degrees, then the elbow to the left by 90."""
    chain = Skeleton(("a", "b", "c"), (-1, 0, 1), np.array([[0, 0, 0], [0, 2, 0], [0, 1, 0.0]]))
    turned = jnp.stack([kinematics.about_x(jnp.pi / 2), kinematics.about_z(-jnp.pi / 2), jnp.eye(3)])
    places = kinematics.forward(chain, jnp.array([1.0, 0, 0]), turned)
    np.testing.assert_allclose(places, [[1, 0, 0], [1, 0, 2], [2, 0, 2]], atol=1e-6)


def test_the_rest_pose_stands_on_its_soles():
    rest = kinematics.forward(OURS, jnp.array([0.0, STANDING, 0.0]), jnp.broadcast_to(jnp.eye(3), (21, 3, 3)))
    np.testing.assert_allclose(rest[np.array(FEET), 1], SOLES, atol=1e-6)
    assert MASS_SHARES.sum() == pytest.approx(1.0)
    assert 0.9 < float(mass_centre(rest)[1]) < 1.05  # near the navel


def test_rotations_survive_six_numbers_and_their_parents(motion):
    _, rotations = motion
    np.testing.assert_allclose(kinematics.from_six(kinematics.to_six(rotations)), rotations, atol=1e-6)
    there = kinematics.globals_of(OURS, rotations)
    np.testing.assert_allclose(kinematics.locals_of(OURS, there), rotations, atol=1e-5)


@pytest.mark.parametrize("now", [(0, 0, 1), (0, 0, -1), (1, 0, 0), (0.3, -0.5, 0.2)])
def test_the_smallest_rotation(now):
    turned = kinematics.between(jnp.array([0.0, 0, 1]), jnp.array(now, float))
    np.testing.assert_allclose(turned @ jnp.array([0.0, 0, 1]), np.array(now) / np.linalg.norm(now), atol=1e-5)
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-5)


def test_a_leg_reaches_and_bends_forward():
    hip, ankle, ahead = jnp.array([0.0, 1, 0]), jnp.array([0.1, 0.3, 0.2]), jnp.array([0.0, 0, 1])
    bent, there = kinematics.knee(hip, ankle, ahead, 0.4, 0.42)
    np.testing.assert_allclose(there, ankle, atol=1e-6)
    assert float(jnp.linalg.norm(bent - hip)) == pytest.approx(0.4, abs=1e-5)
    assert float(jnp.linalg.norm(ankle - bent)) == pytest.approx(0.42, abs=1e-5)
    assert float(bent[2]) > 0.1  # ahead of the line from hip to ankle, whose middle is at 0.1
    _, stretched = kinematics.knee(hip, jnp.array([0.0, -1, 0]), ahead, 0.4, 0.42)
    np.testing.assert_allclose(stretched, [0, 0.18, 0], atol=1e-5)  # out of reach: as far as it goes


def test_the_layout_comes_back(motion):
    root, rotations = motion
    features = layout.encode(OURS, root, rotations)
    assert features.shape == (30, 251)
    positions = kinematics.forward(OURS, *layout.canonical(root, rotations))
    np.testing.assert_allclose(layout.decode(features), positions, atol=1e-5)
    np.testing.assert_allclose(layout.decode_bones(OURS, features), positions, atol=1e-5)
    np.testing.assert_allclose(kinematics.forward(OURS, *layout.decode_pose(OURS, features)), positions, atol=1e-5)


def test_features_do_not_know_where_the_person_is(motion):
    root, rotations = motion
    turn = kinematics.about_y(1.234)
    moved = rotations.at[:, 0].set(turn @ rotations[:, 0])
    there = layout.encode(OURS, root @ turn.T + jnp.array([3.0, 0, -1]), moved)
    np.testing.assert_allclose(there, layout.encode(OURS, root, rotations), atol=2e-5)


def test_the_layout_has_the_published_parts():
    """HumanML3D, 22 joints: turn 0, step 1-2, height 3, places to 67, rotations to 193, velocities to 259, contacts."""
    ends = {name: part.stop for name, part in layout.parts(22).items()}
    assert ends == {
        "turn": 1,
        "step": 3,
        "height": 4,
        "places": 67,
        "rotations": 193,
        "velocities": 259,
        "contacts": 263,
    }
    assert layout.joint_count(251) == 21
    with pytest.raises(UsageError, match="12 J - 1"):
        layout.joint_count(168)


def test_a_known_step_decodes_as_the_public_recipe_has_it():
    """Half a turn's angle, negated: a row of 0.1 turns the heading by -0.2 rad, and the step is by the next heading."""
    features = np.zeros((2, layout.width(2)))
    features[0, :4] = (0.1, 0.0, 1.0, 0.9)
    root, heading = layout.root_of(jnp.asarray(features))
    np.testing.assert_allclose(heading, [0, -0.2], atol=1e-6)
    np.testing.assert_allclose(root[1], [np.sin(-0.2), 0.0, np.cos(-0.2)], atol=1e-6)


def test_a_skeleton_that_is_no_tree_is_refused():
    with pytest.raises(UsageError, match="no tree"):
        Skeleton(("a", "b"), (-1, 1), np.zeros((2, 3)))
    with pytest.raises(UsageError, match="no joint 'Tail'"):
        OURS.index("Tail")


def test_measures_of_what_is_known(standing):
    told = measures(standing)
    assert all(float(value) == pytest.approx(0.0, abs=2e-3) for value in told.values())
    slid = standing + jnp.arange(16.0)[:, None, None] * jnp.array([0.0, 0, 0.05])
    assert float(skate(slid)) == pytest.approx(1.0, rel=1e-3)  # 0.05 m a frame, 20 frames/s
    assert float(penetration(standing - jnp.array([0, 0.02, 0]))) == pytest.approx(0.015, abs=1e-5)
    assert float(floating(standing + jnp.array([0, 0.1, 0]))) == pytest.approx(0.08, abs=1e-4)
    assert float(skate(slid + jnp.array([0, 0.1, 0]))) < 0.01  # nothing touches the ground
    times = jnp.arange(16.0)[:, None, None] / 20.0
    assert float(jerk(standing + times**3 * jnp.array([0, 1.0, 0]))) == pytest.approx(6.0, rel=0.02)


def test_who_falls_does_not_float(standing):
    times = jnp.arange(16.0) / 20.0
    height = 0.1 + 4.0 * times - 0.5 * GRAVITY * times**2
    lifted = standing + (height[:, None] * jnp.array([0.0, 1, 0]))[:, None]
    assert float(floating(lifted)) < 0.01
    assert float(floating(standing + jnp.array([0, 0.5, 0]))) > 0.4


def test_contacts_and_flights(standing):
    assert bool(contacts(standing).all())
    assert flights(standing) == []
    lifted = np.array(standing)
    lifted[5:9, :, 1] += 0.2
    assert flights(lifted) == [(5, 9)]
    lifted[12:, :, 1] += 0.2  # never lands
    assert flights(lifted) == [(5, 9)]
    assert not bool(contacts(lifted)[5:9].any())


@pytest.mark.parametrize("name", ["skate", "penetration", "float", "jerk"])
def test_gradients_against_finite_differences(motion, name):
    """Through forward kinematics; what has no gradient by design (`low`, the share of g) is held as it was."""
    root, rotations = motion
    root = root.at[:, 1].add({"float": 0.3, "penetration": -0.1}.get(name, 0.0))

    with jax.enable_x64(True):
        at = jnp.asarray(root, jnp.float64)
        way = jax.random.normal(jax.random.key(1), at.shape, jnp.float64) * jnp.array([1.0, 0.0, 1.0])
        if name in ("penetration", "float"):  # shifts along the vertical keep the share of g
            way = jnp.broadcast_to(jnp.array([0.0, 1.0, 0.0]), at.shape)

        def value(size):
            return measures(kinematics.forward(OURS, at + size * way, jnp.asarray(rotations, jnp.float64)))[name]

        value = jax.jit(value)
        slope = jax.jit(jax.grad(value))(0.0)
        numeric = (value(1e-6) - value(-1e-6)) / 2e-6
    assert abs(float(slope)) > 1e-4
    assert float(slope) == pytest.approx(float(numeric), rel=1e-4)
