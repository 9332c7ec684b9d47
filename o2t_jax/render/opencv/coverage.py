"""Shares of pixels that lie in an ellipse, or in a conic that reaches behind the camera; in numpy.

Pixel coordinates are those of `o2t_jax.types`: the centre of pixel (row i, column j) lies at (j + 0.5, i + 0.5).
Coverage is the area of the shape inside the pixel's square, 0..1: the mean length of the ellipse's chords through it,
which are known in closed form, by Gauss' rule over the part of the pixel that the ellipse spans. So a dot smaller than
a pixel and a large disc are drawn alike, to 1% at worst (tests/render/test_coverage.py). Small ellipses are computed
together, since numpy takes as long for one as for a hundred. `render.raycast.ball.ellipse_coverage` is the same rule
for jax.numpy, with evenly spread chords.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from o2t_jax.render.opencv.draw import Box
from o2t_jax.render.silhouettes import Outline

# An ellipse of less than this half width (px) changes no byte.
_INVISIBLE_PX = 0.02
# Gauss' rule, [2, chords]: places in -1..1 and weights; for ellipses of any size, and for large ones.
_SMALL, _LARGE = (np.array(np.polynomial.legendre.leggauss(n), np.float32) for n in (6, 4))


def boxes(outline: Outline, height: int, width: int) -> np.ndarray:
    """Rows and columns (top, left, bottom, right; ends excluded) of the pixels that ellipses touch.

    Args: numbers of `outline` [N]; the picture's size, px. Returns: int [N, 4]; an empty box, all zero, where there is
    nothing to draw and where the region is no ellipse.
    """
    centre = np.stack([outline.v, outline.u])
    half = np.sqrt(outline.size / outline.fall)[::-1]
    size = np.array([[height], [width]])
    low, high = np.maximum(np.floor(centre - half), 0.0), np.minimum(np.ceil(centre + half), size)
    seen = outline.seen & outline.closed & (low < high).all(axis=0) & (half.max(axis=0) >= _INVISIBLE_PX)
    return np.where(seen, np.concatenate([low, high]), 0.0).astype(int).T


def pick(outline: Outline, index: int | np.ndarray) -> Outline:
    """The outlines at `index`."""
    return Outline(*(field[..., index] for field in outline))


def small_coverage(
    outline: Outline, top: np.ndarray, left: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coverage of `height` x `width` pixels by N ellipses, and the middle of the covered part of each pixel.

    Args: numbers of `outline` [N]; `top`, `left` [N], the first row and column that belong to each. Returns: coverage,
    then the middle's u and v as px from the ellipse's centre, all float32 [N, height, width].
    """
    du = (left - outline.u)[:, None] + np.arange(0.5, width)
    dv = (top - outline.v)[:, None] + np.arange(0.5, height)
    fields = Outline(*(field[..., None, None].astype(np.float32) for field in outline))
    return _by_chords(fields, du.astype(np.float32)[:, None, :], dv.astype(np.float32)[:, :, None], _SMALL)


class Large(NamedTuple):
    """Pixels of a box about one ellipse.

    Attributes: `coverage` [h, w]; `inside` [h, w], 1 - q with q the ellipse's form, 1 on its outline; the pixels'
    centres as px from the ellipse's, `du` [w] and `dv` [h]; all float32.
    """

    coverage: np.ndarray
    inside: np.ndarray
    du: np.ndarray
    dv: np.ndarray


def large_coverage(outline: Outline, places: Sequence[Box]) -> list[Large]:
    """Coverage of the pixels of N boxes by N ellipses, made for large ones: only borders are computed in full.

    Args: numbers of `outline` [N].
    """
    du = [(np.arange(b.left + 0.5, b.right) - u).astype(np.float32) for b, u in zip(places, outline.u, strict=True)]
    dv = [(np.arange(b.top + 0.5, b.bottom) - v).astype(np.float32) for b, v in zip(places, outline.v, strict=True)]
    forms = zip(outline.a.tolist(), outline.b.tolist(), outline.c.tolist(), strict=True)
    found = [Large(*_interior(*form, x, y), x, y) for form, x, y in zip(forms, du, dv, strict=True)]
    borders = [np.flatnonzero(one.coverage < 0.0) for one in found]
    counts = [len(border) for border in borders]
    rows, columns = zip(*(np.divmod(border, len(x)) for border, x in zip(borders, du, strict=True)), strict=True)
    fields = Outline(*(np.repeat(field.astype(np.float32), counts, axis=-1) for field in outline))
    at_u = np.concatenate([x[column] for x, column in zip(du, columns, strict=True)])
    at_v = np.concatenate([y[row] for y, row in zip(dv, rows, strict=True)])
    shares = np.split(_by_chords(fields, at_u, at_v, _LARGE)[0], np.cumsum(counts[:-1]))
    for one, border, share in zip(found, borders, shares, strict=True):
        one.coverage.reshape(-1)[border] = share
    return found


