"""`spatial_ode` and `latent_ode`: a network is the rate of change of the whole state."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn

from o2t_jax.models.cores.unroll import expand
from o2t_jax.models.dynamics.nets import MapNet, VectorNet
from o2t_jax.models.dynamics.predictors.base import Predictor, State
from o2t_jax.physics.ode import euler_step, rk4_step


class FirstOrder(Predictor):
    """z' = net(z, action). Untrained, nothing moves."""

    @nn.compact
    def __call__(self, state: State, action: Any, h: Any, context: Any) -> State:
        """See `Predictor`."""
        net = self.net(self.hidden, self.channels)
        step = euler_step if self.integrator == "euler" else rk4_step
        z = state["z"]
        return {"z": step(lambda now: net(now, action, context), z, expand(h, z))}


spatial = partial(FirstOrder, MapNet)
flat = partial(FirstOrder, VectorNet)
