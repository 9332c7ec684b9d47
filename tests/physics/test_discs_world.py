"""Rooms, random scenes, their pictures, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.physics.discs import rooms
from o2t_jax.physics.discs.drawing import drawing
from o2t_jax.physics.discs.scene import Track
from o2t_jax.physics.discs.world import DiscWorld, check_scene
from o2t_jax.physics.primitives import inside
from o2t_jax.render.planar import draw
from tests.physics.discs_scenes import SIZE, random_scene, scene

BOX = rooms.walls("box", SIZE)


@pytest.mark.parametrize("room", rooms.ROOMS)
def test_a_room_is_closed_and_holds_the_largest_disc(room):
    walls = rooms.walls(room, SIZE, rows=14)
    assert walls.ends.shape == (14, 2, 2) and not walls.present[-1]
    ends = walls.ends[walls.present]
    assert (ends >= 0.0).all() and (ends <= SIZE).all()
    corners, counts = np.unique(ends.reshape(-1, 2), axis=0, return_counts=True)
    assert (counts == 2).all() and len(corners) == len(ends)
    # Its area is the share of points that lie inside, and no point outside of its outline does.
    points = np.random.default_rng(0).uniform((-400.0, -300.0), (1200.0, 900.0), (40_000, 2))
    found = rooms.inside(walls, points, 0.0)
    assert found.mean() * 1600.0 * 1200.0 == pytest.approx(rooms.area(room, SIZE), rel=0.03)
    assert (found == np.asarray(rooms.inside(jax.tree.map(jnp.asarray, walls), jnp.asarray(points), 0.0))).all()


@pytest.mark.parametrize("room", rooms.ROOMS)
def test_a_disc_of_60_px_can_go_anywhere(room):
    """Passages of 2.2 diameters: the places of a disc of 66 px hang together, on a grid of 5 px."""
    x, y = np.meshgrid(np.arange(0.0, 801.0, 5.0), np.arange(0.0, 601.0, 5.0))
    free = rooms.inside(rooms.walls(room, SIZE), np.stack([x, y], axis=-1), 66.0)
    assert free[0].sum() == 0 and free.sum() > 1000
    from scipy.ndimage import label

    assert label(free)[1] == 1


def test_draws_are_valid_scenes():
    world = DiscWorld(room="L", masses=(1.0, 5.0, 25.0), radii=(40.0, 60.0), discs=4, obstacles=1)
    keys, draw_all = jax.random.split(jax.random.key(0), 200), jax.jit(lambda keys: world.draw_scene(keys, 5))
    scenes, track, redraws = jax.tree.map(np.asarray, draw_all(keys))
    for i in range(len(keys)):
        check_scene(jax.tree.map(lambda leaf, i=i: leaf[i], scenes))
    assert not track.overflow.any() and (redraws == 0).all()
    np.testing.assert_array_equal(track.position[:, 0], scenes.position)
    speed = np.linalg.norm(scenes.velocity, axis=-1)
    assert speed[:, :4].max() <= 60.0 and speed[:, :4].mean() == pytest.approx(30.0, rel=0.1)
    assert (speed[:, 4] == 0.0).all() and np.isinf(scenes.mass[:, 4]).all() and (scenes.radius[:, 4] == 80.0).all()
    for name, values in (("mass", world.masses), ("radius", world.radii)):
        drawn, counts = np.unique(getattr(scenes, name)[:, :4], return_counts=True)
        assert tuple(drawn) == values and counts.min() > 0.7 * counts.mean()
    turned = np.linalg.norm(scenes.velocity.sum((0, 1)) / speed.sum())
    assert turned < 0.1
    # Each scene is its key's own.
    jax.tree.map(lambda one, all: np.testing.assert_array_equal(one[::-1], all), draw_all(keys[::-1])[0], scenes)


def test_scenes_that_overflow_are_drawn_anew():
    """No collision is allowed: scenes that have one are drawn again and counted; where none is left it is said."""
    world = DiscWorld(most_events=0, speed=250.0)
    keys = jax.random.split(jax.random.key(1), 64)
    _, track, redraws = jax.tree.map(np.asarray, jax.jit(lambda keys: world.draw_scene(keys, 10))(keys))
    valid = ~track.overflow
    assert valid.any() and (redraws[valid] > 0).any() and track.hits[valid].sum() == 0
    assert track.overflow.any() and (redraws[track.overflow] == 10).all() and redraws.max() == 10


def test_a_scene_that_leaves_its_room_is_noticed():
    world = DiscWorld(discs=1)
    start = scene([[400.0, 300.0]], [[0.0, 0.0]], walls=BOX)
    for x, leaves in ((100.0, False), (59.99, False), (59.0, True), (-100.0, True)):
        position = np.array([[[400.0, 300.0]], [[x, 300.0]]])
        assert bool(world._left(start, Track(position, 0.0 * position, np.zeros((1, 1, 2), int), np.False_))) is leaves


def test_a_scene_without_a_place_for_each_disc_is_flagged(monkeypatch):
    """No try finds a place here, which the world's own check would have told."""
    monkeypatch.setattr("o2t_jax.physics.discs.world._have_places", lambda *_: True)
    crowded = DiscWorld(discs=2, radii=(220.0,))
    _, track, redraws = jax.jit(lambda key: crowded.draw_scene(key, 1))(jax.random.key(0))
    assert bool(track.overflow) and int(redraws) == 10


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"room": "o"}, "room='o' is unknown"),
        ({"room": "boxx"}, "did you mean"),
        ({"discs": 60}, "do not fit in room 'box'"),
        ({"discs": 2, "radii": (200.0,), "room": "L"}, "do not fit in room 'L'"),
        ({"discs": 1, "radii": (120.0,), "room": "O"}, "do not fit"),
        ({"masses": (1.0, 0.0)}, "masses=0 must"),
        ({"masses": ()}, "at least one"),
        ({"radii": (-3.0,)}, "radii=-3 must"),
        ({"dt": 0.0}, "dt=0 must"),
        ({"restitution": 1.1}, "restitution=1.1"),
        ({"gravity": -1.0}, "gravity=-1"),
        ({"discs": 0}, "discs=0"),
    ],
)
def test_a_world_that_cannot_be_is_refused(wrong, says):
    with pytest.raises(UsageError, match="(?i)" + says) as found:
        DiscWorld(**wrong)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("places", "change", "says"),
    [
        ([[300.0, 300.0], [400.0, 300.0]], {}, "discs 0 and 1 overlap"),
        ([[300.0, 300.0], [790.0, 300.0]], {}, "disc 1 at"),
        ([[300.0, 300.0], [900.0, 300.0]], {}, "disc 1 at"),
        ([[300.0, 300.0], [500.0, 300.0]], {"mass": np.array([1.0, -2.0])}, "disc 1: mass=-2"),
        ([[300.0, 300.0], [500.0, 300.0]], {"radius": np.array([0.0, 60.0])}, "disc 0: radius=0"),
    ],
)
def test_a_scene_that_cannot_be_is_refused(places, change, says):
    given = scene(places, np.zeros((2, 2)), walls=BOX)._replace(**change)
    with pytest.raises(UsageError, match=says):
        check_scene(given)
    check_scene(given._replace(present=np.zeros(2, bool)))
    check_scene(random_scene(0, "I"))


def test_a_picture_shows_discs_by_mass_and_obstacles_apart():
    given = scene(
        [[200.0, 150.0], [600.0, 150.0], [200.0, 450.0], [600.0, 450.0]],
        np.zeros((4, 2)),
        mass=[1.0, 25.0, np.inf, 1.0],
        walls=BOX,
    )._replace(present=np.array([True, True, True, False]))
    shown = drawing(given)
    assert np.asarray(inside(shown, aspect=4 / 3)).all()
    picture = np.asarray(draw(shown, 120, 160))
    # Rows count from the top, the second axis from below; the view leaves 5 % about the room.
    light, heavy, obstacle, ghost = (
        picture[round(60 - (y - 300) / 5.25), round(80 + (x - 400) / 5.25)] for x, y in given.position
    )
    assert light[0] > light[2] + 0.3 and light.sum() > heavy.sum() + 0.5 and heavy[0] > heavy[2] + 0.3
    assert abs(obstacle[0] - obstacle[2]) < 0.15
    np.testing.assert_allclose(ghost, picture[60, 80], atol=1e-6)
