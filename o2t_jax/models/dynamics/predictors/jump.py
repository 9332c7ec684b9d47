"""`spatial_jump` and `latent_mlp`: the next state is the current one plus the output of a network."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn

from o2t_jax.models.dynamics.nets import MapNet, VectorNet
from o2t_jax.models.dynamics.predictors.base import Predictor, State


class Jump(Predictor):
    """z + net(z, action, h). Untrained, nothing moves."""

    @nn.compact
    def __call__(self, state: State, action: Any, h: Any, context: Any) -> State:
        """See `Predictor`."""
        return {"z": state["z"] + self.net(self.hidden, self.channels)(state["z"], action, h, context)}


spatial = partial(Jump, MapNet)
flat = partial(Jump, VectorNet)
