"""Forward and inverse kinematics of skeletons, and the six-number form of rotations. Batched and differentiable."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from o2t_jax.physics.motion.skeleton import Skeleton
from o2t_jax.types import Array

_TINY = 1e-12


def unit(vectors: Float[Array, "*batch 3"]) -> Float[jax.Array, "*batch 3"]:
    """Vectors of length 1; a zero vector stays zero, with a finite gradient."""
    vectors = jnp.asarray(vectors)
    return vectors * jax.lax.rsqrt(jnp.sum(jnp.square(vectors), -1, keepdims=True) + _TINY)


def times(first: Float[Array, "*batch 3 3"], second: Float[Array, "*batch 3 3"]) -> Float[jax.Array, "*batch 3 3"]:
    """The matrix product, as sums: on a CPU, XLA makes one loop of it, and calls a routine for each product of `@`."""
    return jnp.sum(jnp.asarray(first)[..., :, :, None] * jnp.asarray(second)[..., None, :, :], -2)


def globals_of(
    skeleton: Skeleton, rotations: Float[Array, "*batch joints 3 3"]
) -> Float[jax.Array, "*batch joints 3 3"]:
    """Each joint's rotation in the world, from those relative to the parents."""
    levels = ((0,), *skeleton.levels)
    done = [jnp.asarray(rotations[..., :1, :, :])]
    for above, level in itertools.pairwise(levels):  # a joint's parent is one level above it
        parents = np.array([above.index(skeleton.parents[i]) for i in level])
        done.append(times(done[-1][..., parents, :, :], rotations[..., np.array(level), :, :]))
    return jnp.concatenate(done, -3)[..., np.argsort(np.concatenate(levels)), :, :]


def locals_of(
    skeleton: Skeleton, rotations: Float[Array, "*batch joints 3 3"]
) -> Float[jax.Array, "*batch joints 3 3"]:
    """Each joint's rotation relative to its parent, from those in the world: the inverse of `globals_of`."""
    above = rotations[..., np.array(skeleton.parents[1:], int), :, :]
    below = times(jnp.swapaxes(above, -1, -2), rotations[..., 1:, :, :])
    return jnp.concatenate([jnp.asarray(rotations[..., :1, :, :]), below], -3)


def places_of(
    skeleton: Skeleton, root: Float[Array, "*batch 3"], turned: Float[Array, "*batch joints 3 3"]
) -> Float[jax.Array, "*batch joints 3"]:
    """Where the joints are, m, from the rotations in the world (`globals_of`)."""
    parents = np.array(skeleton.parents[1:], int)
    bones = jnp.einsum("...jab,jb->...ja", turned[..., parents, :, :], jnp.asarray(skeleton.offsets[1:], turned.dtype))
    return jnp.asarray(root)[..., None, :] + added_up(skeleton, bones)


def added_up(skeleton: Skeleton, bones: Float[Array, "*batch bones 3"]) -> Float[jax.Array, "*batch joints 3"]:
    """Joints' places from the root: the vectors of the bones that lead to joints 1, 2, ... added up along the tree."""
    chain = np.zeros((len(skeleton), len(skeleton) - 1))
    for i, parent in enumerate(skeleton.parents[1:], 1):
        chain[i] = chain[parent]
        chain[i, i - 1] = 1.0
    return jnp.asarray(chain, bones.dtype) @ bones


def forward(
    skeleton: Skeleton, root: Float[Array, "*batch 3"], rotations: Float[Array, "*batch joints 3 3"]
) -> Float[jax.Array, "*batch joints 3"]:
    """Where the joints are, m: the root's place, and each joint's rotation relative to its parent."""
    return places_of(skeleton, root, globals_of(skeleton, rotations))


def to_six(rotations: Float[Array, "*batch 3 3"]) -> Float[jax.Array, "*batch 6"]:
    """A rotation as its matrix's first two columns, one after the other (Zhou et al. 2019, arXiv 1812.07035)."""
    return jnp.concatenate([rotations[..., 0], rotations[..., 1]], -1)


def from_six(six: Float[Array, "*batch 6"]) -> Float[jax.Array, "*batch 3 3"]:
    """The rotation of any six numbers, by Gram and Schmidt as in Zhou et al.: the first column keeps its direction."""
    first = unit(six[..., :3])
    second = unit(six[..., 3:] - jnp.sum(first * six[..., 3:], -1, keepdims=True) * first)
    return jnp.stack([first, second, jnp.cross(first, second)], -1)


