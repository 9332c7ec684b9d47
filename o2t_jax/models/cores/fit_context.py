"""A sequence's context and start inferred through a trained core, by least squares on a few noisy steps."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from o2t_jax.models.cores.vector import VectorCore, rollout
from o2t_jax.types import PyTree

_DAMPING = 1e-3  # of Levenberg and Marquardt, relative to the diagonal
_LIMIT = 1.5  # contexts are trained within -1 to 1; beyond this the core is an extrapolation


def fit_context(
    core: VectorCore,
    params: PyTree,
    states: jax.Array,
    actions: jax.Array,
    dt: Any,
    size: int,
    noise: float,
    iterations: int = 8,
) -> tuple[jax.Array, jax.Array]:
    """The most probable start and context of each sequence, given its noisy states and the core's equation.

    Minimises |rollout(start, context) - states|^2 / noise^2 + 3 |context|^2 (a prior of the variance of a uniform
    distribution from -1 to 1) by damped Gauss-Newton steps from the first state and the context 0.

    Args: `states` [B, W + 1, D], `actions` [B, W, A], `dt` s, `size` = C, `noise` the states' standard deviation, > 0.
    Returns: the states at the window's end [B, D], contexts [B, C].
    """
    width = states.shape[-1]

    def one(seen: jax.Array, acts: jax.Array) -> tuple[jax.Array, jax.Array]:
        def track(z: jax.Array) -> jax.Array:
            later = rollout(core, params, z[None, :width], acts[None], dt, z[None, width:])[0]
            return jnp.concatenate([z[None, :width], later])

        def residual(z: jax.Array) -> jax.Array:
            return jnp.concatenate([jnp.ravel(track(z) - seen) / noise, jnp.sqrt(3.0) * z[width:]])

        def improve(z: jax.Array, _: None) -> tuple[jax.Array, None]:
            apart, slopes = residual(z), jax.jacfwd(residual)(z)
            normal = slopes.T @ slopes
            step = jnp.linalg.solve(normal + _DAMPING * jnp.diag(jnp.diag(normal)), slopes.T @ apart)
            z = z - step
            return z.at[width:].set(jnp.clip(z[width:], -_LIMIT, _LIMIT)), None

        z = jnp.concatenate([seen[0], jnp.zeros(size)])
        z = jax.lax.scan(improve, z, None, length=iterations)[0]
        return track(z)[-1], z[width:]

    return jax.vmap(one)(states, actions)


__all__ = ["fit_context"]
