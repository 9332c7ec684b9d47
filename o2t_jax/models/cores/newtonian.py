"""The core with Newton's second law: a network gives the acceleration of the positions, a step integrates it."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax

from o2t_jax.errors import UsageError
from o2t_jax.models.cores.inputs import features, joined
from o2t_jax.models.cores.unroll import expand
from o2t_jax.models.layers import MLP
from o2t_jax.physics.environment import Layout
from o2t_jax.physics.ode import leapfrog_step, semi_implicit_step

STEPS = {"leapfrog": leapfrog_step, "semi_implicit": semi_implicit_step}


class Newtonian(nn.Module):
    """q'' = MLP(q, q', action, context), the action held over the step. Untrained, everything moves in straight lines.

    Attributes: `layout` of the state [B, size], whose momenta must be velocities; `widths` of the hidden layers;
    `step`, the integrator, one of `STEPS`; `substeps`, their number in a step of dt (keep it small: the loop is
    unrolled). Entries of the state that are neither position nor velocity do not change; the network reads them.
    Raises: UsageError for a layout without such a split, or an unknown integrator.
    """

    layout: Layout
    widths: tuple[int, ...]
    step: str = "leapfrog"
    substeps: int = 1

    @nn.compact
    def __call__(self, state: jax.Array, action: Any, dt: Any, context: Any) -> jax.Array:
        """See `Core`."""
        layout = self.layout
        if not layout.positions or layout.canonical:
            what = "has canonical momenta" if layout.positions else "has no positions"
            raise UsageError(f"core newtonian needs positions and velocities: this state {what}; choose another core")
        if self.step not in STEPS:
            raise UsageError(f"core newtonian: step={self.step!r} is unknown: choose one of {', '.join(STEPS)}")
        network = MLP((*self.widths, len(layout.positions)), last_init=nn.initializers.zeros)

        def acceleration(q: jax.Array, v: jax.Array) -> jax.Array:
            now = features(layout, layout.join(state, q, v))
            return network(joined(state.shape[0], now, action, context))

        q, v = layout.split(state)
        for _ in range(self.substeps):
            q, v = STEPS[self.step](acceleration, q, v, expand(dt, q) / self.substeps)
        return layout.join(state, q, v)


__all__ = ["STEPS", "Newtonian"]
