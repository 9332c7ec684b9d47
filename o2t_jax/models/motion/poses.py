"""Poses to numbers that a network reads, and a network's numbers back to poses with true bones.

The frame is that of the last given frame: its hips above the origin, looking along +z (`models.motion`).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from o2t_jax.physics.motion.contacts import RATE
from o2t_jax.physics.motion.kinematics import unit
from o2t_jax.physics.motion.skeleton import OURS, Skeleton
from o2t_jax.types import Array

_FAST = 2.0  # m/s that count as 1


def numbers_of(positions: Float[Array, "*batch frames joints 3"]) -> Float[jax.Array, "*batch frames numbers"]:
    """6 J a frame: the root's place, the others' from it, all velocities from the frame before; none looks ahead."""
    positions = jnp.asarray(positions)
    root = positions[..., :1, :]
    places = jnp.concatenate([root, positions[..., 1:, :] - root], axis=-2)
    steps = jnp.diff(positions, axis=-3) * (RATE / _FAST)
    velocities = jnp.concatenate([steps[..., :1, :, :], steps], axis=-3)
    return jnp.concatenate([_flat(places), _flat(velocities)], axis=-1)


def moved(
    base: Float[Array, "*batch frames joints 3"], change: Float[jax.Array, "*batch frames numbers"], last: int
) -> Float[jax.Array, "*batch frames joints 3"]:
    """`base` corrected by `change`: 3 J a frame, of the root's velocity (x, z; m/s), its height, the others' places
    from it (m). The root's way is added up from frame `last`, where it stays. Bones keep their lengths."""
    base = jnp.asarray(base)
    change = change.reshape(base.shape)
    way = jnp.cumsum(change[..., 0, :], axis=-2) / RATE
    way = (way - way[..., last : last + 1, :]) * jnp.array([1.0, 0.0, 1.0])
    root = base[..., 0, :] + way + change[..., 0, :] * jnp.array([0.0, 1.0, 0.0])
    others = base[..., 1:, :] - base[..., :1, :] + change[..., 1:, :] + root[..., None, :]
    return with_bones(jnp.concatenate([root[..., None, :], others], axis=-2))


def with_bones(
    positions: Float[Array, "*batch joints 3"], skeleton: Skeleton = OURS
) -> Float[jax.Array, "*batch joints 3"]:
    """Forward kinematics along the directions from each joint's parent to it: bones get the skeleton's lengths."""
    lengths = np.linalg.norm(skeleton.offsets, axis=-1)
    parents = np.array(skeleton.parents[1:])
    bones = unit(positions[..., 1:, :] - positions[..., parents, :]) * jnp.asarray(lengths[1:, None], jnp.float32)
    done = [jnp.asarray(positions[..., 0, :])]
    for i, parent in enumerate(parents):
        done.append(done[parent] + bones[..., i, :])
    return jnp.stack(done, axis=-2)


def _flat(values: jax.Array) -> jax.Array:
    return values.reshape(*values.shape[:-2], -1)


__all__ = ["moved", "numbers_of", "with_bones"]