def _interior(a: float, b: float, c: float, du: np.ndarray, dv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage, but -1 in pixels that the outline may cut, and `inside`: see `Large`."""
    # a du^2 + 2 b du dv + c dv^2 as a square and a remainder that depends on the row only: few passes over the pixels.
    root = math.sqrt(a)
    inside = ((b / root) * dv)[:, None] + root * du
    inside *= inside
    np.subtract((1.0 - (c - b * b / a) * (dv * dv))[:, None], inside, out=inside)
    coverage = (inside > 0.0).astype(np.float32)
    # Only pixels whose centre is within 0.8 px of the outline can be cut; sqrt(q) changes by at most 1 / r_min per px.
    half_trace = 0.5 * (a + c)
    reach = 0.8 * math.sqrt(half_trace + math.sqrt(max(half_trace * half_trace - (a * c - b * b), 0.0)))
    low, high = 1.0 - (1.0 + reach) ** 2, 1.0 - max(1.0 - reach, 0.0) ** 2
    coverage[np.abs(inside - 0.5 * (low + high)) <= 0.5 * (high - low) + 1e-5] = -1.0
    return coverage, inside


def _by_chords(
    o: Outline, du: np.ndarray, dv: np.ndarray, rule: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coverage and its middle at pixels `du`, `dv` px from the centre; all broadcast to one shape."""
    # Chords run along the picture's axis that is nearer to the outline's normal: their lengths change little then.
    sideways = np.abs(o.a * du + o.b * dv) > np.abs(o.b * du + o.c * dv)
    p, q = np.where(sideways, dv, du), np.where(sideways, du, dv)
    tilt, size, fall = (np.where(sideways, pair[1], pair[0]) for pair in (o.tilt, o.size, o.fall))
    span = np.sqrt(size / fall)
    first, last = np.maximum(p - 0.5, -span), np.minimum(p + 0.5, span)
    half = np.maximum(last - first, 0.0) * 0.5
    # A leading axis of chords from here on.
    chords, weights = rule.reshape(2, -1, *[1] * p.ndim)
    at = chords * half
    at += (first + last) * 0.5
    root = at * at
    root *= -fall
    root += size
    np.sqrt(np.maximum(root, 0.0, out=root), out=root)
    middle = tilt * at
    low, high = np.maximum(middle - root, q - 0.5), np.minimum(middle + root, q + 0.5)
    length = np.maximum(high - low, 0.0)
    length *= weights
    total = length.sum(axis=0)
    covered = total > 1e-6
    weight = 1.0 / np.where(covered, total, 1.0)
    along = np.where(covered, (length * at).sum(axis=0) * weight, p)
    across = np.where(covered, (length * (low + high)).sum(axis=0) * (0.5 * weight), q)
    return total * half, np.where(sideways, across, along), np.where(sideways, along, across)


def conic_coverage(
    conic: tuple[float, float, float, float, float, float],
    line: tuple[float, float, float],
    x: np.ndarray,
    y: np.ndarray,
    step: float,
) -> np.ndarray:
    """Coverage [h, w] of pixels by the points of a conic, open or not, that lie on one side of a line.

    Args: `conic` (xx, xy, yy, x1, y1, one): the points where xx x^2 + 2 xy x y + yy y^2 + 2 x1 x + 2 y1 y + one >= 0;
    `line` (lx, ly, l1): the side where lx x + ly y + l1 > 0; the pixels' centres `x` [w], `y` [h] in the conic's
    coordinates, `step` apart. First order in the distance to the outline (a few per cent): for the rare shape that
    reaches behind the camera.
    """
    xx, xy, yy, x1, y1, one = conic
    y = y[:, None]
    gx, gy = xx * x + xy * y + x1, xy * x + yy * y + y1
    value = gx * x + gy * y + x1 * x + y1 * y + one
    coverage = np.clip(0.5 + value / (2.0 * step * np.hypot(gx, gy) + 1e-30), 0.0, 1.0)
    coverage[line[0] * x + line[1] * y + line[2] <= 0.0] = 0.0
    return coverage.astype(np.float32)


__all__ = ["boxes", "conic_coverage", "large_coverage", "pick", "small_coverage"]
