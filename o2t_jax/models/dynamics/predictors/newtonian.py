"""`spatial_newtonian` and `latent_newtonian`: the second half of the state is the velocity of the first half."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from o2t_jax.models.dynamics.nets import MapNet, VectorNet, halves
from o2t_jax.models.dynamics.predictors.base import Predictor, State, force_step


class Newtonian(Predictor):
    """q' = p, p' = net(q, p, action) - friction p. Untrained, everything moves in straight lines but for friction.

    The network also reads the velocity, so the friction alone cannot be read off.
    """

    @nn.compact
    def __call__(self, state: State, action: Any, h: Any, context: Any) -> State:
        """See `Predictor`."""
        net = self.net(self.hidden, self.channels // 2)
        friction = jnp.exp(self.param("log_friction", nn.initializers.constant(-1.0), ()))

        def force(q: jax.Array, p: jax.Array) -> jax.Array:
            return net(jnp.concatenate([q, p], axis=-1), action, context) - friction * p

        q, p = force_step(self.integrator, lambda p: p, force, *halves(state["z"]), h)
        return {"z": jnp.concatenate([q, p], axis=-1)}


spatial = partial(Newtonian, MapNet)
flat = partial(Newtonian, VectorNet)
