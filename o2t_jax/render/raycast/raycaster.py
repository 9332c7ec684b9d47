"""Ray-casting of a room in JAX: the picture of `render.opencv.rasteriser` as one pure function of arrays.

    pictures = cast_pictures(scenes, cameras, 512, 512)    # uint8 [N, 512, 512, 3]; leading axis N on every array

Every pixel is computed by itself from closed forms (no supersampling, no branches, no scatter), so that a compiler
makes one loop of it. Values shared by a whole picture or a row are computed once before. `cast` gives the picture of
one camera in floats and is differentiable. Order and shading are the rasteriser's: sky and ground, solids, shadows,
balls from far to near. The agreement of the two is tested in tests/render/test_raycaster.py.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.geometry.camera import intrinsics_for, world_to_camera
from o2t_jax.physics.room.exact import Setup
from o2t_jax.physics.room.jax_twin import RampArrays, RoomState, ramp_arrays
from o2t_jax.render import silhouettes
from o2t_jax.render.appearance import BAR_COLOUR, BAR_HEIGHT_M, BAR_X_M, RAMP_COLOUR, SHADOW_COLOUR
from o2t_jax.render.raycast import ball as balls
from o2t_jax.render.raycast import ground, solids


class Scene(NamedTuple):
    """A room at one moment, K balls, as float32 arrays.

    Attributes: `position` [K, 3] m of the centres, `visible` [K] bool, `radius` [K] m, `colour` [K, 3] in 0..1, `side`
    [K] +-1; `ramp`; `bars` [] bool: a scale bar for each ball, at x = 3 side m.
    """

    position: Any
    visible: Any
    radius: Any
    colour: Any
    side: Any
    ramp: RampArrays
    bars: Any


class Camera(NamedTuple):
    """A level camera: `position` [3] m, `azimuth` and `elevation` [] deg."""

    position: Any
    azimuth: Any
    elevation: Any


def scene_from(setup: Setup, position: np.ndarray, visible: np.ndarray) -> Scene:
    """A setup with its balls at `position` [K, 3] m, those `visible` [K] seen; numpy, in float64."""
    return Scene(
        np.asarray(position, np.float64),
        np.asarray(visible, bool),
        np.asarray(setup.radius, np.float64),
        np.asarray(setup.colour, np.float64),
        np.asarray(setup.side, np.float64),
        ramp_arrays(setup.ramp),
        np.asarray(setup.vanishes),
    )


def scene_of_state(state: RoomState, colour: Any) -> Scene:
    """The scene of a simulated state (`physics.room.jax_twin`), on the device; `colour` [K, 3] in 0..1."""
    visible = ~state.gone & (state.bounces | (state.position[:, 2] >= state.radius))
    return Scene(state.position, visible, state.radius, colour, state.side, state.ramp, state.vanishes)


class _Seen(NamedTuple):
    """A scene as one camera sees it: small arrays, computed once for a picture. Balls are sorted from far to near.

    Without solids there is no `wedge`, and all lists that begin with it or with the bars are empty.
    """

    rows: ground.Rows
    up: Any
    wedge: solids.RampSolid | None
    bars: list[solids.ScaleBar]
    bar_behind: list[Any]
    balls: list[silhouettes.Ball]
    shadows: list[silhouettes.Shadow]
    colours: list[Any]
    wedge_hides: list[Any]
    wedge_touches: list[Any]
    bar_hides: list[list[Any]]


def _see(scene: Scene, camera: Camera, height: int, width: int, solid: bool = True) -> _Seen:
    k = intrinsics_for(height, width)
    scene, camera = jax.tree.map(_as_float, (scene, camera))
    eye = camera.position
    axes = world_to_camera(camera.azimuth, camera.elevation)
    up = axes[:, 2]

    def to_camera(vectors: Any) -> Any:
        # Not a matrix product: accelerators round those.
        return (axes * vectors[..., None, :]).sum(axis=-1)

    count = scene.radius.shape[0]
    # An invisible ball's position is meaningless: it is moved far away, where it hides nothing.
    centres = jnp.where(scene.visible[:, None], scene.position, 1e3)
    distance = ((centres - eye) ** 2).sum(axis=-1) - scene.radius**2
    order = jnp.argsort(-distance)
    centres, radii = centres[order], scene.radius[order]
    visible, colours = scene.visible[order], scene.colour[order]

    def at_bar(i: int, y: Any) -> Any:
        return jnp.stack([BAR_X_M * scene.side[i], y, jnp.full_like(y, BAR_HEIGHT_M)])

    def bar_ends(i: int) -> Any:
        return to_camera(jnp.stack([at_bar(i, -scene.radius[i]), at_bar(i, scene.radius[i])]) - eye)

    def bar_hides(ball: int, i: int) -> Any:
        near = at_bar(i, jnp.clip(centres[ball, 1], -scene.radius[i], scene.radius[i]))
        return solids.beyond(centres[ball], near, eye).astype(jnp.float32)

    locals_ = to_camera(centres - eye)
    feet = to_camera(centres * jnp.array([1.0, 1.0, 0.0]) - eye)
    here = (k.focal, k.cx, k.cy)
    body, bodies = None, range(count if solid else 0)  # each ball has a bar
    if solid:
        body = solids.wedge(scene.ramp, eye, to_camera, k.focal, height, width)
    hides = [solids.wedge_hides(scene.ramp, centres[i], radii[i], eye) for i in bodies]
    zero = jnp.zeros(())
    return _Seen(
        rows=ground.ground_rows(eye, axes, k.focal, height),
        up=up,
        wedge=body,
        bars=[solids.bar(bar_ends(i), scene.bars, k.focal, height, width) for i in bodies],
        # A bar is thin and low: its middle represents it.
        bar_behind=[solids.wedge_hides(scene.ramp, at_bar(i, zero), zero, eye)[0] for i in bodies],
        balls=[silhouettes.ball(locals_[i], radii[i], visible[i], *here) for i in range(count)],
        shadows=[silhouettes.shadow(feet[i], radii[i], visible[i], up, eye[2], *here) for i in range(count)],
        colours=[colours[i] for i in range(count)],
        wedge_hides=[hidden for hidden, _ in hides],
        wedge_touches=[touches for _, touches in hides],
        bar_hides=[[bar_hides(ball, i) for i in bodies] for ball in range(count)],
    )


def _as_float(x: Any) -> Any:
    x = jnp.asarray(x)
    return x if x.dtype == bool else x.astype(jnp.float32)


def _shade(seen: _Seen, height: int, width: int) -> tuple[Any, Any, Any]:
    """Red, green and blue [H, W] in bytes, not rounded."""
    k = intrinsics_for(height, width)
    u = jnp.arange(width, dtype=jnp.float32) + 0.5
    v = (jnp.arange(height, dtype=jnp.float32) + 0.5)[:, None]
    x, y = (u - k.cx) / k.focal, (v - k.cy) / k.focal
    picture = ground.background(seen.rows, x)

    def lay(colour: Any, cover: Any) -> None:
        nonlocal picture
        red, green, blue = (p + cover * (c - p) for p, c in zip(picture, colour, strict=True))
        picture = red, green, blue

    bars = [solids.bar_cover(bar, u, v) for bar in seen.bars]
    wedge, entry = jnp.zeros(()), None
    for cover, behind in zip(bars, seen.bar_behind, strict=True):
        lay(BAR_COLOUR, cover * behind)
    if seen.wedge is not None:
        wedge, shade = solids.wedge_cover(seen.wedge, x, y)
        lay([c * shade for c in RAMP_COLOUR], wedge)
        entry = solids.wedge_depth(seen.wedge, x, y)
    for cover, behind in zip(bars, seen.bar_behind, strict=True):
        lay(BAR_COLOUR, cover * (1.0 - behind))
    bare = 1.0 - wedge
    for cover in bars:
        bare = bare * (1.0 - cover)
    for shadow in seen.shadows:
        lay(SHADOW_COLOUR, bare * balls.shadow_coverage(shadow, seen.up, u, v, x, y, k.focal))
    for i, ball in enumerate(seen.balls):
        cover, ray_x, ray_y = balls.ball_coverage(ball, u, v, x, y, k.focal)
        depth, level = balls.ball_depth_and_level(ball, seen.up, ray_x, ray_y)
        if entry is not None:
            hidden = jnp.where(seen.wedge_touches[i], entry < depth, seen.wedge_hides[i])
            cover = cover * (1.0 - wedge * hidden)
        for bar, hides in zip(bars, seen.bar_hides[i], strict=True):
            cover = cover * (1.0 - bar * hides)
        lay(balls.ball_colour(level, seen.colours[i]), cover)
    return picture


def cast(scene: Scene, camera: Camera, height: int, width: int) -> jax.Array:
    """One picture, float32 [H, W, 3] in 0..255: a pure function, differentiable in positions, radii and the camera."""
    return jnp.stack(_shade(_see(scene, camera, height, width), height, width), axis=-1)


def _cast_packed(seen: _Seen, height: int, width: int) -> jax.Array:
    """uint32 [H, W]: red, green and blue in one number."""
    # Rounded as cv2 does. One number per pixel, or the compiler computes every pixel once for each colour.
    red, green, blue = (jnp.rint(jnp.clip(c, 0.0, 255.0)).astype(jnp.uint32) for c in _shade(seen, height, width))
    return red | (green << 8) | (blue << 16)


def cast_packed(scenes: Scene, cameras: Camera, height: int, width: int, *, solid: bool = True) -> jax.Array:
    """Pictures of N scenes and cameras, uint32 [N, H, W] for `unpacked`: every array has a leading axis N.

    Without `solid` no scene has a ramp or bars: the same pictures for less work.
    """
    seen = jax.vmap(lambda s, c: _see(s, c, height, width, solid))(scenes, cameras)
    # Values of a whole picture must not be computed again in every pixel.
    seen = jax.lax.optimization_barrier(seen)
    return jax.lax.optimization_barrier(jax.vmap(lambda s: _cast_packed(s, height, width))(seen))


def unpacked(packed: jax.Array) -> jax.Array:
    """uint8 [..., 3] of `cast_packed`'s uint32 [...]."""
    return jax.lax.bitcast_convert_type(packed, jnp.uint8)[..., :3]


@functools.partial(jax.jit, static_argnums=(2, 3))
def cast_pictures(scenes: Scene, cameras: Camera, height: int, width: int) -> jax.Array:
    """Pictures, uint8 [N, H, W, 3], of N scenes and cameras: every array has a leading axis N.

    Besides the result it needs 4 bytes per pixel and a few hundred bytes per row.
    """
    return unpacked(cast_packed(scenes, cameras, height, width))


__all__ = ["Camera", "Scene", "cast", "cast_packed", "cast_pictures", "scene_from", "scene_of_state", "unpacked"]
