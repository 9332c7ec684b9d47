"""The document's physics layer: a gate between what the sequence says and what the physics state says.

    gate = sigmoid(W [s; e]),    out = x + gate s + (1 - gate) c

s: a Mamba layer of x; e: two dense layers of the physics state; c: one dense layer of it, the constraints.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from o2t_jax.models.layers import MLP, Dense
from o2t_jax.models.motion.ssm import Mamba, SSMSizes
from o2t_jax.physics.motion.measures import GRAVITY

GATES = ("learned", "concatenated", "zero", "one")
_PULLS = (0, 3, 15, 16, 17)  # channels in m/s²


class PhysicsLayer(nn.Module):
    """Attributes: `gate`, a name in `GATES`.

    learned: as above. concatenated: out = x + W [s; e] + c, the same parameters without a gate. zero, one: the gate
    held there. All have the same parameters, some of which then do nothing.
    """

    sizes: SSMSizes
    gate: str

    @nn.compact
    def __call__(
        self, x: Float[jax.Array, "batch time width"], physics: Float[jax.Array, "batch channels"]
    ) -> tuple[jax.Array, jax.Array]:
        """Returns: the sequence, and the gate [B, T, width] (zeros where there is none)."""
        width = self.sizes.width
        scale = np.ones(physics.shape[-1], np.float32)
        scale[list(_PULLS)] = GRAVITY
        physics = physics / scale
        s = Mamba(self.sizes, name="mamba")(nn.LayerNorm(name="norm")(x))
        e = jnp.broadcast_to(MLP((width, width), name="encoder")(physics)[:, None], s.shape)
        c = Dense(width, name="constraints")(physics)[:, None]
        both = Dense(width, name="gate")(jnp.concatenate([s, e], axis=-1))
        if self.gate == "concatenated":
            return x + both + c, jnp.zeros_like(both)
        held = {"zero": jnp.zeros_like(both), "one": jnp.ones_like(both)}
        gate = held.get(self.gate, nn.sigmoid(both))
        return x + gate * s + (1.0 - gate) * c, gate


__all__ = ["GATES", "PhysicsLayer"]