def about_y(angle: Float[Array, "*batch"] | float) -> Float[jax.Array, "*batch 3 3"]:
    """Rotation by `angle` rad about the vertical: heading 0 looks along +z, pi / 2 along +x."""
    return _about(angle, 1)


def about_x(angle: Float[Array, "*batch"] | float) -> Float[jax.Array, "*batch 3 3"]:
    """Rotation by `angle` rad about the axis to the left: above 0 bends forward."""
    return _about(angle, 0)


def about_z(angle: Float[Array, "*batch"] | float) -> Float[jax.Array, "*batch 3 3"]:
    """Rotation by `angle` rad about the axis ahead: above 0 lifts the left side."""
    return _about(angle, 2)


def _about(angle: Float[Array, "*batch"] | float, axis: int) -> jax.Array:
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    zero, one = jnp.zeros_like(cos), jnp.ones_like(cos)
    rows = {
        0: (one, zero, zero, zero, cos, -sin, zero, sin, cos),
        1: (cos, zero, sin, zero, one, zero, -sin, zero, cos),
        2: (cos, -sin, zero, sin, cos, zero, zero, zero, one),
    }[axis]
    return jnp.stack(rows, -1).reshape(*cos.shape, 3, 3)


def between(rest: Float[Array, "*batch 3"], now: Float[Array, "*batch 3"]) -> Float[jax.Array, "*batch 3 3"]:
    """The smallest rotation that turns direction `rest` to direction `now`; for opposite ones, one about some axis."""
    rest, now = jnp.broadcast_arrays(unit(jnp.asarray(rest)), unit(jnp.asarray(now)))
    axis, cos = jnp.cross(rest, now), jnp.sum(rest * now, -1)[..., None, None]
    x, y, z = axis[..., 0], axis[..., 1], axis[..., 2]
    zero = jnp.zeros_like(x)
    skew = jnp.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    one = jnp.eye(3, dtype=skew.dtype)
    # Rodrigues with 1 / (1 + cos): no angle is needed. Opposite directions have no smallest rotation.
    turned = one + skew + skew @ skew / jnp.maximum(1.0 + cos, 1e-6)
    helper = jnp.where(jnp.abs(rest[..., :1]) < 0.6, jnp.array([1.0, 0.0, 0.0]), jnp.array([0.0, 1.0, 0.0]))
    around = unit(jnp.cross(rest, helper))
    half_turn = 2.0 * around[..., :, None] * around[..., None, :] - one
    return jnp.where(cos < -1.0 + 1e-5, half_turn, turned)


def knee(
    hip: Float[Array, "*batch 3"],
    ankle: Float[Array, "*batch 3"],
    ahead: Float[Array, "*batch 3"],
    thigh: float,
    shin: float,
) -> tuple[Float[jax.Array, "*batch 3"], Float[jax.Array, "*batch 3"]]:
    """The knee's place, and the ankle's, of a leg of two bones (m) that bends towards `ahead`.

    The law of cosines in the plane of hip, ankle and `ahead`. An ankle out of reach is brought to the nearest place
    within it, so compare what is returned.
    """
    hip, ankle = jnp.asarray(hip), jnp.asarray(ankle)
    most, least = thigh + shin, abs(thigh - shin)
    way = ankle - hip
    far = jnp.sqrt(jnp.sum(jnp.square(way), -1, keepdims=True) + _TINY)
    reached = jnp.clip(far, least + 1e-6, most * (1.0 - 1e-6))
    down = way / far
    along = (jnp.square(reached) + thigh**2 - shin**2) / (2.0 * reached)
    aside = jnp.sqrt(jnp.maximum(thigh**2 - jnp.square(along), 1e-10))
    out = unit(ahead - jnp.sum(ahead * down, -1, keepdims=True) * down)
    return hip + along * down + aside * out, hip + reached * down


def bone(down: Float[Array, "*batch 3"], ahead: Float[Array, "*batch 3"]) -> Float[jax.Array, "*batch 3 3"]:
    """The rotation in the world of a bone that hangs down at rest (-y), points along `down` now and faces `ahead`."""
    up = -unit(down)
    left = unit(jnp.cross(up, ahead))
    return jnp.stack([left, up, jnp.cross(left, up)], -1)


__all__ = [
    "about_x",
    "about_y",
    "about_z",
    "added_up",
    "between",
    "bone",
    "forward",
    "from_six",
    "globals_of",
    "knee",
    "locals_of",
    "places_of",
    "times",
    "to_six",
    "unit",
]
