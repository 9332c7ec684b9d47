"""Robust circle fit to a coverage's edge: a sphere's direction and size, even if part of its rim is lost.

A sphere's outline is a circular cone of rays. A bright rim before a bright sky has no contrast, so a mask loses a cap
of the ball there, and the mask's centroid moves away from it: by 0.3 px for balls of 10 px before RoomPhys' sky. This
bias in height looks like a law (docs/notes/identifiability.md). The rest of the rim is still on the cone. Its radius is
measured along spokes from a first guess of the centre, and a circle is fitted to the spokes' ends. The fit is iterated
weighted least squares with weights that fall for ends off the circle (Geman & McClure 1985), at a scale that narrows
from round to round.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.geometry.camera import Intrinsics
from o2t_jax.models.o2t.stereo import Sighting
from o2t_jax.models.ops import bilinear

SPOKES = 48
POINTS = 32
# Length of a spoke: share of the first guess' radius, plus px.
_REACH_SHARE, _REACH_PX = 1.5, 2.0
# Deviation (share of the radius, plus px) beyond which a spoke's end has little weight, by round.
_SCALES = (0.3, 0.15, 0.08, 0.04, 0.02, 0.01, 0.005, 0.005, 0.005)
_SCALE_PX = 0.05
_RECENTRE = 2
_EXACT = jax.lax.Precision.HIGHEST


def fit_outline(cover: jax.Array, guess: Sighting, rotation: jax.Array, intrinsics: Intrinsics) -> Sighting:
    """A sighting of the same objects by the circle through most of their edge.

    Args: `cover` [B, P, H, W] in 0..1; `guess` over [B, P], such as `stereo.locate` returns; `rotation` [B, P, 3, 3];
    `intrinsics` shared, or with principal points [B, P]. An object that is not seen keeps its guess. No gradient.
    """
    b, p, h, w = cover.shape
    lens, focal = intrinsics.over(2), intrinsics.focal
    angle = jnp.asarray(2.0 * np.pi * (np.arange(SPOKES) + 0.5) / SPOKES, cover.dtype)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    maps = cover.reshape(b * p, h, w, 1)
    local = jnp.einsum("...ij,...j->...i", rotation, guess.direction, precision=_EXACT)
    size = guess.sin_radius / jnp.sqrt(jnp.maximum(1.0 - guess.sin_radius**2, 1e-6))
    reach = _REACH_SHARE * size + _REACH_PX / focal

    def ends(local: jax.Array, across: jax.Array, down: jax.Array) -> jax.Array:
        """Where each spoke leaves the coverage, [B, P, SPOKES]: tangent of the angle from the axis `local`."""
        step = reach[..., None] * (jnp.arange(POINTS) + 0.5) / POINTS
        spoke = cos[:, None] * across[..., None, :] + sin[:, None] * down[..., None, :]  # [B, P, A, 3]
        points = local[..., None, None, :] + step[..., None, :, None] * spoke[..., None, :]
        depth = jnp.maximum(points[..., 2], 1e-3)
        u, v = (focal * points[..., i] / depth + c for i, c in ((0, lens.cx), (1, lens.cy)))
        values, _ = bilinear(maps, jnp.stack([u, v], axis=-1).reshape(b * p, SPOKES, POINTS, 2))
        return jnp.sum(values.reshape(b, p, SPOKES, POINTS), axis=-1) * (reach / POINTS)[..., None]

    def recentre(_: int, found: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        local, _radius = found
        across = jnp.stack([local[..., 2], jnp.zeros_like(local[..., 0]), -local[..., 0]], axis=-1)
        across = across / jnp.linalg.norm(across, axis=-1, keepdims=True)
        down = jnp.cross(local, across)
        radius, shift_u, shift_v = _circle(ends(local, across, down), cos, sin, _SCALE_PX / focal)
        local = local + shift_u[..., None] * across + shift_v[..., None] * down
        return local / jnp.linalg.norm(local, axis=-1, keepdims=True), radius

    # Loops instead of unrolled rounds, which would take seconds to compile.
    local, radius = jax.lax.fori_loop(0, _RECENTRE, recentre, (local, size))
    direction = jnp.einsum("...ji,...j->...i", rotation, local, precision=_EXACT)
    good = guess.seen & (radius > 0.5 * size) & (radius < 2.0 * size)
    return guess._replace(
        direction=jnp.where(good[..., None], direction, guess.direction),
        sin_radius=jnp.where(good, radius / jnp.sqrt(1.0 + radius**2), guess.sin_radius),
    )


def _circle(ends: jax.Array, cos: jax.Array, sin: jax.Array, floor: float) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Radius and centre (u, v) of the circle through most of the spokes' `ends` [..., A]."""
    design = jnp.stack([jnp.ones_like(cos), cos, sin], axis=-1)
    products = design[:, :, None] * design[:, None, :]

    def narrow(number: int, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        weight, _ = state
        normal = jnp.einsum("...a,aij->...ij", weight, products, precision=_EXACT)
        right = jnp.einsum("...a,aj->...j", weight * ends, design, precision=_EXACT)
        found = _solve3(normal, right)
        miss = ends - jnp.einsum("...j,aj->...a", found, design, precision=_EXACT)
        width = scales[number] * jnp.abs(found[..., :1]) + floor
        return 1.0 / jnp.square(1.0 + jnp.square(miss / width)), found

    scales = jnp.asarray(_SCALES, ends.dtype)
    start = jnp.ones_like(ends), jnp.zeros((*ends.shape[:-1], 3), ends.dtype)
    _, found = jax.lax.fori_loop(0, len(_SCALES), narrow, start)
    return found[..., 0], found[..., 1], found[..., 2]


def _solve3(matrix: jax.Array, right: jax.Array) -> jax.Array:
    """Solution [..., 3] of symmetric 3 x 3 systems by Cramer's rule, without a library call for each small matrix."""
    a, b, c = (matrix[..., i] for i in range(3))
    crossed = jnp.cross(b, c)
    det = jnp.sum(a * crossed, axis=-1)
    det = jnp.where(jnp.abs(det) > 1e-12, det, 1.0)
    parts = [crossed, jnp.cross(c, a), jnp.cross(a, b)]
    return jnp.stack([jnp.sum(right * part, axis=-1) for part in parts], axis=-1) / det[..., None]


__all__ = ["fit_outline"]
