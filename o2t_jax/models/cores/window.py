"""What a few noisy steps tell: the state at one of them."""

from __future__ import annotations

import flax.linen as nn
import jax
from jaxtyping import Float

from o2t_jax.models.cores.inputs import features, joined, sizes
from o2t_jax.models.cores.vector import Context, Dt
from o2t_jax.models.layers import MLP
from o2t_jax.physics.environment import Layout


class WindowEncoder(nn.Module):
    """One of a window's states, from all of them. It is the noisy one at `place` plus a correction, zero untrained.

    Attributes: `layout` of the states; `widths` of the hidden layers; `scale` as in `VectorCore`; `place`, the index of
    the state to estimate, by default the last.
    """

    layout: Layout
    widths: tuple[int, ...]
    scale: tuple[float, ...] = ()
    place: int = -1

    @nn.compact
    def __call__(
        self,
        states: Float[jax.Array, "batch steps+1 size"],
        actions: Float[jax.Array, "batch steps actions"],
        dt: Dt,
        context: Context = None,
    ) -> Float[jax.Array, "batch size"]:
        batch, _, size = states.shape
        seen = features(self.layout, states.reshape(-1, size), self.scale).reshape(batch, -1)
        unit, middle = sizes(self.layout, self.scale), states[:, self.place]
        # Differences, where angles have no jump. Not wrapped: a window may hold more than half a turn.
        moved = ((states - middle[:, None]) / unit).reshape(batch, -1)
        x = joined(batch, seen, moved, actions, dt, context)
        return middle + unit * MLP((*self.widths, size), nn.initializers.zeros, name="start")(x)


__all__ = ["WindowEncoder"]
