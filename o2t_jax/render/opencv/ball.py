"""Shaded balls and their shadows: true outlines, exact coverage, one light from straight above.

Brightness is a smooth function of the surface normal's height alone, so a ball looks the same from everywhere,
and turning the whole world about the vertical changes nothing. All balls of a call are computed together:
their geometry as arrays [N], the small ones' pixels as arrays [N, h, w].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from o2t_jax.geometry.camera import Intrinsics
from o2t_jax.render import silhouettes
from o2t_jax.render.appearance import AMBIENT, GLOSS, GLOSS_FROM, SHADOW_COLOUR, SHADOW_OPACITY
from o2t_jax.render.opencv.coverage import boxes, conic_coverage, large_coverage, pick, small_coverage
from o2t_jax.render.opencv.draw import Box
from o2t_jax.render.pose import CameraPose, Point

# Ellipses of at most this many pixels a side are drawn together.
_SMALL_PX = 12
# m; farther away nothing is visible, and squares overflow.
_FARTHEST_M = 1e9


class Patch(NamedTuple):
    """A shape's share of a picture: `coverage` float32 [h, w] and `paint` uint8 [h, w, 3] in the pixels of `box`."""

    box: Box
    coverage: np.ndarray
    paint: np.ndarray


_LEVEL = np.linspace(0.0, 1.0, 256)[:, None]
_DIFFUSE = 255.0 * (AMBIENT + (1.0 - AMBIENT) * _LEVEL)
_SHINE = 255.0 * GLOSS * np.clip((_LEVEL - GLOSS_FROM) / (1.0 - GLOSS_FROM), 0.0, 1.0) ** 2


def palettes_of(colours: np.ndarray) -> np.ndarray:
    """Balls' colours uint8 [K, 256, 3] by brightness level; `colours` [K, 3] in 0..1."""
    lit = _DIFFUSE * np.asarray(colours, np.float64)[:, None] + (_SHINE + 0.5)
    return np.minimum(np.maximum(lit, 0.0, out=lit), 255.0, out=lit).astype(np.uint8)


class Sphere(NamedTuple):
    """A ball before a camera, as plain numbers: `centre` in the world and `radius`, m."""

    view: CameraPose
    centre: Point
    radius: float

    @property
    def local(self) -> Point:
        """The centre in camera axes, m."""
        return self.view.local(*self.centre)

    @property
    def power(self) -> float:
        """distance^2 - radius^2 (m^2): of two balls that do not touch, the one of smaller power hides the other."""
        x, y, z = self.local
        return x * x + y * y + z * z - self.radius * self.radius


class _Balls(NamedTuple):
    """N balls before cameras of one kind, for `ball_patches`.

    Attributes: `ball` [N] and `shadow` [N]; `up` [3, N], the vertical in camera axes; `outline` [2 N], the balls' and
    then the shadows', and `box` [2 N, 4], the pixels that they touch.
    """

    ball: silhouettes.Ball
    shadow: silhouettes.Shadow
    up: np.ndarray
    outline: silhouettes.Outline
    box: np.ndarray


def _before(views: Sequence[CameraPose], of_view: np.ndarray, centre: np.ndarray, radius: np.ndarray) -> _Balls:
    k = views[0].intrinsics
    eye = np.array([view.eye for view in views])[of_view]
    axes = np.array([(view.right, view.down, view.forward) for view in views])[of_view]
    up = axes[:, :, 2].T
    real = np.abs(centre).max(axis=1) < _FARTHEST_M  # also false for NaN
    centre = np.where(real[:, None], centre, 0.0)
    here = (k.focal, k.cx, k.cy)
    ball = silhouettes.ball(_local(axes, centre - eye), radius, real, *here)
    foot = _local(axes, centre * (1.0, 1.0, 0.0) - eye)
    shadow = silhouettes.shadow(foot, radius, real, up, eye[:, 2], *here)
    both = silhouettes.Outline(*(np.concatenate(f, axis=-1) for f in zip(ball.outline, shadow.outline, strict=True)))
    return _Balls(ball, shadow, up, both, boxes(both, k.height, k.width))


def _local(axes: np.ndarray, offset: np.ndarray) -> np.ndarray:
    return (axes * offset[:, None, :]).sum(axis=-1).T


