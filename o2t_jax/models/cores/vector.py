"""What all cores on vectors share: their fields, and what a rollout carries beside the state."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Float

from o2t_jax.errors import UsageError
from o2t_jax.models.cores.module import as_core
from o2t_jax.models.cores.unroll import unroll
from o2t_jax.physics.environment import Layout
from o2t_jax.types import Array, PyTree

Action = Float[jax.Array, "batch actions"] | Float[jax.Array, "batch pieces actions"] | None
"""Held over the step; or several, each held for an equal part of it; or none."""
Dt = float | Float[Array, " batch"]
"""s, one number for all samples or one for each."""
Context = PyTree
"""Arrays [batch, ...] or []: what is told of a sequence; or None."""


class VectorCore(nn.Module):
    """A core for states that are vectors; see `Core` for the call.

    Attributes: `layout` of the state [B, size]; `widths` of the hidden layers; `scale`, the typical size of each entry
    of the state in its unit, by which networks see it (empty: 1).
    """

    layout: Layout
    widths: tuple[int, ...]
    scale: tuple[float, ...] = ()

    def begin(self, state: Float[jax.Array, "batch size"]) -> Float[jax.Array, "batch carried"]:
        """What a rollout carries from the first state on: the state, unless the core has a memory."""
        return state

    def seen(self, carried: Float[jax.Array, "... carried"]) -> Float[jax.Array, "... size"]:
        """The state in what a rollout carries."""
        return carried

    def need_split(self, name: str, canonical: bool | None = None) -> None:
        """Refuses a layout without positions and momenta, or (`canonical` False) with momenta that are no velocities.

        Raises: UsageError.
        """
        lacks = not self.layout.positions
        if lacks or (canonical is False and self.layout.canonical):
            wanted = "positions and momenta" if canonical is None else "positions and velocities"
            what = "has no positions" if lacks else "has canonical momenta"
            raise UsageError(f"core {name} needs {wanted}: this state {what}; choose another core, such as jump")


def rollout(
    core: VectorCore,
    params: PyTree,
    state: Float[jax.Array, "batch size"],
    actions: Float[jax.Array, "batch steps actions"] | Float[jax.Array, "batch steps pieces actions"] | None,
    dt: Dt,
    context: Context = None,
    **how: Any,
) -> Float[jax.Array, "batch steps size"]:
    """States after each step of `core` with these parameters, from `state`.

    Args: `actions`, see `Action`; `how` as for `unroll`.
    """
    carried = unroll(as_core(core, {"params": params}), core.begin(state), actions, dt, context, **how)[1]
    return core.seen(carried)


def mean_action(action: Any) -> Any:
    """One action [B, A] for a core that cannot follow its pieces [B, S, A]: their mean, which has the same impulse."""
    return action.mean(axis=1) if action is not None and action.ndim == 3 else action


__all__ = ["Action", "Context", "Dt", "VectorCore", "mean_action", "rollout"]
