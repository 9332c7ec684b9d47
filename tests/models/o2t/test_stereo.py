"""Directions finer than a pixel, and triangulated metres."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.geometry.camera import intrinsics_for, pixel_directions, pixel_grid, world_to_camera
from o2t_jax.models.o2t import stereo

SIZE = 64


def outline(position: np.ndarray, radius: float, azimuth: float, elevation: float) -> np.ndarray:
    """Exact coverage of a sphere seen from the origin, by 8 x 8 samples a pixel."""
    intrinsics = intrinsics_for(SIZE, SIZE)
    steps = (np.arange(8) + 0.5) / 8 - 0.5
    grid = pixel_grid(intrinsics)[:, :, None, None] + np.stack(np.meshgrid(steps, steps), -1)
    rays = pixel_directions(grid, world_to_camera(azimuth, elevation), intrinsics)
    distance = np.linalg.norm(position)
    inside = rays @ (position / distance) > np.sqrt(1 - (radius / distance) ** 2)
    return inside.mean(axis=(2, 3))


def test_locate_finds_direction_and_size_of_a_sphere() -> None:
    rng = np.random.default_rng(0)
    intrinsics = intrinsics_for(SIZE, SIZE)
    masks, truth, sines = [], [], []
    for _ in range(24):
        position = np.array([rng.uniform(3, 6), *rng.uniform(-1.0, 1.0, 2)])
        radius = rng.uniform(0.2, 0.4)
        masks.append(outline(position, radius, 0.0, 0.0))
        truth.append(position / np.linalg.norm(position))
        sines.append(radius / np.linalg.norm(position))
    rotation = jnp.broadcast_to(jnp.asarray(world_to_camera(0.0, 0.0), jnp.float32), (24, 3, 3))
    found = stereo.locate(jnp.asarray(np.stack(masks), jnp.float32), rotation, intrinsics)
    error = np.linalg.norm(np.asarray(found.direction) - truth, axis=-1) * intrinsics.focal
    assert bool(found.seen.all())
    assert error.max() < 0.03, "px; a plain pixel centroid would be off by up to 0.2"
    assert np.abs(np.asarray(found.sin_radius) / sines - 1).max() < 0.02


def test_locate_ignores_far_clutter_and_reports_what_is_missing() -> None:
    mask = outline(np.array([4.0, 0.5, 0.3]), 0.3, 0.0, 0.0)
    clutter = mask.copy()
    clutter[2:5, 2:5] = 0.6
    cut = np.zeros_like(mask)
    cut[20:30, 0:6] = 1.0
    rotation = jnp.broadcast_to(jnp.asarray(world_to_camera(0.0, 0.0), jnp.float32), (4, 3, 3))
    stack = jnp.asarray(np.stack([mask, clutter, np.zeros_like(mask), cut]), jnp.float32)
    found = stereo.locate(stack, rotation, intrinsics_for(SIZE, SIZE))
    assert np.array_equal(found.seen, [True, True, False, False])
    assert np.allclose(found.direction[0], found.direction[1], atol=1e-6)
    assert np.all(np.isfinite(jax.tree.leaves(found)[0]))


def test_slots_are_triangulated_and_absence_is_marked() -> None:
    eyes = np.array([[0.0, 0, 2.0], [0, -0.5, 2.0]])
    para = np.zeros((1, 4, 6), np.float32)
    para[0, :, 1:4] = eyes[[0, 1, 0, 1]]
    balls = np.array([[4.0, 0.3, 2.5], [4.1, 0.1, 2.2]])
    offset = balls[[0, 0, 1, 1]] - para[0, :, 1:4]
    distance = np.linalg.norm(offset, axis=-1)
    sighting = stereo.Sighting(
        jnp.asarray(offset / distance[:, None])[None],
        jnp.asarray(0.3 / distance)[None],
        jnp.full((1, 4), 50.0),
        jnp.ones((1, 4), bool),
    )
    found = stereo.triangulate_slots(sighting, jnp.asarray(para))
    assert np.allclose(found.first[0, 0], balls[0], atol=1e-4)
    assert np.allclose(found.second[0, 0], balls[1], atol=1e-4)
    assert np.allclose(found.radius, 0.3, atol=1e-5) and float(found.present[0, 0]) == 1.0
    gone = stereo.triangulate_slots(sighting._replace(seen=jnp.array([[True, True, False, True]])), jnp.asarray(para))
    assert float(gone.present[0, 0]) == 0.0
