"""Ellipses on the pixel grid: exact areas, whatever the size."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.render.opencv.coverage import boxes, conic_coverage, large_coverage, pick, small_coverage
from o2t_jax.render.opencv.draw import Box
from o2t_jax.render.silhouettes import Outline

SIZE = 200


def ellipses(rng, radius, stretch, count):
    """Half axes `radius` and `radius` * `stretch` px, turned at random, near (100, 100) px."""
    turn, wide = rng.uniform(0.0, np.pi, count), radius * stretch
    c, s = np.cos(turn), np.sin(turn)
    a, c_ = c * c / wide**2 + s * s / radius**2, s * s / wide**2 + c * c / radius**2
    b = c * s * (1 / wide**2 - 1 / radius**2)
    yes, both = np.ones(count, bool), np.stack([c_, a])
    u, v = 100.0 + rng.uniform(0.0, 1.0, (2, count))
    return Outline(yes, yes, u, v, a, b, c_, -b / both, 1.0 / both, (a * c_ - b * b) / both**2)


def by_fine_columns(o, box, fine=400):
    """Coverage [h, w] of the pixels of `box`, and the middle of the covered part: chords along v in `fine` columns."""
    u = (np.arange(box.left, box.right)[:, None] + (np.arange(fine) + 0.5) / fine).ravel() - o.u
    root = np.sqrt(np.maximum((o.b * u) ** 2 - o.c * (o.a * u * u - 1.0), 0.0)) / o.c
    low, high = -o.b * u / o.c - root, -o.b * u / o.c + root
    edge = np.arange(box.top, box.bottom + 1)[:, None] - o.v
    first, last = np.maximum(low, edge[:-1]), np.minimum(high, edge[1:])
    length = np.maximum(last - first, 0.0).reshape(len(edge) - 1, -1, fine)
    middle = (0.5 * (first + last)).reshape(length.shape)
    cover = length.mean(axis=-1)
    weight = 1.0 / np.maximum(length.sum(axis=-1), 1e-12)
    return cover, (length * u.reshape(-1, fine)).sum(axis=-1) * weight, (length * middle).sum(axis=-1) * weight


SIZES = [(0.1, 1.0), (0.5, 1.0), (1.5, 1.0), (1.5, 1.3), (3.0, 1.0), (5.0, 1.3), (20.0, 1.0), (60.0, 1.3), (1.0, 30.0)]


@pytest.mark.parametrize(("radius", "stretch"), SIZES)
def test_coverage_of_an_ellipse_is_its_area_in_each_pixel(radius, stretch):
    """Drawn by the small and by the large routine (made for 5 px and more); compares the mean area."""
    many = ellipses(np.random.default_rng(int(10 * radius)), radius, stretch, 15)
    as_large = (0.011, 2e-4) if radius >= 5.0 else (0.02, 0.007)
    for worst, area, name in ((0.009, 0.002, "small"), (*as_large, "large")):
        errors, areas = [], []
        for i, corners in enumerate(boxes(many, SIZE, SIZE).tolist()):
            box, one = Box(*corners), pick(many, slice(i, i + 1))
            if name == "small":
                coverage = small_coverage(one, np.array([box.top]), np.array([box.left]), *box.shape)[0][0]
            else:
                coverage = large_coverage(one, [box])[0].coverage
            expected = by_fine_columns(pick(many, i), box, fine=400 if radius < 10.0 else 60)[0]
            errors.append(np.abs(coverage - expected).max())
            areas.append(coverage.sum() / (np.pi * radius**2 * stretch) - 1.0)
        assert max(errors) < worst, name
        assert abs(np.mean(areas)) < area, name


def test_the_middle_of_what_is_covered():
    many = ellipses(np.random.default_rng(1), 1.7, 1.3, 20)
    corners = boxes(many, SIZE, SIZE)
    coverage, u, v = small_coverage(many, corners[:, 0], corners[:, 1], 8, 8)
    for i, corner in enumerate(corners.tolist()):
        box = Box(corner[0], corner[1], corner[0] + 8, corner[1] + 8)
        share, expected_u, expected_v = by_fine_columns(pick(many, i), box)
        seen = share > 0.05
        assert np.abs(u[i] - expected_u)[seen].max() < 0.02 and np.abs(v[i] - expected_v)[seen].max() < 0.02
        assert (coverage[i][share == 0.0] < 1e-6).all() and np.isfinite(u).all() and np.isfinite(v).all()


def test_an_ellipse_is_the_same_alone_and_among_others():
    rng = np.random.default_rng(2)
    parts = [ellipses(rng, radius, 1.2, 4) for radius in (0.3, 1.0, 2.5)]
    many = Outline(*(np.concatenate(fields, axis=-1) for fields in zip(*parts, strict=True)))
    corners = boxes(many, SIZE, SIZE)
    together = small_coverage(many, corners[:, 0], corners[:, 1], 9, 9)
    large = large_coverage(many, [Box(*box) for box in corners.tolist()])
    for i, corner in enumerate(corners.tolist()):
        one, box = pick(many, slice(i, i + 1)), Box(*corner)
        alone = small_coverage(one, corners[i : i + 1, 0], corners[i : i + 1, 1], *box.shape)
        for field, whole in zip(alone, together, strict=True):
            np.testing.assert_array_equal(field[0], whole[i, : box.shape[0], : box.shape[1]])
        np.testing.assert_array_equal(large_coverage(one, [box])[0].coverage, large[i].coverage)


def test_boxes_hold_the_ellipse_and_nothing_is_drawn_where_nothing_is():
    o = ellipses(np.random.default_rng(3), 3.0, 1.5, 4)
    assert (boxes(o, SIZE, SIZE)[:, 2:] - boxes(o, SIZE, SIZE)[:, :2] <= 11).all()
    hidden = o._replace(
        u=np.array([-20.0, 100.0, np.nan, 100.0]),
        v=np.array([100.0, 250.0, 100.0, 100.0]),
        seen=np.array([True, True, True, False]),
    )
    assert (boxes(hidden, SIZE, SIZE) == 0).all()
    assert (boxes(o._replace(closed=np.zeros(4, bool)), SIZE, SIZE) == 0).all()
    assert (boxes(ellipses(np.random.default_rng(4), 0.005, 1.0, 4), SIZE, SIZE) == 0).all()


def test_a_conic_that_is_an_ellipse_is_covered_as_one():
    """`conic_coverage` is of first order in the distance to the outline."""
    one = pick(ellipses(np.random.default_rng(5), 15.0, 1.3, 1), 0)
    centre, form = np.array([one.u, one.v]), -np.array([[one.a, one.b], [one.b, one.c]])
    x1, y1 = -form @ centre
    conic = (form[0, 0], form[0, 1], form[1, 1], x1, y1, 1.0 + centre @ form @ centre)
    box = Box(70, 70, 130, 130)
    pixels = np.arange(70.5, 130.0)
    found = conic_coverage(conic, (0.0, 0.0, 1.0), pixels, pixels, 1.0)
    assert np.abs(found - by_fine_columns(one, box)[0]).max() < 0.12
    assert not conic_coverage(conic, (0.0, 0.0, -1.0), pixels, pixels, 1.0).any()
