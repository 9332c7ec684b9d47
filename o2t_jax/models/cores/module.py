"""Cores that are Flax modules, for `unroll`.

A module called inside a raw `lax.scan` while it is initialised leaks tracers without an error. A scan therefore never
gets a bound module; it gets a pure function of parameters that were made outside.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax

from o2t_jax.models.cores.unroll import Core, unroll
from o2t_jax.types import PyTree


def as_core(module: nn.Module, variables: PyTree) -> Core:
    """The step of `module` with these variables, e.g. `{"params": params}`, as a pure function."""

    def core(state: Any, action: Any, dt: Any, context: Any) -> Any:
        return module.apply(variables, state, action, dt, context)

    return core


class Unrolled(nn.Module):
    """`unroll` of a core, as a module: `init` makes the core's parameters, `apply` runs whole sequences.

    The core may have parameters and constants, but no random numbers (dropout) and no collections that change.
    """

    core: nn.Module

    @nn.compact
    def __call__(
        self,
        state: PyTree,
        actions: PyTree,
        dt: Any,
        context: PyTree = None,
        lengths: jax.Array | None = None,
        steps: int | None = None,
    ) -> tuple[PyTree, PyTree]:
        """See `unroll`."""
        if self.is_initializing():
            self.core(state, jax.tree.map(lambda x: x[:, 0], actions), dt, context)  # type: ignore[operator]
        module, variables = self.core.unbind()
        return unroll(as_core(module, variables), state, actions, dt, context, lengths, steps=steps)


__all__ = ["Unrolled", "as_core"]
