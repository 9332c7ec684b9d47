"""Motion of discs from collision to collision: laws of mechanics, closed forms, and PyMunk as an outside witness."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from o2t_jax.errors import UsageError
from o2t_jax.physics.discs import rooms
from o2t_jax.physics.discs.invariants import energy, momentum
from o2t_jax.physics.discs.scene import Walls
from tests.physics.discs_scenes import SIZE, gaps, random_scene, scene, simulate, single, stacked

BOX = rooms.walls("box", SIZE)
ROWS_OF = ("position", "velocity", "mass", "radius", "present")


def collisions(track) -> np.ndarray:
    """Collisions [..., T] in each step of a track."""
    hits = np.asarray(track.hits)
    count = hits.shape[-2]
    return hits[..., :count].sum((-1, -2)) // 2 + hits[..., count].sum(-1)


def on_host(tree):
    return jax.tree.map(np.asarray, tree)


@pytest.mark.parametrize(("dtype", "near"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_two_discs_part_as_mechanics_says(dtype, near):
    """Unequal masses, e = 0.8, off the line of centres: against the textbook's impulse at the time of contact."""
    masses, e, reach = np.array([1.0, 3.0]), 0.8, 50.0
    start, velocity = np.array([[0.0, 0.0], [200.0, 25.0]]), np.array([[90.0, 10.0], [-30.0, 0.0]])
    with jax.enable_x64(dtype == np.float64):
        given = single(scene(start, velocity, masses, [20.0, 30.0]), dtype)
        track = on_host(simulate(given, frames=1, dt=2.0, restitution=e))
    apart, closing = start[1] - start[0], velocity[1] - velocity[0]
    roots = np.roots([closing @ closing, 2 * apart @ closing, apart @ apart - reach**2])
    time = roots.real.min()
    normal = (apart + time * closing) / reach
    impulse = -(1 + e) * (closing @ normal) * masses.prod() / masses.sum()
    after = velocity + np.array([[-1.0], [1.0]]) * impulse * normal / masses[:, None]
    place = start + time * velocity + (2.0 - time) * after
    np.testing.assert_allclose(track.velocity[1], after, rtol=near, atol=100 * near)
    np.testing.assert_allclose(track.position[1], place, rtol=near, atol=100 * near)
    assert track.position.dtype == dtype
    np.testing.assert_array_equal(track.hits[0], [[0, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize(("dtype", "most"), [(np.float32, 1e-5), (np.float64, 1e-10)])
def test_energy_over_ten_thousand_collisions(dtype, most):
    """Of the median scene; the worst of four, a random walk of rounding, may be twice as far."""
    scenes = stacked([random_scene(seed, speed=1.0, rows=4) for seed in range(4)])
    scenes.mass[:] = [1.0, 1.0, 5.0, 5.0]
    scenes.velocity[:] *= 500.0 / np.sqrt(scenes.mass * (scenes.velocity**2).sum(-1))[..., None]  # energies alike
    with jax.enable_x64(dtype == np.float64):
        scenes = single(scenes, dtype)
        track = on_host(simulate(scenes, frames=700, dt=5.0))
        total = energy(on_host(scenes), jax.tree.map(lambda leaf: leaf.astype(float), track))
    counted = np.cumsum(collisions(track), axis=1)
    assert not track.overflow.any() and counted[:, -1].min() >= 10_000
    drift = np.abs(total[:, 1:] / total[:, :1] - 1.0)
    worst = np.array([drift[i, : np.searchsorted(counted[i], 10_000) + 1].max() for i in range(4)])
    assert np.median(worst) <= most and worst.max() <= 2 * most


def test_momentum_is_held_where_only_discs_collide():
    scenes = single(stacked([random_scene(seed, masses=(1.0, 5.0, 25.0)) for seed in range(16)]))
    track = on_host(simulate(scenes, frames=60, dt=0.1))
    of_discs = (track.hits[..., :4].sum((-1, -2)) > 0) & (track.hits[..., 4].sum(-1) == 0)
    assert of_discs.sum() > 8
    total = momentum(on_host(scenes), track)
    change = np.linalg.norm(np.diff(total, axis=1), axis=-1)
    size = (np.asarray(scenes.mass)[:, None] * np.linalg.norm(track.velocity, axis=-1)).sum(-1)[:, :-1]
    assert (change[of_discs] <= 3e-6 * size[of_discs]).all()
    bounced = track.hits[..., 4].sum(-1) > 0
    assert (change[bounced] > 1e-3 * size[bounced]).any()  # the measure sees a change where there is one


@given(
    seed=st.integers(0, 10**6),
    room=st.sampled_from(list(rooms.ROOMS)),
    masses=st.lists(st.floats(0.1, 100.0), min_size=1, max_size=3),
    radii=st.lists(st.floats(5.0, 60.0), min_size=1, max_size=3),
    speed=st.floats(1.0, 1e5),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_no_disc_leaves_its_room_nor_enters_another(seed, room, masses, radii, speed):
    """Up to speeds that cross the room many times in a frame; one body of four is a static obstacle."""
    given_scene = random_scene(seed, room, masses, radii, speed=speed, static=1)
    track = on_host(simulate(single(given_scene), frames=20, dt=0.1, most_events=4000))
    assert not track.overflow
    assert gaps(given_scene, track.position).min() > -2e-3
    assert rooms.inside(given_scene.walls, track.position.astype(float), given_scene.radius - 2e-3).all()
    assert (track.position[:, 3] == track.position[0, 3]).all() and (track.velocity[:, 3] == 0.0).all()


def test_motion_runs_backwards_to_its_start():
    scenes = stacked([random_scene(seed, "I", (1.0, 5.0), static=1) for seed in range(16)])
    with jax.enable_x64(True):
        there = on_host(simulate(single(scenes, np.float64), frames=60, dt=0.1))
        turned = scenes._replace(position=there.position[:, -1], velocity=-there.velocity[:, -1])
        back = on_host(simulate(single(turned, np.float64), frames=60, dt=0.1))
    assert collisions(there).sum() > 30
    np.testing.assert_allclose(back.position[:, ::-1], there.position, atol=1e-6)
    np.testing.assert_array_equal(back.hits[:, ::-1], there.hits)


def test_events_come_in_their_order():
    """A row of equal discs hands the motion on: within one frame 0 hits 1, 1 hits 2, 2 the wall, and back."""
    row = scene([[100.0, 300.0], [300.0, 300.0], [500.0, 300.0]], [[1000.0, 0.0], [0.0, 0.0], [0.0, 0.0]], walls=BOX)
    # Ways of 80, 80 and 240 px to the wall, of 240 and 80 px back, and the first 40 px of 0's way to the other wall.
    track = on_host(simulate(single(row), frames=1, dt=(80 + 80 + 240 + 240 + 80 + 40) / 1000.0))
    np.testing.assert_array_equal(track.hits[0], [[0, 2, 0, 0], [2, 0, 2, 0], [0, 2, 0, 1]])
    np.testing.assert_allclose(track.velocity[1], [[-1000.0, 0.0], [0.0, 0.0], [0.0, 0.0]], atol=1e-3)
    np.testing.assert_allclose(track.position[1, :, 0], [140.0, 300.0, 500.0], atol=1e-3)


def test_a_wall_acts_from_both_sides_and_at_its_ends():
    wall = Walls(np.array([[[0.0, 0.0], [100.0, 0.0]]]), np.ones(1, bool))
    below = [[50.0, -30.0], [0.0, 20.0]]
    above = [[50.0, 30.0], [0.0, -20.0]]
    at_end = [[100.0 + 10.0 / np.sqrt(2.0), 30.0], [0.0, -20.0]]
    past = [[110.5, 30.0], [0.0, -20.0]]
    starts = stacked(
        [scene([place], [velocity], radius=10.0, walls=wall) for place, velocity in (below, above, at_end, past)]
    )
    starts.position[2, 0] = [100.0 + 10.0 / np.sqrt(2.0), 30.0]
    track = on_host(simulate(single(starts), frames=4, dt=1.0))
    expected = [[0.0, -20.0], [0.0, 20.0], [20.0, 0.0], [0.0, -20.0]]  # at the end, an angle of 45 degrees is met
    np.testing.assert_allclose(track.velocity[:, -1, 0], expected, atol=1e-4)
    np.testing.assert_array_equal(track.hits.sum((1, 2, 3)), [1, 1, 1, 0])


def test_the_order_of_rows_does_not_matter():
    scenes = stacked([random_scene(seed, "U", (1.0, 5.0), (40.0, 60.0), static=1) for seed in range(16)])
    order = np.array([2, 0, 3, 1])
    swapped = scenes._replace(**{name: getattr(scenes, name)[:, order] for name in ROWS_OF})
    with jax.enable_x64(True):
        one = on_host(simulate(single(scenes, np.float64), frames=60, dt=0.1))
        other = on_host(simulate(single(swapped, np.float64), frames=60, dt=0.1))
    assert collisions(one).sum() > 30
    np.testing.assert_allclose(other.position, one.position[:, :, order], atol=1e-6)
    np.testing.assert_array_equal(other.hits, one.hits[:, :, order][..., np.append(order, 4)])


def test_rows_that_are_not_present_change_nothing():
    """Neither a disc in the way nor a wall across the room, and vmap gives what a batch gives."""
    plain = stacked([random_scene(seed) for seed in range(16)])
    ghost = {
        "position": np.tile([400.0, 300.0], (16, 1, 1)),
        "velocity": np.full((16, 1, 2), 77.0),
        "mass": np.zeros((16, 1)),
        "radius": np.full((16, 1), 200.0),
        "present": np.zeros((16, 1), bool),
    }
    more = {name: np.concatenate([getattr(plain, name), extra], axis=1) for name, extra in ghost.items()}
    across = np.tile(np.array([[[0.0, 300.0], [800.0, 300.0]]]), (16, 1, 1, 1))
    walls = Walls(
        np.concatenate([plain.walls.ends, across], axis=1),
        np.concatenate([plain.walls.present, np.zeros((16, 1), bool)], axis=1),
    )
    padded = plain._replace(**more, walls=walls)
    one = on_host(simulate(single(plain), frames=60, dt=0.1))
    other = on_host(simulate(single(padded), frames=60, dt=0.1))
    assert collisions(one).sum() > 16
    np.testing.assert_array_equal(other.position[:, :, :4], one.position)
    assert (other.hits[..., 4, :] == 0).all() and (other.position[:, :, 4] == [400.0, 300.0]).all()
    mapped = on_host(jax.vmap(lambda single_scene: simulate(single_scene, frames=60, dt=0.1))(single(plain)))
    jax.tree.map(np.testing.assert_array_equal, mapped, one)


def test_too_many_collisions_in_a_frame_are_flagged():
    fast = single(scene([[400.0, 300.0]], [[16000.0, 0.0]], walls=BOX))
    track = on_host(simulate(fast, frames=3, dt=0.1, most_events=2))  # 680 px from wall to wall
    assert not on_host(simulate(fast, frames=3, dt=0.1, most_events=3)).overflow
    assert track.overflow and np.isfinite(track.position).all()


def test_pymunk_goes_the_same_way():
    """Before chaos: while no disc has had more than three collisions. PyMunk's steps are of 0.1 ms."""
    pymunk = pytest.importorskip("pymunk")
    compared = 0
    for seed in range(3):
        given_scene = random_scene(seed, masses=(1.0, 5.0), speed=300.0, rows=4)
        ours = on_host(simulate(single(given_scene), frames=15, dt=0.1))
        theirs = pymunk_track(pymunk, given_scene, frames=15, dt=0.1, steps=1000)
        calm = np.cumsum(ours.hits.sum(-1), axis=0).max(axis=1) <= 3
        compared += ours.hits[calm].sum()
        np.testing.assert_allclose(ours.position[1:][calm], theirs[1:][calm], atol=0.5)
    assert compared >= 12


def pymunk_track(pymunk, given_scene, frames, dt, steps):
    space, bodies = pymunk.Space(), []
    space.collision_slop, space.iterations = 0.0, 30
    for ends in given_scene.walls.ends:
        segment = pymunk.Segment(space.static_body, *(tuple(map(float, end)) for end in ends), 0.0)
        segment.elasticity = 1.0
        space.add(segment)
    for place, velocity, mass, radius in zip(*given_scene[:4], strict=True):
        body = pymunk.Body(float(mass), float("inf"))
        body.position, body.velocity = tuple(map(float, place)), tuple(map(float, velocity))
        circle = pymunk.Circle(body, float(radius))
        circle.elasticity = 1.0
        space.add(body, circle)
        bodies.append(body)
    track = [[tuple(body.position) for body in bodies]]
    for _ in range(frames):
        for _ in range(steps):
            space.step(dt / steps)
        track.append([tuple(body.position) for body in bodies])
    return np.array(track)


@pytest.mark.parametrize("wrong", [{"restitution": 1.2}, {"dt": 0.0}, {"frames": 0}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        simulate(single(scene([[0.0, 0.0]], [[1.0, 0.0]])), **({"frames": 1, "dt": 0.1} | wrong))
