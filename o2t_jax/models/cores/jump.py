"""The core without prior knowledge: the next state is the current one plus the output of a network."""

from __future__ import annotations

import flax.linen as nn
import jax
from jaxtyping import Float

from o2t_jax.models.cores.inputs import features, joined, sizes
from o2t_jax.models.cores.vector import Action, Context, Dt, VectorCore, mean_action
from o2t_jax.models.layers import MLP


class Jump(VectorCore):
    """state + MLP(state, action, dt, context). Untrained, nothing moves. See `VectorCore`."""

    @nn.compact
    def __call__(
        self, state: Float[jax.Array, "batch size"], action: Action, dt: Dt, context: Context
    ) -> Float[jax.Array, "batch size"]:
        """See `Core`; `dt` s is another input. Of several actions it sees the mean."""
        x = joined(state.shape[0], features(self.layout, state, self.scale), mean_action(action), dt, context)
        change = MLP((*self.widths, self.layout.size), last_init=nn.initializers.zeros)(x)
        return state + sizes(self.layout, self.scale) * change


__all__ = ["Jump"]
