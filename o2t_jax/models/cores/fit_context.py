"""A sequence's context and start inferred through a core, by least squares on a few noisy steps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.models.cores.vector import Dt, VectorCore, rollout
from o2t_jax.types import PyTree

_DAMPING = 1e-3  # of Levenberg and Marquardt, relative to the diagonal; it changes as steps fail or not
_PRIOR = 0.1  # weight of |context|^2: weak, so that it hardly draws the answer to the middle of the range
_LIMIT = 1.5  # contexts are trained within -1 to 1; beyond this the core is an extrapolation


def fit_context(
    core: VectorCore,
    params: PyTree,
    states: Float[jax.Array, "batch steps+1 state"],
    actions: Float[jax.Array, "batch steps actions"],
    dt: Dt,
    size: int,
    noise: float,
    iterations: int = 12,
) -> tuple[Float[jax.Array, "batch state"], Float[jax.Array, "batch context"]]:
    """The most probable start and context of each sequence, given its noisy states and the core's equation.

    Minimises |rollout(start, context) - states|^2 / noise^2 + 0.1 |context|^2 by steps of Levenberg and Marquardt from
    the first state and the context 0. A step that does not lower it is not taken.

    A core need not have been told what the context is: trained on rollouts with the contexts that it finds itself, it
    comes to use them for what differs between sequences (as in CAVIA, Zintgraf et al. 2019, by gradient steps there).

    Args: `size`, numbers of the context; `noise`, the states' standard deviation, > 0; `iterations`, steps of the fit.
    The core's integrator must allow forward derivatives: not dopri5.
    Returns: the states at the window's end, contexts.
    """
    width = states.shape[-1]

    def one(seen: jax.Array, acts: jax.Array, dt: jax.Array) -> tuple[jax.Array, jax.Array]:
        def residual(z: jax.Array) -> tuple[jax.Array, jax.Array]:
            later = rollout(core, params, z[None, :width], acts[None], dt, z[None, width:])[0]
            track = jnp.concatenate([z[None, :width], later])
            found = jnp.concatenate([jnp.ravel(track - seen) / noise, jnp.sqrt(_PRIOR) * z[width:]])
            return found, found

        def improve(now: tuple[jax.Array, ...], _: None) -> tuple[tuple[jax.Array, ...], None]:
            z, apart, slopes, damping, new = now
            new_slopes, new_apart = jax.jacfwd(residual, has_aux=True)(new)
            better = jnp.sum(new_apart**2) < jnp.sum(apart**2)  # False where it is not finite
            z, apart, slopes = (
                jnp.where(better, *pair) for pair in ((new, z), (new_apart, apart), (new_slopes, slopes))
            )
            damping = jnp.where(better, damping / 3.0, damping * 10.0)
            normal = slopes.T @ slopes
            new = z - jnp.linalg.solve(normal + damping * jnp.diag(jnp.diag(normal)), slopes.T @ apart)
            return (z, apart, slopes, damping, new.at[width:].set(jnp.clip(new[width:], -_LIMIT, _LIMIT))), None

        # The start is the first step, taken from nowhere: one place in the program evaluates the rollout.
        start, count = jnp.concatenate([seen[0], jnp.zeros(size)]), seen.size + size
        worst, flat = jnp.full(count, jnp.inf), jnp.zeros((count, len(start)))
        begun = start, worst, flat, jnp.asarray(3.0 * _DAMPING), start
        z, apart, *_ = jax.lax.scan(improve, begun, None, length=iterations + 1)[0]
        return seen[-1] + noise * apart[seen.size - width : seen.size], z[width:]

    return jax.vmap(one)(states, actions, jnp.broadcast_to(jnp.asarray(dt, jnp.float32), states.shape[:1]))


__all__ = ["fit_context"]
