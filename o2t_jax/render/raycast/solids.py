"""The ramp and the scale bars by rays, in jax.numpy: coverage, colour and occlusion. See `render.opencv.solids`.

A convex face seen from outside is the cone of directions inside the planes through the eye and its edges, so nothing
is cut off near the camera: only points in front of the eye can be inside. At most three of the ramp's faces are seen
together: the top, the back and one side.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from o2t_jax.physics.room.jax_twin import RampArrays
from o2t_jax.render.appearance import (
    BACK_SHADE,
    BAR_HALF_WIDTH_M,
    BAR_MIN_HALF_WIDTH_PX,
    CANVASES,
    EDGE_ROWS,
    EDGE_SHADE,
    NEAR_M,
    SIDE_SHADE,
    TOP_GAIN,
    TOUCH,
)

# cv2 draws anti-aliased polygons larger than requested on every side, and lines thicker, the more so above 1 px. These
# are measured (tests/render/test_raycaster.py), in px of its canvas, as means over the angles. The rasteriser's solids
# are too large by that much. The ray-caster agrees with them, not with the exact geometry.
POLYGON_GROWTH_PX, THIN_LINE_GROWTH_PX, LINE_GROWTH_PX = 0.67, 0.7, 1.7


class RampSolid(NamedTuple):
    """The ramp before a camera: three faces (top, back, the nearer side), four edges each (a triangle has one far off).

    Attributes: `front` [3], 1 where the face is seen; `edge` [3, 4, 3]: a pixel with ray (x, y, 1) lies edge . ray px
    inside of an edge; edges 0 and 2, 1 and 3 are opposite; `shade` [3]; `gap` [3] m, the eye's distance from the face's
    plane, and `normal` [3, 3], its normal in camera axes; `growth` px, how much larger it is drawn on every side;
    `stroke` px, half the thickness of the edges' lines.
    """

    front: Any
    edge: Any
    shade: Any
    gap: Any
    normal: Any
    growth: Any
    stroke: Any


def _cross(a: Any, b: Any) -> Any:
    return jnp.stack(
        [
            a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1],
            a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2],
            a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0],
        ],
        axis=-1,
    )


def wedge(ramp: RampArrays, eye: Any, to_camera: Any, focal: float, height: int, width: int) -> RampSolid:
    """The ramp as seen from `eye` [3] m; `to_camera` turns vectors [..., 3] of the world into camera axes."""
    r = ramp
    zero, one = jnp.zeros_like(r.x), jnp.ones_like(r.x)
    dx, dy = eye[0] - r.x, eye[1] - r.y
    up, across = r.ux * dx + r.uy * dy, r.ux * dy - r.uy * dx
    side = jnp.where(across < 0.0, -1.0, 1.0)
    half, run = r.half_width, r.run
    rise = run * r.sin / r.cos

    def corner(u: Any, a: Any, z: Any) -> Any:
        """From the eye to a point `u` m uphill, `a` m to the left and `z` m up from the foot's middle; world axes."""
        return jnp.stack([u * r.ux - a * r.uy - dx, u * r.uy + a * r.ux - dy, z - eye[2]])

    low_left, low_right = corner(zero, half, zero), corner(zero, -half, zero)
    top_right, top_left = corner(run, -half, rise), corner(run, half, rise)
    under_right, under_left = corner(run, -half, zero), corner(run, half, zero)
    foot, top, under = (corner(u, side * half, z) for u, z in ((zero, zero), (run, rise), (run, zero)))
    faces = jnp.stack(
        [
            jnp.stack([low_left, low_right, top_right, top_left]),
            jnp.stack([top_right, top_left, under_left, under_right]),
            # The slope and the foot are opposite each other; the fourth corner repeats the third.
            jnp.stack([foot, top, under, under]),
        ]
    )
    faces = to_camera(faces)
    following = jnp.stack([faces[:, 1], faces[:, 2], faces[:, 3], faces[:, 0]], axis=1)
    planes = _cross(faces, following - faces)
    # The triangle's last two edges: under -> foot opposite the slope, and none opposite the upright.
    planes = planes.at[2, 2].set(planes[2, 3]).at[2, 3].set(0.0)
    turn = jnp.sign((planes * faces.mean(axis=1, keepdims=True)).sum(axis=-1, keepdims=True))
    steep = jnp.sqrt(planes[..., :1] ** 2 + planes[..., 1:2] ** 2)
    edge = turn * planes * (focal / jnp.maximum(steep, 1e-9))
    edge = edge.at[2, 3].set(jnp.array([0.0, 0.0, 1e6]))
    normals = jnp.stack(
        [
            jnp.stack([-r.sin * r.ux, -r.sin * r.uy, r.cos]),
            jnp.stack([r.ux, r.uy, zero]),
            side * jnp.stack([-r.uy, r.ux, zero]),
        ]
    )
    gap = jnp.stack([r.cos * eye[2] - r.sin * up, up - run, side * across - half])
    shade = jnp.stack([SIDE_SHADE + TOP_GAIN * r.cos, BACK_SHADE * one, SIDE_SHADE * one])
    front = ((gap > 0.0) & r.present).astype(jnp.float32)
    canvas = _canvas(faces.reshape(-1, 3), focal, height, width)
    return RampSolid(front, edge, shade, gap, to_camera(normals), _growth(canvas), _half_stroke(canvas, height))


