"""`spatial_lstm` and `latent_lstm`: an LSTM whose memory is carried along the whole sequence."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from o2t_jax.models.cores.inputs import joined
from o2t_jax.models.dynamics.nets import MapNet, SmallConv, VectorNet, with_coordinates
from o2t_jax.models.dynamics.predictors.base import Predictor, State
from o2t_jax.models.layers import Dense


class Recurrent(Predictor):
    """z + W h of an LSTM cell that reads z, action, step and its own memory; untrained, nothing moves.

    On maps the cell's gates are one 3x3 convolution (Shi et al. 2015, ConvLSTM, without peepholes).
    """

    @nn.nowrap
    def start(self, z: Any) -> State:
        """An empty memory beside `z`."""
        empty = jnp.zeros((*z.shape[:-1], self.hidden), z.dtype)
        return {"z": z, "output": empty, "memory": empty}

    @nn.compact
    def __call__(self, state: State, action: Any, h: Any, context: Any) -> State:
        """See `Predictor`."""
        z = state["z"]
        given = Dense(4 * self.hidden, use_bias=False, name="given")(joined(z.shape[0], action, h, context))
        x = jnp.concatenate([z, state["output"]], axis=-1)
        if z.ndim == 4:
            gates = SmallConv(4 * self.hidden, name="gates")(with_coordinates(x)) + given[:, None, None]
        else:
            gates = Dense(4 * self.hidden, name="gates")(x) + given
        write, forget, show, new = jnp.split(gates, 4, axis=-1)
        # Forgetting starts slow (Jozefowicz et al. 2015).
        memory = nn.sigmoid(forget + 1.0) * state["memory"] + nn.sigmoid(write) * jnp.tanh(new)
        output = nn.sigmoid(show) * jnp.tanh(memory)
        moved = Dense(self.channels, kernel_init=nn.initializers.zeros, name="move")(output)
        return {"z": z + moved, "output": output, "memory": memory}


spatial = partial(Recurrent, MapNet)
flat = partial(Recurrent, VectorNet)
