"""What a few noisy steps tell: the state at one of them."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax

from o2t_jax.models.cores.inputs import features, joined, sizes
from o2t_jax.models.layers import MLP
from o2t_jax.physics.environment import Layout


class WindowEncoder(nn.Module):
    """(states [B, W + 1, D], actions [B, W, A], dt [B], context [B, C] or None) -> one of these states [B, D].

    The state is the noisy one at `place` plus a correction, zero untrained.

    Attributes: `layout` of the states; `widths` of the hidden layers; `scale` as in `VectorCore`; `place`, the index of
    the state to estimate, by default the last.
    """

    layout: Layout
    widths: tuple[int, ...]
    scale: tuple[float, ...] = ()
    place: int = -1

    @nn.compact
    def __call__(self, states: jax.Array, actions: jax.Array, dt: Any, context: Any = None) -> jax.Array:
        batch, _, size = states.shape
        seen = features(self.layout, states.reshape(-1, size), self.scale).reshape(batch, -1)
        unit, middle = sizes(self.layout, self.scale), states[:, self.place]
        # Differences, where angles have no jump. Not wrapped: a window may hold more than half a turn.
        moved = ((states - middle[:, None]) / unit).reshape(batch, -1)
        x = joined(batch, seen, moved, actions, dt, context)
        return middle + unit * MLP((*self.widths, size), nn.initializers.zeros, name="start")(x)


__all__ = ["WindowEncoder"]
