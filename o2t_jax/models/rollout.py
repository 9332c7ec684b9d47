"""One scan for every dynamics core: steps a batch of states, each sample its own number of times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Core = Callable[[Any], Any]


def rollout(core: Core, state: Any, steps: jax.Array, max_steps: int) -> Any:
    """Applies `core` `steps[b]` times to sample b.

    Args:
      core: pure step, state -> state; every leaf [B, ...].
      state: pytree of float arrays [B, ...].
      steps: int32 [B], each in 0..max_steps.
      max_steps: static length of the scan (the configuration's largest n), so that one compilation serves all batches.
    Returns: the state after `steps[b]` steps; what lies beyond is masked out, in value and in gradient.
    """

    def body(carry: Any, index: jax.Array) -> tuple[Any, None]:
        active = index < steps

        def keep(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(active.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)

        return jax.tree.map(keep, core(carry), carry), None

    return jax.lax.scan(body, state, jnp.arange(max_steps))[0]
