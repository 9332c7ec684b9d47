"""Adam with flattened moments, for networks of hundreds of small arrays: few kernels, and a state of few arrays."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax

from o2t_jax.types import Array, PyTree


def flat_adam(clip: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> optax.GradientTransformation:
    """`optax.flatten` of `clip_by_global_norm(clip)` and `scale_by_adam` (Kingma & Ba 2015), with fewer memory writes.

    The moments are split into the parameters' arrays, not the update: a flat update would be one more vector to write
    and read. Takes trees with at least one array, all of one type.
    """
    scaling = optax.scale_by_adam(b1=b1, b2=b2, eps=eps)

    def joined(tree: PyTree) -> Array:
        return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])

    def init(params: PyTree) -> optax.OptState:
        return scaling.init(joined(params))

    def update(updates: PyTree, state: optax.OptState, params: PyTree | None = None) -> tuple[PyTree, optax.OptState]:
        del params
        flat = joined(updates)
        norm = jnp.linalg.norm(flat)
        # A factor, not a quotient: XLA:CPU would store the divided vector and read it again.
        adam: optax.ScaleByAdamState = scaling.update(flat * jnp.where(norm < clip, 1.0, clip / norm), state)[1]  # type: ignore[assignment]
        corrections = 1.0 - b1**adam.count, 1.0 - b2**adam.count
        leaves, structure = jax.tree.flatten(updates)
        ends = np.cumsum([leaf.size for leaf in leaves])
        moments = (zip(jnp.split(moment, ends[:-1]), leaves, strict=True) for moment in (adam.mu, adam.nu))
        first, second = (
            [part.reshape(leaf.shape) / correction for part, leaf in pairs]
            for pairs, correction in zip(moments, corrections, strict=True)
        )
        found = [m / (jnp.sqrt(v) + eps) for m, v in zip(first, second, strict=True)]
        return jax.tree.unflatten(structure, found), adam

    return optax.GradientTransformation(init, update)
