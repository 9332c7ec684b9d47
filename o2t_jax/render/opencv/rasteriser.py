"""Draws a room with OpenCV and numpy: background, ramp and scale bars once for a camera, then shadows and balls.

Order in the picture: sky and ground; bars and ramp from far to near; the balls' shadows, except where a solid covers
them; the balls from far to near, each except where a solid is in front of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from o2t_jax.geometry.camera import Intrinsics
from o2t_jax.physics.room.exact import Setup
from o2t_jax.render.appearance import BAR_X_M
from o2t_jax.render.opencv.ball import Patch, Sphere, ball_patches, palettes_of
from o2t_jax.render.opencv.draw import blend
from o2t_jax.render.opencv.ground import draw_backgrounds
from o2t_jax.render.opencv.solids import Layer, RampSolid, ScaleBar, stand_order
from o2t_jax.render.pose import CameraPose, view_for

# Pictures are made by many threads at the same time; OpenCV's own would only compete with them for the cores.
cv2.setNumThreads(1)
# Pictures whose balls are computed together. The memory for the balls' patches is proportional to it.
_TOGETHER = 64


class StaticScene(NamedTuple):
    """The static part of a scene. Build it with `StaticScene.of`, then draw any number of pictures with it.

    Attributes: `palettes` uint8 [K, 256, 3], the balls' colours by brightness; `radius` [K] m; `wedge`, the ramp or
    None; `bars`, the scale bars.
    """

    palettes: np.ndarray
    radius: np.ndarray
    wedge: RampSolid | None
    bars: tuple[ScaleBar, ...]

    @classmethod
    def of(cls, setup: Setup) -> StaticScene:
        """The static part of a setup; a setup that `vanishes` (a room with two sides) has scale bars."""
        sized = zip(setup.side.tolist(), setup.radius.tolist(), strict=True)
        bars = tuple(ScaleBar(BAR_X_M * side, r) for side, r in sized) if setup.vanishes else ()
        wedge = None if setup.ramp is None else RampSolid(setup.ramp)
        return cls(palettes_of(setup.colour), setup.radius, wedge, bars)


def draw_pictures(
    stage: StaticScene, views: Sequence[CameraPose], of_view: Sequence[int], position: np.ndarray, visible: np.ndarray
) -> np.ndarray:
    """Pictures, uint8 [T, H, W, 3], of one static scene with its balls at T moments.

    The static part is drawn once for a view, and the balls of many pictures are computed together.
    Args: `views`, all of one size of picture; `of_view` [T], the place in `views` of each picture's (every view has a
    picture); `position` [T, K, 3] m of the balls' centres, `visible` [T, K].
    """
    k = views[0].intrinsics
    pictures = np.empty((len(of_view), k.height, k.width, 3), np.uint8)
    layers = _draw_what_stands(pictures, stage, views, of_view)
    for start in range(0, len(of_view), _TOGETHER):
        some = slice(start, start + _TOGETHER)
        _draw_balls(pictures[some], stage, views, layers, of_view[some], position[some], visible[some])
    return pictures


def _draw_balls(
    pictures: np.ndarray,
    stage: StaticScene,
    views: Sequence[CameraPose],
    layers: Sequence[list[Layer]],
    of_view: Sequence[int],
    position: np.ndarray,
    visible: np.ndarray,
) -> None:
    """Draws balls and shadows over pictures of the static part; see `draw_pictures`."""
    moment, which = np.nonzero(visible)
    if not moment.size:
        return
    centre, views_seen = position[moment, which], np.asarray(of_view)[moment]
    drawn = ball_patches(views, views_seen, centre, stage.radius[which], stage.palettes[which])
    spheres = [
        Sphere(views[i], tuple(c), r)
        for i, c, r in zip(views_seen.tolist(), centre.tolist(), stage.radius[which].tolist(), strict=True)
    ]
    balls = [_Drawn(*parts) for parts in zip(spheres, *drawn, strict=True)]
    ends = np.searchsorted(moment, np.arange(len(of_view) + 1)).tolist()
    for t, (start, end) in enumerate(itertools.pairwise(ends)):
        _lay(pictures[t], layers[of_view[t]], balls[start:end])


def _draw_what_stands(
    pictures: np.ndarray, stage: StaticScene, views: Sequence[CameraPose], of_view: Sequence[int]
) -> list[list[Layer]]:
    """Draws all but balls and shadows; returns each view's layers that may hide a ball."""
    first = np.unique(of_view, return_index=True)[1].tolist()
    draw_backgrounds(views, [pictures[t] for t in first])
    layers = [stand_order(view, stage.wedge, stage.bars) for view in views]
    for t, mine in zip(first, layers, strict=True):
        for layer in mine:
            blend(pictures[t], layer.patch.box, layer.patch.paint, layer.patch.coverage)
    for t, i in enumerate(of_view):
        if t != first[i]:
            pictures[t] = pictures[first[i]]
    return layers


class _Drawn(NamedTuple):
    """A ball of one picture, with the visible parts of it and of its shadow."""

    sphere: Sphere
    ball: Patch | None
    shadow: Patch | None


def _lay(picture: np.ndarray, layers: list[Layer], balls: list[_Drawn]) -> None:
    """Draws shadows and balls over `picture`, which shows the static part."""
    for _, _, patch in balls:
        if patch is not None:
            for layer in layers:
                _take_away(patch, layer, True)
            blend(picture, patch.box, patch.paint, patch.coverage)
    seen = [(sphere, patch) for sphere, patch, _ in balls if patch is not None]
    for sphere, patch in sorted(seen, key=lambda one: -one[0].power):
        for layer in layers:
            if patch.box.meet(layer.patch.box) is not None:
                _take_away(patch, layer, layer.solid.hides(sphere, patch.box))
        blend(picture, patch.box, patch.paint, patch.coverage)


def draw_scene(
    setup: Setup,
    position: np.ndarray,
    visible: np.ndarray,
    pose: tuple[np.ndarray, float, float],
    intrinsics: Intrinsics,
) -> np.ndarray:
    """One picture, uint8 [H, W, 3].

    Args: `position` [K, 3] m and `visible` [K] of the balls; `pose` = camera position [3] m, azimuth, elevation (deg).
    """
    view, places = view_for(*pose, intrinsics), np.asarray(position)
    return draw_pictures(StaticScene.of(setup), [view], [0], places[None], np.asarray(visible)[None])[0]


def _take_away(patch: Patch, layer: Layer, hides: bool | np.ndarray) -> None:
    """Lowers the patch's coverage by the layer's, where the layer `hides` it."""
    common = patch.box.meet(layer.patch.box)
    if common is None or hides is False:
        return
    rows, columns = common.slices

    def inside(patch_: Patch) -> tuple[slice, slice]:
        top, left = patch_.box.top, patch_.box.left
        return slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)

    share = layer.patch.coverage[inside(layer.patch)]
    if isinstance(hides, np.ndarray):
        share = share * hides[inside(patch)]
    patch.coverage[inside(patch)] *= 1.0 - share


__all__ = ["StaticScene", "draw_pictures", "draw_scene"]
