"""The core with a memory: an LSTM whose cell and hidden state are carried along the rollout."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.models.cores.inputs import features, joined, sizes
from o2t_jax.models.cores.vector import Action, Context, Dt, VectorCore, mean_action
from o2t_jax.models.layers import Dense


class LSTM(VectorCore):
    """state + W h, with h and the cell of an LSTM on (state, action, dt, context). Untrained, nothing moves.

    A rollout carries state, cell and h [B, size + 2 widths[0]]; both start at zero. Only `widths[0]` is used.
    Source: Hochreiter & Schmidhuber 1997, as in `flax.linen.OptimizedLSTMCell`.
    """

    def begin(self, state: jax.Array) -> jax.Array:
        """See `VectorCore`."""
        return jnp.concatenate([state, jnp.zeros((*state.shape[:-1], 2 * self.widths[0]), state.dtype)], axis=-1)

    def seen(self, carried: jax.Array) -> jax.Array:
        """See `VectorCore`."""
        return carried[..., : self.layout.size]

    @nn.compact
    def __call__(
        self, state: Float[jax.Array, "batch carried"], action: Action, dt: Dt, context: Context
    ) -> Float[jax.Array, "batch carried"]:
        """See `Core`; `state` is what `begin` made. Of several actions it sees the mean."""
        size, width = self.layout.size, self.widths[0]
        now, memory, hidden = jnp.split(state, [size, size + width], axis=-1)
        x = joined(state.shape[0], features(self.layout, now, self.scale), mean_action(action), dt, context)
        (memory, hidden), _ = nn.OptimizedLSTMCell(width)((memory, hidden), x)
        change = Dense(size, kernel_init=nn.initializers.zeros)(hidden)
        return jnp.concatenate([now + sizes(self.layout, self.scale) * change, memory, hidden], axis=-1)


__all__ = ["LSTM"]
