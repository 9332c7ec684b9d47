"""The scenes' distributions, as documented, and their cameras."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.geometry.camera import intrinsics_for, project, world_to_camera
from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.room.exact import FALL, PROJECTILE, RAMP, simulate
from o2t_jax.physics.room.ramp import footprint_coordinates, ramp_normal
from o2t_jax.render.scenes import SCENES, get_scene
from tests.defaults import shot_config

COUNT = 1500


@pytest.fixture(scope="module")
def rooms():
    rng = np.random.default_rng(0)
    return [get_scene("room").sample(rng) for _ in range(COUNT)]


def test_room_balls_have_the_stated_sizes_colours_and_sides(rooms):
    radius, colour = np.array([r.radius for r in rooms]), np.array([r.colour for r in rooms])
    assert radius.min() >= 0.1 and radius.max() <= 1.5
    assert np.median(radius) == pytest.approx(0.4, abs=0.02) and np.mean(radius == 0.1) == pytest.approx(
        0.067, abs=0.02
    )
    assert colour.min() >= 0.30 and colour.max() <= 0.78 and colour.mean() == pytest.approx(0.54, abs=0.01)
    assert all((np.sign(r.position[:, 0]) == r.side).all() and sorted(r.side) == [-1, 1] for r in rooms)


def test_room_places_follow_the_clipped_normal(rooms):
    left = np.array([r.position[1, :2] for r in rooms])  # this side has no ramp
    assert left[:, 0].max() <= -2.0
    # N(10, 6^2) cut off at 2: mean 10 + 6 * 0.1640 / 0.9088, about 11.08.
    assert -left[:, 0].mean() == pytest.approx(11.08, abs=0.4)
    assert left[:, 1].mean() == pytest.approx(0.0, abs=0.5) and left[:, 1].std() == pytest.approx(6.0, abs=0.35)


def test_room_ramps(rooms):
    ramps = [r.ramp for r in rooms if r.ramp is not None]
    assert len(ramps) / COUNT == pytest.approx(0.7, abs=0.04)
    slope, height, width = np.array([(p.slope, p.height, p.width) for p in ramps]).T
    foot, theta = np.array([p.foot for p in ramps]), 90.0 - np.array([p.uphill for p in ramps])
    assert slope.min() >= 10 and slope.max() <= 50 and slope.mean() == pytest.approx(30.0, abs=1.2)
    assert height.min() >= 1.2 and height.max() <= 2.0 and width.min() >= 2.0 and width.max() <= 3.0
    assert foot[:, 0].min() >= 3.0 and np.hypot(*foot.T).max() <= 20.0
    near = theta < 90.0
    assert near.mean() == pytest.approx(0.5, abs=0.06)
    for group, middle in ((theta[near], 20.0), (theta[~near], 160.0)):
        assert group.mean() == pytest.approx(middle, abs=1.5) and group.std() == pytest.approx(10.0, abs=1.2)


def test_room_kinds(rooms):
    kinds = np.array([r.kind for r in rooms])
    with_ramp = np.array([r.ramp is not None for r in rooms])
    on_ramp = kinds[:, 0] == RAMP
    assert not on_ramp[~with_ramp].any() and not (kinds[:, 1] == RAMP).any()
    assert on_ramp[with_ramp].mean() == pytest.approx(0.55, abs=0.05)
    assert (kinds[:, 1] == PROJECTILE).mean() == pytest.approx(0.5, abs=0.05)
    for room in rooms:
        for kind, side, r, place, velocity in zip(
            room.kind, room.side, room.radius, room.position, room.velocity, strict=True
        ):
            speed = np.linalg.norm(velocity)
            if kind == PROJECTILE:
                assert 0.3 <= place[2] - r <= 1.5 and 5.0 <= speed <= 10.0
                assert 10.0 - 1e-9 <= np.degrees(np.arcsin(velocity[2] / speed)) <= 70.0 + 1e-9
                assert abs(np.degrees(np.arctan2(velocity[1], side * velocity[0]))) <= 60.0 + 1e-9
            else:
                assert speed == 0.0
            if kind == FALL:
                assert place[2] - r >= 1.0
            if kind == RAMP:
                # Its centre lies one radius off the surface, at 50 to 92% of the slope's length.
                foot = np.array([*room.ramp.foot, 0.0])
                assert (place - foot) @ ramp_normal(room.ramp) == pytest.approx(r, abs=1e-9)
                up, across = footprint_coordinates(room.ramp, place)
                length = room.ramp.height / np.sin(np.radians(room.ramp.slope))
                touch = (up + r * np.sin(np.radians(room.ramp.slope))) / np.cos(np.radians(room.ramp.slope))
                assert 0.5 - 1e-9 <= touch / length <= 0.92 + 1e-9 and across == pytest.approx(0.0, abs=1e-9)


def test_no_ball_starts_inside_the_ramp(rooms):
    from o2t_jax.render.opencv.solids import RampSolid

    for room in rooms:
        if room.ramp is not None:
            apart = np.linalg.norm(np.array(RampSolid(room.ramp).closest(tuple(room.position[0]))) - room.position[0])
            assert apart >= room.radius[0] - 1e-9


def test_ballistic_numbers():
    rng = np.random.default_rng(1)
    setups = [get_scene("ballistic").sample(rng) for _ in range(400)]
    place, speed = np.array([s.position[0] for s in setups]), np.array([s.velocity[0] for s in setups])
    radius, colour = np.array([s.radius[0] for s in setups]), np.array([s.colour[0] for s in setups])
    for values, low, high in [
        (place[:, :2], -0.5, 0.5), (place[:, 2], 3.0, 5.0), (speed[:, :2], -1.5, 1.5), (speed[:, 2], -3.0, 6.0),
        (radius, 0.22, 0.38), (colour, 0.30, 0.78),
    ]:  # fmt: skip
        assert values.min() >= low and values.max() <= high
        assert values.mean() == pytest.approx(0.5 * (low + high), abs=0.08 * (high - low))
        assert np.ptp(values) > 0.95 * (high - low)
    assert all(not s.bounces and not s.vanishes and s.ramp is None for s in setups)


def test_fall_numbers():
    """Starts are as documented, and flights cover all heights from 0 to 20 m."""
    rng = np.random.default_rng(1)
    setups = [get_scene("fall").sample(rng) for _ in range(400)]
    place, speed = np.array([s.position[0] for s in setups]), np.array([s.velocity[0] for s in setups])
    radius = np.array([s.radius[0] for s in setups])
    thrown = speed[:, 2] > 8.0
    assert thrown.mean() == pytest.approx(0.3, abs=0.08) and place[thrown, 2].max() <= 2.0
    assert np.hypot(*place[:, :2].T).max() <= 2.0 and np.abs(speed[:, :2]).max() <= 1.5
    assert radius.min() >= 0.25 and radius.max() <= 0.45 and (place[:, 2] > radius).all()
    times = np.linspace(0.0, get_scene("fall").t_max, 20)
    flights = [simulate(s, times, Gravity.constant(9.8)) for s in setups]
    heights = np.concatenate([p[v][:, 2] for p, v in flights])
    shares = np.histogram(heights, bins=np.linspace(0.0, 20.0, 6))[0] / len(heights)
    assert shares.min() > 0.08 and shares.max() < 0.4


@pytest.mark.parametrize("name", sorted(SCENES))
def test_every_scene_keeps_the_contract(name):
    scene = get_scene(name)
    one, same = (scene.sample(np.random.default_rng(7)) for _ in range(2))
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert scene.name == name and one.radius.shape == (scene.num_balls,) and one.bounces is scene.bounces
    assert one.position.shape == one.velocity.shape == one.colour.shape == (scene.num_balls, 3)
    position, azimuth, elevation = scene.view_prior(np.random.default_rng(3), shot_config())
    assert position.shape == (3,) and position[2] > 0.5 and np.isfinite([azimuth, elevation]).all()
    simulate(one, np.linspace(0.0, scene.t_max, 5), Gravity.constant(9.81))


@pytest.mark.parametrize(("name", "share"), [("ballistic", 0.9), ("fall", 0.85), ("room", 0.5)])
def test_the_view_prior_has_a_ball_wholly_in_sight(name, share):
    """At t = 0.2 s, under laws from the Moon's to Jupiter's: the camera depends on none of them."""
    scene, camera = get_scene(name), intrinsics_for(64, 64)
    rng = np.random.default_rng(2)
    for g in (1.62, 9.81, 24.8):
        seen = []
        for _ in range(150):
            setup, (eye, azimuth, elevation) = scene.sample(rng), scene.view_prior(rng, shot_config())
            place, visible = simulate(setup, np.array([0.2]), Gravity.constant(g))
            pixels, depth = project(place[0], eye, world_to_camera(azimuth, elevation), camera)
            margin = camera.focal * setup.radius / np.maximum(depth, 0.1)
            whole = visible[0] & (depth > 0.5) & (np.minimum(pixels, 64.0 - pixels).min(axis=-1) > margin)
            seen.append(whole.any())
        assert np.mean(seen) > share


def test_distances_come_from_the_config_where_it_sets_them():
    config = shot_config(distance_min=20.0, distance_max=21.0)
    for name, centres in (("ballistic", [(0.0, 0.0)]), ("room", [(10.0, 0.0), (-10.0, 0.0)])):
        eye, _, _ = get_scene(name).view_prior(np.random.default_rng(0), config)
        assert any(20.0 <= np.hypot(*(eye[:2] - c)) <= 21.0 for c in centres)


def test_an_unknown_scene_is_refused_with_a_suggestion():
    with pytest.raises(UsageError, match="did you mean 'ballistic'"):
        get_scene("balistic")
    with pytest.raises(UsageError, match="choose one of ballistic, fall, room"):
        get_scene("xyz")