def ball_patches(
    views: Sequence[CameraPose], of_view: np.ndarray, centre: np.ndarray, radius: np.ndarray, palettes: np.ndarray
) -> tuple[list[Patch | None], list[Patch | None]]:
    """Patches of N balls and of their shadows; None where there is nothing to draw.

    A shadow is the disc straight below a ball on the ground; its opacity is in the coverage.
    Args: `views`, all of one size of picture; `of_view` [N], each ball's place in `views`; `centre` [N, 3] m; `radius`
    [N] m; `palettes` uint8 [N, 256, 3].
    """
    balls = _before(views, of_view, centre, radius)
    count, size = len(radius), balls.box[:, 2:] - balls.box[:, :2]
    patches: list[Patch | None] = [None] * (2 * count)
    drawn = size[:, 0] > 0
    small = drawn & (size <= _SMALL_PX).all(axis=1)
    _draw_small(balls, np.flatnonzero(small), views[0].intrinsics, palettes, patches)
    _draw_large(balls, np.flatnonzero(drawn & ~small), views[0].intrinsics, palettes, patches)
    for i in np.flatnonzero(balls.outline.seen & ~balls.outline.closed).tolist():
        view = views[of_view[i % count]]
        if i < count:
            patches[i] = _open_ball(balls, i, view, palettes[i])
        else:
            patches[i] = _open_shadow(balls, i - count, view)
    return patches[:count], patches[count:]


def _draw_small(
    balls: _Balls, which: np.ndarray, k: Intrinsics, palettes: np.ndarray, patches: list[Patch | None]
) -> None:
    """Puts the patches of outlines `which` (in order: balls, then shadows) into `patches`."""
    if not which.size:
        return
    box = balls.box[which]
    height, width = (box[:, 2:] - box[:, :2]).max(axis=0).tolist()
    outline = pick(balls.outline, which)
    coverage, du, dv = small_coverage(outline, box[:, 0], box[:, 1], height, width)
    shaded = which[which < len(palettes)]
    n = len(shaded)
    lit = _small_paint(balls, shaded, k, palettes, du[:n], dv[:n]) if n else ()
    coverage[n:] *= SHADOW_OPACITY
    paints = [*lit, *[_shadow_paint(height, width)] * (len(which) - n)]
    for i, corners, share, paint in zip(which.tolist(), box.tolist(), coverage, paints, strict=True):
        place = Box(*corners)
        rows, columns = place.shape
        patches[i] = Patch(place, share[:rows, :columns], paint[:rows, :columns])


def _small_paint(
    balls: _Balls, which: np.ndarray, k: Intrinsics, palettes: np.ndarray, du: np.ndarray, dv: np.ndarray
) -> np.ndarray:
    """Colours uint8 [n, h, w, 3] of balls `which` [n]: a pixel shows the ball at the middle of its covered part.

    Args: `du`, `dv` [n, h, w], that middle as px from the outline's.
    """
    outline = pick(balls.outline, which)
    a, b, c, u, v = (_column(field) for field in (outline.a, outline.b, outline.c, outline.u, outline.v))
    inside = 1.0 - (a * du + (2.0 * b) * dv) * du - c * dv * dv
    inside *= _column(_peak(balls, which))
    x, y = (du + (u - np.float32(k.cx))) * (1.0 / k.focal), (dv + (v - np.float32(k.cy))) * (1.0 / k.focal)
    level = _level(balls, which, _column, x, y, inside)
    shade = np.asarray(cv2.convertScaleAbs(level.reshape(-1, level.shape[2]), None, 255.0), np.intp)
    return palettes[which[:, None, None], shade.reshape(level.shape)]


