"""Pictures of solids on a floor under a sun: one ray a pixel, one to the sun, all in JAX."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from o2t_jax.geometry.camera import intrinsics_for, world_to_camera
from o2t_jax.render.scene.solids import FAR, Solid, box_hit, box_normal, capsule_hit, capsule_normal, dot
from o2t_jax.types import Array

_SUN = np.array([-0.4, -0.55, 0.75]) / np.linalg.norm([-0.4, -0.55, 0.75])
_SKY_LOW, _SKY_HIGH = np.array([0.86, 0.89, 0.93]), np.array([0.42, 0.60, 0.85])
_FLOOR_LIGHT, _FLOOR_DARK = np.array([0.70, 0.69, 0.66]), np.array([0.60, 0.59, 0.57])
_AMBIENT, _DIRECT, _FROM_SKY = 0.42, 0.58, 0.08
_HAZE_M = 30.0  # m at which the floor has faded into the sky
_LIFT = 1e-3  # m, a shadow ray starts above its surface
_TILE = 4096  # rays whose numbers stay in a core's cache

Hit = Callable[[Solid, jax.Array, jax.Array], jax.Array]


class Shapes(NamedTuple):
    """All solids of F frames: capsules (spheres among them) and boxes, each a `Solid` with leading axes [F, K], and
    their colours [K, 3] in 0..1."""

    capsules: Solid
    capsule_colours: Array
    boxes: Solid
    box_colours: Array


class View(NamedTuple):
    """A level camera: `place` [3] m, `azimuth`, `elevation` deg, vertical field of view `fov` deg."""

    place: tuple[float, float, float]
    azimuth: float = 90.0
    elevation: float = -12.0
    fov: float = 45.0


def pictures(
    shapes: Shapes, view: View, height: int, width: int, smooth: int = 1
) -> UInt8[np.ndarray, "frames height width 3"]:
    """Pictures of all frames; `smooth` x `smooth` rays a pixel. At least one capsule and one box."""
    bodies = jax.tree.map(lambda x: np.asarray(x, np.float32), (shapes.capsules, shapes.boxes))
    colours = tuple(np.asarray(x, np.float32) for x in (shapes.capsule_colours, shapes.box_colours))
    rays = _rays(view, smooth * height, smooth * width)
    eye = np.asarray(view.place, np.float32)

    def one(i: int) -> np.ndarray:
        capsules, boxes = jax.tree.map(lambda x: x[i], bodies)
        return np.asarray(_picture(capsules, boxes, *colours, eye, rays, height, width, smooth))

    # One picture keeps one core busy.
    with ThreadPoolExecutor(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    ) as pool:
        return np.stack(list(pool.map(one, range(bodies[0].centre.shape[0]))))


def _rays(view: View, height: int, width: int) -> Float[np.ndarray, "3 pixels"]:
    k = intrinsics_for(height, width, view.fov)
    x = (np.arange(width) + 0.5 - k.cx) / k.focal
    y = (np.arange(height) + 0.5 - k.cy) / k.focal
    local = np.stack([*np.meshgrid(x, y), np.ones((height, width))], -1)
    rays = local @ np.asarray(world_to_camera(view.azimuth, view.elevation))
    return (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).reshape(-1, 3).T.astype(np.float32)


@functools.partial(jax.jit, static_argnames=("height", "width", "smooth"))
def _picture(
    capsules: Solid,
    boxes: Solid,
    capsule_colours: Array,
    box_colours: Array,
    eye: Array,
    rays: Array,
    height: int,
    width: int,
    smooth: int,
) -> jax.Array:
    """uint8 [H, W, 3]."""
    rays = jnp.asarray(rays)
    count = rays.shape[1]
    tiles = jnp.pad(rays, ((0, 0), (0, -count % _TILE)), mode="edge").reshape(3, -1, _TILE).swapaxes(0, 1)
    made = jax.lax.map(lambda tile: cast(capsules, boxes, capsule_colours, box_colours, eye, tile), tiles)
    colour = made.swapaxes(0, 1).reshape(3, -1)[:, :count].reshape(3, height, smooth, width, smooth).mean(axis=(2, 4))
    return jnp.round(255.0 * jnp.clip(jnp.moveaxis(colour, 0, -1), 0.0, 1.0)).astype(jnp.uint8)


def cast(
    capsules: Solid,
    boxes: Solid,
    capsule_colours: Array,
    box_colours: Array,
    eye: Float[Array, 3],
    rays: Float[Array, "3 rays"],
) -> Float[jax.Array, "3 rays"]:
    """Colours in 0..1 of unit `rays` from `eye`; solids have a leading axis."""
    origin = jnp.broadcast_to(jnp.asarray(eye)[:, None], rays.shape)
    floor = jnp.where(rays[2] < 0.0, -eye[2] / jnp.minimum(rays[2], -1e-6), FAR)
    round_at, round_number = _nearest(capsule_hit, capsules, origin, rays)
    box_at, box_number = _nearest(box_hit, boxes, origin, rays)
    at = jnp.minimum(floor, jnp.minimum(round_at, box_at))
    point = origin + jnp.minimum(at, 1e3) * rays
    odd = (jnp.floor(point[0]) + jnp.floor(point[1])) % 2.0
    base = jnp.where(odd > 0.5, _FLOOR_DARK[:, None], _FLOOR_LIGHT[:, None])
    normal = jnp.broadcast_to(jnp.array([[0.0], [0.0], [1.0]]), rays.shape)
    for here, number, solids, colours, normal_of in (
        (round_at, round_number, capsules, capsule_colours, capsule_normal),
        (box_at, box_number, boxes, box_colours, box_normal),
    ):
        seen = here <= at
        own = jax.tree.map(lambda x, n=number: jnp.moveaxis(jnp.asarray(x)[n], 0, -1), solids)
        normal = jnp.where(seen, normal_of(own, point), normal)
        base = jnp.where(seen, jnp.asarray(colours)[number].T, base)
    start = point + _LIFT * normal
    to_sun = jnp.broadcast_to(jnp.asarray(_SUN, jnp.float32)[:, None], rays.shape)
    dark = _hidden(capsule_hit, capsules, start, to_sun) | _hidden(box_hit, boxes, start, to_sun)
    level = jnp.where(dark, 0.0, jnp.maximum(dot(normal, to_sun), 0.0))
    lit = base * (_AMBIENT + _DIRECT * level + _FROM_SKY * (1.0 + normal[2]))
    rise = jnp.clip(2.0 * rays[2], 0.0, 1.0)
    sky = _SKY_LOW[:, None] + rise * (_SKY_HIGH - _SKY_LOW)[:, None]
    return lit + jnp.clip(at / _HAZE_M, 0.0, 1.0) ** 2 * (sky - lit)


def _nearest(hit: Hit, solids: Solid, origin: Any, rays: Any) -> tuple[jax.Array, jax.Array]:
    """Distance of the nearest solid that each ray hits, and its number."""

    def look(best: tuple[jax.Array, jax.Array], one: tuple[jax.Array, Solid]) -> tuple[tuple[jax.Array, ...], None]:
        at = hit(one[1], origin, rays)
        return (jnp.minimum(at, best[0]), jnp.where(at < best[0], one[0], best[1])), None

    first = jnp.full(rays.shape[1:], FAR, rays.dtype), jnp.zeros(rays.shape[1:], jnp.int32)
    numbers = jnp.arange(solids.centre.shape[0], dtype=jnp.int32)
    return jax.lax.scan(look, first, (numbers, solids))[0]  # pyright: ignore[reportReturnType, reportArgumentType]


def _hidden(hit: Hit, solids: Solid, origin: jax.Array, rays: jax.Array) -> jax.Array:
    """Whether any of `solids` is in the way of each ray."""

    def look(hidden: jax.Array, one: Solid) -> tuple[jax.Array, None]:
        return hidden | (hit(one, origin, rays) < FAR), None

    return jax.lax.scan(look, jnp.zeros(rays.shape[1:], bool), solids)[0]


__all__ = ["Shapes", "View", "cast", "pictures"]