def _canvas(corners: Any, focal: float, height: int, width: int) -> list[Any]:
    """Flags [], one for each of `CANVASES`: whether the rasteriser draws a body with these `corners` [N, 3] m (camera
    axes) on it."""
    depth = jnp.maximum(corners[:, 2], NEAR_M)
    area = jnp.ones(())
    for axis, side in ((0, width), (1, height)):
        pixels = 0.5 * side + focal * corners[:, axis] / depth
        low, high = jnp.floor(pixels.min() - 1.0), jnp.ceil(pixels.max() + 1.0)
        area = area * (jnp.clip(high, 0.0, side) - jnp.clip(low, 0.0, side))
    flags, coarser = [], jnp.array(True)
    for _, most in CANVASES:
        fits = coarser if most is None else coarser & (area <= most)
        flags.append(fits.astype(jnp.float32))
        coarser = coarser & ~fits
    return flags


def _growth(canvas: list[Any]) -> Any:
    """How much (px) the rasteriser's polygons are too large on every side."""
    return sum(flag * (POLYGON_GROWTH_PX / fine) for flag, (fine, _) in zip(canvas, CANVASES, strict=True))


def _half_stroke(canvas: list[Any], height: int) -> Any:
    """Half the thickness (px) of the ramp's edges in a picture of `height` rows."""
    total: Any = 0.0
    for flag, (fine, _) in zip(canvas, CANVASES, strict=True):
        thickness = max(1, round(fine * height / EDGE_ROWS))
        grown = thickness + (THIN_LINE_GROWTH_PX if thickness == 1 else LINE_GROWTH_PX)
        total = total + flag * (0.5 * grown / fine)
    return total


def wedge_cover(body: RampSolid, x: Any, y: Any) -> tuple[Any, Any]:
    """Coverage [H, W] of the ramp and the brightness its colour has there, edges included."""
    total = lit = line = jnp.zeros(jnp.broadcast_shapes(x.shape, y.shape), jnp.float32)
    for face in range(3):
        inward = [body.edge[face, i, 0] * x + (body.edge[face, i, 1] * y + body.edge[face, i, 2]) for i in range(4)]
        one, two, three, four = (jnp.clip(body.growth + 0.5 + d, 0.0, 1.0) for d in inward)
        # A face thinner than a pixel: the parts that two opposite edges cut off add up.
        part = jnp.maximum(one + three - 1.0, 0.0) * jnp.maximum(two + four - 1.0, 0.0) * body.front[face]
        total += part
        lit += part * body.shade[face]
        nearest = jnp.minimum(jnp.minimum(inward[0], inward[1]), jnp.minimum(inward[2], inward[3]))
        band = jnp.clip(nearest + (body.stroke + 0.5), 0.0, 1.0) - jnp.clip(nearest - (body.stroke - 0.5), 0.0, 1.0)
        line = jnp.maximum(line, band * body.front[face])
    shade = lit / jnp.maximum(total, 1e-6)
    # Faces that share an edge both reach over it.
    return jnp.minimum(total, 1.0), shade + line * (EDGE_SHADE - shade)


def wedge_depth(body: RampSolid, x: Any, y: Any) -> Any:
    """Depth (m along the optical axis) at which the rays enter the ramp, if they do: the farthest plane entered."""
    entry = jnp.zeros((), jnp.float32)
    for face in range(3):
        n, gap = body.normal[face], body.gap[face]
        towards = -(n[0] * x + (n[1] * y + n[2]))
        entry = jnp.maximum(entry, body.front[face] * gap / jnp.maximum(towards, 1e-9))
    return entry


