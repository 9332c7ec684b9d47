"""Draws a room with OpenCV and numpy: background, ramp and scale bars once for a camera, then shadows and balls.

Order in the picture: sky and ground; bars and ramp from far to near; the balls' shadows, except where something stands
on them; the balls from far to near, each except where a solid in front of it stands.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from o2t_jax.geometry.camera import Intrinsics
from o2t_jax.physics.room import Setup
from o2t_jax.render.ball import Patch, Sphere, palette, shadow_patch, sphere_patch
from o2t_jax.render.draw import blend
from o2t_jax.render.ground import draw_background
from o2t_jax.render.look import BAR_X_M
from o2t_jax.render.solids import Bar, Layer, Wedge, stand_order
from o2t_jax.render.view import View, view_for

# Pictures are made by many threads at once; OpenCV's own would only fight them for the cores.
cv2.setNumThreads(1)


class Stage(NamedTuple):
    """What of a scene does not move: draw it with `Stage.of`, then ask for any number of pictures.

    Attributes: `palettes`, the balls' colours by brightness, [K] of uint8 [256, 1, 3]; `radii` [K] m; `wedge`, the ramp
    or None; `bars`, the scale bars.
    """

    palettes: tuple[np.ndarray, ...]
    radii: tuple[float, ...]
    wedge: Wedge | None
    bars: tuple[Bar, ...]

    @classmethod
    def of(cls, setup: Setup) -> Stage:
        """The unmoving part of a setup; a setup that `vanishes` (a room with two sides) has scale bars."""
        radii = tuple(float(r) for r in setup.radius)
        bars = (
            tuple(Bar(BAR_X_M * float(s), r) for s, r in zip(setup.side, radii, strict=True)) if setup.vanishes else ()
        )
        wedge = None if setup.ramp is None else Wedge(setup.ramp)
        return cls(tuple(palette(c) for c in setup.colour), radii, wedge, bars)


class Backdrop(NamedTuple):
    """What one camera sees of a stage without its balls: the layers that may stand before one."""

    view: View
    layers: tuple[Layer, ...]


def draw_backdrop(picture: np.ndarray, stage: Stage, view: View) -> Backdrop:
    """Draws all that does not move over all of `picture`, uint8 [H, W, 3]."""
    draw_background(view, picture)
    layers = tuple(stand_order(view, stage.wedge, list(stage.bars)))
    for layer in layers:
        blend(picture, layer.patch.box, layer.patch.paint, layer.patch.coverage)
    return Backdrop(view, layers)


def draw_balls(
    picture: np.ndarray, stage: Stage, backdrop: Backdrop, position: np.ndarray, visible: np.ndarray
) -> None:
    """Draws shadows and balls into `picture`, which shows the backdrop.

    Args: `position` [K, 3] m of the centres, `visible` [K].
    """
    view = backdrop.view
    spheres = []
    for i, (seen, centre) in enumerate(zip(visible.tolist(), position.tolist(), strict=True)):
        if not seen:
            continue
        sphere = Sphere(view, tuple(centre), stage.radii[i])
        spheres.append((sphere.power, i, sphere))
        shadow = shadow_patch(view, sphere.centre, sphere.radius)
        if shadow is not None:
            for layer in backdrop.layers:
                _take_away(shadow, layer, True)
            blend(picture, shadow.box, shadow.paint, shadow.coverage)
    for _, i, sphere in sorted(spheres, reverse=True):
        patch = sphere_patch(sphere, stage.palettes[i])
        if patch is None:
            continue
        for layer in backdrop.layers:
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
    stage = Stage.of(setup)
    picture = np.empty((intrinsics.height, intrinsics.width, 3), np.uint8)
    backdrop = draw_backdrop(picture, stage, view_for(*pose, intrinsics))
    draw_balls(picture, stage, backdrop, np.asarray(position), np.asarray(visible))
    return picture


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


__all__ = ["Backdrop", "Stage", "draw_backdrop", "draw_balls", "draw_scene"]
