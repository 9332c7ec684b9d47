"""The circle through most of a rim: exact for whole spheres, and not drawn away by a rim that is partly lost."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.geometry.camera import intrinsics_for, pixel_directions, pixel_grid, window_intrinsics, world_to_camera
from o2t_jax.models.o2t.circle_fit import fit_outline
from o2t_jax.models.o2t.stereo import locate

SIZE, FINE = 64, 4


def sphere(direction: np.ndarray, sin_radius: float, pose: tuple[float, float]) -> np.ndarray:
    """Coverage [SIZE, SIZE] of a sphere seen in `direction` (world), by counting finer pixels."""
    fine = intrinsics_for(SIZE * FINE, SIZE * FINE)
    rays = pixel_directions(pixel_grid(fine), world_to_camera(*pose), fine)
    inside = rays @ direction > np.sqrt(1.0 - sin_radius**2)
    return inside.reshape(SIZE, FINE, SIZE, FINE).mean(axis=(1, 3))


def degrees(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.linalg.norm(np.asarray(a, np.float64) - b)))


@pytest.mark.parametrize(("radius", "lost"), [(0.05, 0.0), (0.2, 0.0), (0.05, 0.35), (0.2, 0.35)])
def test_a_lost_cap_moves_the_centroid_and_hardly_the_circle(radius: float, lost: float) -> None:
    pose, place = (10.0, 5.0), np.array([1.0, 0.45, 0.15])
    place = place / np.linalg.norm(place)
    cover = sphere(place, radius, pose)
    rows = np.flatnonzero(cover.sum(axis=1))
    cover[rows[0] : rows[0] + round(lost * len(rows) / 2)] = 0.0  # before a bright sky the rim has no contrast
    rotation = jnp.asarray(world_to_camera(*pose), jnp.float32)[None, None]
    maps = jnp.asarray(cover, jnp.float32)[None, None]
    guess = locate(maps, rotation, intrinsics_for(SIZE, SIZE))
    found = fit_outline(maps, guess, rotation, intrinsics_for(SIZE, SIZE))
    pixel = 60.0 / SIZE
    assert degrees(found.direction[0, 0], place) < 0.02 * pixel + 0.02 * lost * np.degrees(radius)
    assert float(found.sin_radius[0, 0]) == pytest.approx(radius, rel=0.02)
    if lost:
        assert degrees(found.direction[0, 0], place) < 0.2 * degrees(guess.direction[0, 0], place)


def test_a_window_gives_what_the_whole_picture_gives_and_nothing_stays_nothing() -> None:
    pose, place = (0.0, 0.0), np.array([1.0, 0.1, -0.1])
    place = place / np.linalg.norm(place)
    cover = sphere(place, 0.1, pose)
    rotation = jnp.asarray(world_to_camera(*pose), jnp.float32)[None, None]

    def fitted(maps: np.ndarray, lens):
        maps = jnp.asarray(maps, jnp.float32)[None, None]
        return fit_outline(maps, locate(maps, rotation, lens), rotation, lens)

    whole = fitted(cover, intrinsics_for(SIZE, SIZE))
    part = fitted(cover[20:52, 8:40], window_intrinsics(SIZE, 32, jnp.array([[[8.0, 20.0]]])))
    np.testing.assert_allclose(part.direction, whole.direction, atol=2e-5)
    empty = fitted(np.zeros_like(cover), intrinsics_for(SIZE, SIZE))
    assert not bool(empty.seen[0, 0]) and np.all(np.isfinite(empty.direction))
