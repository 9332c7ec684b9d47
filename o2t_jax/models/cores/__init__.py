"""Dynamics cores (one step each), the scan `unroll` that all of them share, and their registry.

A core for vectors is a Flax module built from a world's `Layout` (and fields of its own), called as
`core(state, action, dt, context)`. `as_core` binds its parameters for `unroll`; inside another module use `Unrolled`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from o2t_jax.models.cores.module import Unrolled, as_core
from o2t_jax.models.cores.unroll import Core, expand, unroll
from o2t_jax.models.cores.vector import VectorCore, rollout
from o2t_jax.physics.environment import Layout
from o2t_jax.registry import Registry

CORES: Registry[Callable[..., VectorCore]] = Registry(
    "core",
    {
        "first_order_ode": "o2t_jax.models.cores.ode:FirstOrderODE",
        "jump": "o2t_jax.models.cores.jump:Jump",
        "lstm": "o2t_jax.models.cores.lstm:LSTM",
        "newtonian": "o2t_jax.models.cores.ode:Newtonian",
        "port_hamiltonian": "o2t_jax.models.cores.hamiltonian:PortHamiltonian",
        "velocity": "o2t_jax.models.cores.ode:Velocity",
    },
)


def make_core(name: str, layout: Layout, **fields: Any) -> VectorCore:
    """The registered core of that name for states of that layout, e.g. `make_core("jump", layout, widths=(64, 64))`.

    Raises: UsageError, with a suggestion, if there is no such core.
    """
    return CORES.get(name)(layout=layout, **fields)


__all__ = ["CORES", "Core", "Unrolled", "VectorCore", "as_core", "expand", "make_core", "rollout", "unroll"]