def _column(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype(np.float32)[:, None, None]


def _draw_large(
    balls: _Balls, which: np.ndarray, k: Intrinsics, palettes: np.ndarray, patches: list[Patch | None]
) -> None:
    """As `_draw_small`."""
    if not which.size:
        return
    outline, places = pick(balls.outline, which), [Box(*corners) for corners in balls.box[which].tolist()]
    starts = zip(((outline.u - k.cx) / k.focal).tolist(), ((outline.v - k.cy) / k.focal).tolist(), strict=True)
    found = large_coverage(outline, places)
    for i, box, one, (x, y) in zip(which.tolist(), places, found, starts, strict=True):
        if i < len(palettes):
            one.inside[...] *= float(_peak(balls, i))
            rays = x + one.du * (1.0 / k.focal), (y + one.dv * (1.0 / k.focal))[:, None]
            paint = _painted(_level(balls, i, float, *rays, one.inside), palettes[i])
        else:
            one.coverage[...] *= SHADOW_OPACITY
            paint = _shadow_paint(*box.shape)
        patches[i] = Patch(box, one.coverage, paint)


_Which = int | np.ndarray


def _peak(balls: _Balls, which: _Which) -> np.ndarray:
    """The discriminant of a ray's meeting with a ball is 1 - q (see `large_coverage`) times this, its largest value."""
    r2 = balls.ball.radius[which] ** 2
    return r2 * balls.ball.power[which] / (balls.ball.local[2][which] ** 2 - r2)


def _level(
    balls: _Balls,
    which: _Which,
    shape: Callable[[np.ndarray], float | np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    discriminant: np.ndarray,
) -> np.ndarray:
    """Brightness 0..1 of balls `which` where the rays (x, y, 1) meet them; works in `discriminant`.

    A ray that just misses takes the normal of the point where it passes closest. `shape` reshapes values of the balls
    to broadcast against the rays.
    """
    radius = balls.ball.radius[which]
    cx, cy, cz = (axis[which] for axis in balls.ball.local)
    up_y, up_z = balls.up[1][which], balls.up[2][which]
    # Meeting at distance t of p: |p|^2 t = p.C - sqrt(discriminant); then height of the normal = (t p - C).up / r.
    root = np.sqrt(np.maximum(discriminant, 0.0, out=discriminant), out=discriminant)
    level = shape(cx) * x + (shape(cy) * y + shape(cz))
    level -= root
    level /= x * x + (y * y + 1.0)
    level *= shape(0.5 * up_y / radius) * y + shape(0.5 * up_z / radius)
    level += shape(0.5 - (cy * up_y + cz * up_z) * (0.5 / radius))
    cube = np.multiply(level, level, out=root)
    level *= cube
    return level


def _painted(level: np.ndarray, colours: np.ndarray) -> np.ndarray:
    # Rounding can give a lowest level of about -1e-7; its absolute value serves as well.
    return cv2.applyColorMap(cv2.convertScaleAbs(level, None, 255.0), colours[:, None])


def _shadow_paint(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), SHADOW_COLOUR[0], np.uint8)


def _open_ball(balls: _Balls, i: int, view: CameraPose, colours: np.ndarray) -> Patch | None:
    """The rare ball that reaches behind the camera: every pixel is tested."""
    k, (cx, cy, cz), power = view.intrinsics, balls.ball.local[:, i].tolist(), float(balls.ball.power[i])
    if not view.sees((cx, cy, cz), float(balls.ball.radius[i])):
        return None
    x, y = _rays(k)
    conic = (cx * cx - power, cx * cy, cy * cy - power, cx * cz, cy * cz, cz * cz - power)
    coverage = conic_coverage(conic, (cx, cy, cz), x, y, 1.0 / k.focal)
    y = y[:, None]
    along = cx * x + (cy * y + cz)
    discriminant = along * along - (x * x + (y * y + 1.0)) * power
    level = _level(balls, i, float, *(field.astype(np.float32) for field in (x, y, discriminant)))
    return Patch(_whole(k), coverage, _painted(level, colours))


def _open_shadow(balls: _Balls, i: int, view: CameraPose) -> Patch | None:
    """The rare shadow that reaches behind the camera."""
    k, (fx, fy, fz), radius = view.intrinsics, balls.shadow.foot[:, i].tolist(), float(balls.shadow.radius[i])
    if not view.sees((fx, fy, fz), radius):
        return None
    # With F the foot and n the vertical in camera axes, a ray p meets the ground at -height p / (p.n): inside the disc
    # where |height p + (p.n) F|^2 <= r^2 (p.n)^2.
    height, (_, ny, nz) = view.eye[2], view.up
    h2, rest = height * height, radius * radius - (fx * fx + fy * fy + fz * fz)
    conic = (
        -h2,
        -height * ny * fx,
        rest * ny * ny - h2 - 2.0 * height * ny * fy,
        -height * nz * fx,
        rest * ny * nz - height * (ny * fz + nz * fy),
        rest * nz * nz - h2 - 2.0 * height * nz * fz,
    )
    x, y = _rays(k)
    coverage = conic_coverage(conic, (0.0, -ny, -nz), x, y, 1.0 / k.focal)
    coverage *= SHADOW_OPACITY
    return Patch(_whole(k), coverage, _shadow_paint(k.height, k.width))


def _whole(k: Intrinsics) -> Box:
    return Box(0, 0, k.height, k.width)


def _rays(k: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    """x [W] and y [H] of the rays (x, y, 1) through the pixels' centres."""
    return (np.arange(0.5, k.width) - k.cx) / k.focal, (np.arange(0.5, k.height) - k.cy) / k.focal


__all__ = ["SHADOW_COLOUR", "SHADOW_OPACITY", "Patch", "Sphere", "ball_patches", "palettes_of"]
