"""Shapes on the pixel grid: exact areas, whatever the size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from o2t_jax.render.draw import (
    Box,
    Ellipse,
    blend,
    box_around,
    ellipse_coverage,
    ellipse_from_conic,
    fill,
    fill_polygon,
    grid_for,
    half_plane_coverage,
)


def random_ellipse(rng, radius, stretch):
    """Half axes `radius` and `radius` * `stretch` px, turned at random, near (100, 100) px."""
    turn, wide = rng.uniform(0.0, np.pi), radius * stretch
    c, s = np.cos(turn), np.sin(turn)
    a, b, d = (
        c * c / wide**2 + s * s / radius**2,
        c * s * (1 / wide**2 - 1 / radius**2),
        s * s / wide**2 + c * c / radius**2,
    )
    return Ellipse(*(100.0 + rng.uniform(0.0, 1.0, 2)), a, b, d)


def true_coverage(e, box, fine):
    """Areas by chords: exact along v, `fine` columns in each pixel."""
    u = (np.arange(box.left, box.right)[:, None] + (np.arange(fine) + 0.5) / fine).ravel() - e.u
    root = np.sqrt(np.maximum((e.b * u) ** 2 - e.c * (e.a * u * u - 1.0), 0.0)) / e.c
    low, high = -e.b * u / e.c - root, -e.b * u / e.c + root
    edge = np.arange(box.top, box.bottom + 1)[:, None] - e.v
    part = np.clip(np.minimum(high, edge[1:]) - np.maximum(low, edge[:-1]), 0.0, 1.0)
    return part.reshape(len(edge) - 1, -1, fine).mean(axis=-1)


@pytest.mark.parametrize("stretch", [1.0, 1.3])
@pytest.mark.parametrize(
    ("radius", "worst"),
    [(0.1, 0.002), (0.5, 0.01), (1.5, 0.02), (3.0, 0.035), (5.0, 0.02), (20.0, 0.006), (60.0, 0.003)],
)
def test_coverage_of_an_ellipse_is_its_area_in_each_pixel(radius, worst, stretch):
    rng = np.random.default_rng(int(10 * radius))
    errors, areas = [], []
    for _ in range(15):
        e = random_ellipse(rng, radius, stretch)
        grid = grid_for(e, 200, 200)
        coverage, expected = grid.shrink(ellipse_coverage(e, grid)[0]), true_coverage(e, grid.box, 200)
        errors.append(np.abs(coverage - expected).max())
        areas.append(coverage.sum() / (np.pi * radius**2 * stretch) - 1.0)
    assert max(errors) < worst
    assert abs(np.mean(areas)) < 0.003


def test_half_plane_coverage_is_exact_for_every_direction():
    rng = np.random.default_rng(0)
    turn = np.concatenate([rng.uniform(0, 2 * np.pi, 50), [0.0, np.pi / 2, np.pi / 4]])
    nx, ny, distance = np.cos(turn), np.sin(turn), rng.uniform(-0.8, 0.8, len(turn))
    fine = (np.arange(1000) + 0.5) / 1000 - 0.5
    x, y = np.meshgrid(fine, fine)
    expected = [np.mean(a * x + b * y < d) for a, b, d in zip(nx, ny, distance, strict=True)]
    np.testing.assert_allclose(half_plane_coverage(nx, ny, distance), expected, atol=2e-3)


def test_an_ellipse_is_found_in_its_conic_and_a_hyperbola_is_not():
    e = Ellipse(3.0, -2.0, 0.5, 0.1, 0.3)
    m = np.array([[-e.a, -e.b], [-e.b, -e.c]])
    centre = np.array([e.u, e.v])
    x1, y1 = -m @ centre
    one = 1.0 + centre @ m @ centre
    found = ellipse_from_conic(*(7.0 * np.array([m[0, 0], m[0, 1], m[1, 1], x1, y1, one])))
    np.testing.assert_allclose(found, e, rtol=1e-12)
    assert ellipse_from_conic(1.0, 0.0, -1.0, 0.0, 0.0, 1.0) is None
    assert ellipse_from_conic(-1.0, 0.0, -1.0, 0.0, 0.0, -1.0) is None


def test_boxes():
    assert box_around(1.2, 3.9, 4.0, 5.1, 10, 10) == Box(3, 1, 6, 4)
    assert box_around(-5.0, -5.0, 99.0, 99.0, 10, 20) == Box(0, 0, 10, 20)
    assert box_around(10.0, 0.0, 12.0, 5.0, 10, 10) is None
    assert box_around(np.nan, 0.0, 1.0, 1.0, 10, 10) is None
    assert Box(0, 0, 4, 4).meet(Box(2, 3, 9, 9)) == Box(2, 3, 4, 4)
    assert Box(0, 0, 4, 4).meet(Box(4, 0, 9, 9)) is None


def test_blending_with_no_coverage_changes_no_byte_and_with_full_coverage_paints():
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    before = picture.copy()
    paint = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    blend(picture, Box(0, 0, 16, 16), paint, np.zeros((16, 16), np.float32))
    np.testing.assert_array_equal(picture, before)
    blend(picture, Box(0, 0, 16, 16), paint, np.ones((16, 16), np.float32))
    np.testing.assert_array_equal(picture, paint)


def test_polygons_keep_the_pixel_centre_convention():
    canvas = np.zeros((40, 60), np.uint8)
    fill_polygon(canvas, np.array([[10.0, 10.0], [50.0, 10.0], [50.0, 30.0], [10.0, 30.0]]), (255,))
    moments = cv2.moments(canvas)
    assert moments["m10"] / moments["m00"] + 0.5 == pytest.approx(30.0, abs=0.2)
    assert moments["m01"] / moments["m00"] + 0.5 == pytest.approx(
        20.0, abs=0.2
    )  # cv2 is up to 0.17 px off; half a pixel would fail


def test_fill_is_one_colour():
    assert (fill(np.zeros((7, 5, 3), np.uint8), (1, 2, 3)) == [1, 2, 3]).all()
