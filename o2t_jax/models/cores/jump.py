"""The core without prior knowledge: the next state is the current one plus the output of a network."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax

from o2t_jax.models.cores.inputs import features, joined
from o2t_jax.models.layers import MLP
from o2t_jax.physics.environment import Layout


class Jump(nn.Module):
    """state + MLP(state, action, dt, context). Untrained, nothing moves.

    Attributes: `layout` of the state [B, size]; `widths` of the hidden layers.
    """

    layout: Layout
    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, state: jax.Array, action: Any, dt: Any, context: Any) -> jax.Array:
        """See `Core`; `dt` s is another input."""
        x = joined(state.shape[0], features(self.layout, state), action, dt, context)
        return state + MLP((*self.widths, self.layout.size), last_init=nn.initializers.zeros)(x)


__all__ = ["Jump"]
