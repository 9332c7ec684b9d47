"""Boxes, polygons and blending on the pixel grid."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from o2t_jax.render.opencv.draw import (
    Box,
    blend,
    box_around,
    fill,
    fill_polygon,
    fixed_point,
)


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
    fill_polygon(canvas, fixed_point(np.array([[10.0, 10.0], [50.0, 10.0], [50.0, 30.0], [10.0, 30.0]])), (255,))
    moments = cv2.moments(canvas)
    assert moments["m10"] / moments["m00"] + 0.5 == pytest.approx(30.0, abs=0.2)
    assert moments["m01"] / moments["m00"] + 0.5 == pytest.approx(
        20.0, abs=0.2
    )  # cv2 is up to 0.17 px off; half a pixel would fail


def test_fill_is_one_colour():
    assert (fill(np.zeros((7, 5, 3), np.uint8), (1, 2, 3)) == [1, 2, 3]).all()