def wedge_hides(ramp: RampArrays, centre: Any, radius: Any, eye: Any) -> tuple[Any, Any]:
    """Whether the ramp is in front of a sphere [] (0 or 1), and whether the two touch, so that depths decide."""
    r = ramp
    dx, dy = centre[0] - r.x, centre[1] - r.y
    across = jnp.clip(r.ux * dy - r.uy * dx, -r.half_width, r.half_width)
    up, z = r.ux * dx + r.uy * dy, centre[2]
    rise = r.run * r.sin / r.cos
    along = jnp.clip(up * r.cos + z * r.sin, 0.0, r.run / r.cos)
    below = up * r.sin >= z * r.cos
    near_up = jnp.where(below, jnp.clip(up, 0.0, r.run), along * r.cos)
    near_z = jnp.where(below, jnp.clip(z, 0.0, rise), along * r.sin)
    near = jnp.stack([r.x + near_up * r.ux - across * r.uy, r.y + near_up * r.uy + across * r.ux, near_z])
    touching = ((near - centre) ** 2).sum() < (TOUCH * radius) ** 2
    return (beyond(centre, near, eye) & r.present).astype(jnp.float32), touching & r.present


def beyond(centre: Any, near: Any, eye: Any) -> Any:
    """Whether `centre` is on the other side of the plane through `near`, across the line to `centre`, than `eye`."""
    return ((centre - near) * (eye - near)).sum() < 0.0


class ScaleBar(NamedTuple):
    """A bar before a camera: `start` [2] px of its axis, `along` [2] its direction, `length` px, half its width at both
    ends, `wide` [2] px; `seen` 0 or 1."""

    start: Any
    along: Any
    length: Any
    wide: Any
    seen: Any


def bar(ends: Any, there: Any, focal: float, height: int, width: int) -> ScaleBar:
    """The bar between `ends` [2, 3] m (camera axes); `there` [] indicates whether the room has it."""
    z = ends[:, 2]
    # The part at a depth of NEAR_M or more.
    share = jnp.where(z < NEAR_M, (NEAR_M - z) / jnp.where(z[0] == z[1], 1.0, z[::-1] - z), 0.0)
    kept = ends + jnp.clip(share, 0.0, 1.0)[:, None] * (ends[::-1] - ends)
    depth = jnp.maximum(kept[:, 2], NEAR_M)
    pixels = jnp.stack([0.5 * width + focal * kept[:, 0] / depth, 0.5 * height + focal * kept[:, 1] / depth], axis=-1)
    step = pixels[1] - pixels[0]
    length = jnp.sqrt((step * step).sum() + 1e-12)
    along = jnp.where(length > 1e-5, step / length, jnp.array([1.0, 0.0]))
    wide = jnp.maximum(BAR_HALF_WIDTH_M * focal / depth, BAR_MIN_HALF_WIDTH_PX)
    grow = _growth(_canvas(kept, focal, height, width))
    return ScaleBar(
        pixels[0] - grow * along,
        along,
        length + 2.0 * grow,
        wide + grow,
        (there & (z.max() >= NEAR_M)).astype(jnp.float32),
    )


def bar_cover(thin: ScaleBar, u: Any, v: Any) -> Any:
    """Coverage [H, W] of the pixels with centres `u` [W], `v` [H, 1] by a bar."""
    du, dv = u - thin.start[0], v - thin.start[1]
    along = thin.along[0] * du + thin.along[1] * dv
    across = jnp.abs(thin.along[0] * dv - thin.along[1] * du)
    half = thin.wide[0] + (thin.wide[1] - thin.wide[0]) * jnp.clip(along / thin.length, 0.0, 1.0)
    width = jnp.clip(half - across + 0.5, 0.0, 1.0) + jnp.clip(half + across + 0.5, 0.0, 1.0) - 1.0
    ends = jnp.clip(along + 0.5, 0.0, 1.0) + jnp.clip(thin.length - along + 0.5, 0.0, 1.0) - 1.0
    return thin.seen * jnp.maximum(width, 0.0) * jnp.maximum(ends, 0.0)


__all__ = ["RampSolid", "ScaleBar", "bar", "bar_cover", "beyond", "wedge", "wedge_cover", "wedge_depth", "wedge_hides"]
