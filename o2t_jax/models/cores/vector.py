"""What all cores on vectors share: their fields, and what a rollout carries beside the state."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax

from o2t_jax.errors import UsageError
from o2t_jax.models.cores.module import as_core
from o2t_jax.models.cores.unroll import unroll
from o2t_jax.physics.environment import Layout
from o2t_jax.types import PyTree


class VectorCore(nn.Module):
    """A core for states that are vectors; see `Core` for the call.

    An action is [B, A], held over the step of `dt` s, or [B, S, A]: S actions, each held for dt / S.

    Attributes: `layout` of the state [B, size]; `widths` of the hidden layers; `scale`, the typical size of each entry
    of the state in its unit, by which networks see it (empty: 1).
    """

    layout: Layout
    widths: tuple[int, ...]
    scale: tuple[float, ...] = ()

    def begin(self, state: jax.Array) -> jax.Array:
        """What a rollout carries [B, C] from the first state [B, size] on: the state, unless the core has a memory."""
        return state

    def seen(self, carried: jax.Array) -> jax.Array:
        """The state [..., size] in what a rollout carries [..., C]."""
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
    core: VectorCore, params: PyTree, state: jax.Array, actions: PyTree, dt: Any, context: PyTree = None, **how: Any
) -> jax.Array:
    """States [B, T, size] after each step of `core` with these parameters, from `state` [B, size].

    Args: `actions` [B, T, A] or [B, T, S, A], see `VectorCore`; `dt`, `context` and `how` as for `unroll`.
    """
    carried = unroll(as_core(core, {"params": params}), core.begin(state), actions, dt, context, **how)[1]
    return core.seen(carried)


def mean_action(action: Any) -> Any:
    """One action [B, A] for a core that cannot follow its pieces [B, S, A]: their mean, which has the same impulse."""
    return action.mean(axis=1) if action is not None and action.ndim == 3 else action


__all__ = ["VectorCore", "mean_action", "rollout"]
