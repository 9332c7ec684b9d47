"""Discs under gravity and with lossy contacts: when they touch, how high they bounce, where they come to rest."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from o2t_jax.physics.discs import rooms
from o2t_jax.physics.discs.invariants import energy
from o2t_jax.physics.discs.parabola import fall_to_circle, fall_to_line
from tests.physics.discs_scenes import SIZE, gaps, random_scene, scene, simulate, single, stacked

BOX = rooms.walls("box", SIZE)


def on_host(tree):
    return jax.tree.map(np.asarray, tree)


def row(tree, i):
    return jax.tree.map(lambda leaf: leaf[i], tree)


def first_fall(gap, window):
    """The first time in [0, window] at which `gap` of times comes from above 0 to below, infinite if none; by Brent."""
    times = np.linspace(0.0, window, 4001)
    values = gap(times)
    below = np.flatnonzero((values[1:] <= 0.0) & (values[:-1] > 0.0))
    return brentq(gap, times[below[0]], times[below[0] + 1], xtol=1e-12) if len(below) else np.inf


@pytest.mark.parametrize("shape", ["circle", "line"])
def test_contact_times_are_those_of_a_fine_grid(shape):
    random, window, count = np.random.default_rng(0), 1.0, 1000
    apart, closing = random.uniform(-150.0, 150.0, (2, count)), random.normal(scale=200.0, size=(2, count))
    pull, reach = random.normal(scale=400.0, size=(2, count)), random.uniform(10.0, 60.0, count)
    side = np.sign(apart[1])
    if shape == "circle":
        numbers, find = (apart, closing, pull, reach, np.full(count, window)), fall_to_circle
        clear = np.hypot(*apart) > reach
    else:
        numbers, find = (side * apart[1] - reach, side * closing[1], side * pull[1]), fall_to_line
        clear = np.abs(apart[1]) > reach
    with jax.enable_x64(True):
        found = np.asarray(jax.jit(find)(*map(jnp.asarray, numbers)))
    found = np.where(found <= window, found, np.inf)[clear]

    def gap(i):
        def of(t):
            x, y = (apart[k, i] + closing[k, i] * t + 0.5 * pull[k, i] * t**2 for k in (0, 1))
            return np.hypot(x, y) - reach[i] if shape == "circle" else side[i] * y - reach[i]

        return of

    expected = np.array([first_fall(gap(i), window) for i in np.flatnonzero(clear)])
    nearest = np.array([np.abs(gap(i)(np.linspace(0.0, window, 4001))).min() for i in np.flatnonzero(clear)])
    assert np.isfinite(expected).sum() > 100 and np.isinf(expected).sum() > 50
    clearly = np.isfinite(expected) | (nearest > 1e-2)  # the grid may miss a grazing contact
    np.testing.assert_allclose(found[clearly], expected[clearly], atol=1e-6)
    assert clearly.mean() > 0.98


def test_bounces_rise_to_the_square_of_e():
    e, g, height, radius = 0.8, 200.0, 400.0, 50.0
    ball = scene([[400.0, radius + height]], [[7.0, 0.0]], radius=radius, walls=BOX)
    with jax.enable_x64(True):
        track = on_host(simulate(single(ball, np.float64), frames=1000, dt=0.01, restitution=e, gravity=g))
    above = track.position[:, 0, 1] - radius
    tops = above[1:-1][(above[1:-1] > above[:-2]) & (above[1:-1] >= above[2:])]
    assert len(tops) >= 3
    np.testing.assert_allclose(tops, height * e ** (2.0 * np.arange(1, len(tops) + 1)), rtol=5e-5)
    # Without friction the motion along the floor goes on as it was.
    np.testing.assert_allclose(track.position[:, 0, 0], 400.0 + 0.07 * np.arange(1001), atol=1e-9)


def test_discs_come_to_rest():
    """What is left on the floor are bounces at `rest_speed` v, to v^2 / 2 g. Along it nothing stops them."""
    rest, g = 5.0, 200.0
    scenes = stacked([random_scene(seed, radii=(40.0,), static=1) for seed in range(8)])
    track = on_host(simulate(single(scenes), frames=100, dt=0.1, restitution=0.6, gravity=g, rest_speed=rest))
    assert not track.overflow.any()
    total = energy(scenes, jax.tree.map(lambda leaf: leaf.astype(float), track), g)
    # Slower rebounds than `rest_speed` are lifted to it, which is the most that a collision can add.
    assert (np.diff(total, axis=1) < 1e-4 * total[:, :1] + 10 * rest**2).all() and (
        total[:, -1] < 0.5 * total[:, 0]
    ).all()
    height, fall = track.position[:, -20:, :3, 1] - 40.0, np.abs(track.velocity[:, -20:, :3, 1])
    on_floor = (height < 0.55 * rest**2 / g).all(axis=1)
    assert on_floor.mean() > 0.7
    assert fall.max(axis=1)[on_floor].max() < 1.05 * rest
    for i, position in enumerate(track.position):
        assert gaps(row(scenes, i), position).min() > -2e-3


@pytest.mark.parametrize("room", ["box", "U"])
def test_energy_under_gravity(room):
    """Elastic contacts with walls, corners and an obstacle hold the energy."""
    scenes = single(stacked([random_scene(seed, room, (1.0, 5.0), static=1) for seed in range(8)]))
    track = on_host(simulate(scenes, frames=100, dt=0.1, gravity=200.0))
    total = energy(on_host(scenes), jax.tree.map(lambda leaf: leaf.astype(float), track), 200.0)
    assert track.hits.sum() > 250 and not track.overflow.any()
    assert np.abs(total / total[:, :1] - 1.0).max() < 5e-6


def test_free_discs_fall_alike():
    """Two that meet in the air collide as without gravity, seen from a falling frame."""
    pair = single(scene([[200.0, 400.0], [400.0, 420.0]], [[60.0, 10.0], [-30.0, 0.0]], [1.0, 3.0], 40.0))
    falling = on_host(simulate(pair, frames=40, dt=0.05, gravity=150.0))
    floating = on_host(simulate(pair, frames=40, dt=0.05))
    time = 0.05 * np.arange(41)[:, None]
    np.testing.assert_allclose(falling.position[..., 0], floating.position[..., 0], atol=2e-3)
    np.testing.assert_allclose(falling.position[..., 1], floating.position[..., 1] - 75.0 * time**2, atol=2e-3)
    assert floating.hits.sum() == 2
