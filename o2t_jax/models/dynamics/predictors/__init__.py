"""Predictors: how a state inferred from pictures moves on. Five laws, each on maps and on vectors.

A predictor is a Flax module, called as `predictor(state, action, h, context)` for one step of `h` s. Its state is a
dict: `z` [B, ..., 2C], positions and then momenta, and what else it carries from step to step (`start` makes it).
A new one is a file here and a line in `PREDICTORS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from o2t_jax.models.dynamics.predictors.base import Predictor
from o2t_jax.registry import Registry

_HERE = "o2t_jax.models.dynamics.predictors"

PREDICTORS: Registry[Callable[..., Predictor]] = Registry(
    "predictor",
    {
        "spatial_jump": f"{_HERE}.jump:spatial",
        "spatial_lstm": f"{_HERE}.recurrent:spatial",
        "spatial_ode": f"{_HERE}.first_order:spatial",
        "spatial_newtonian": f"{_HERE}.newtonian:spatial",
        "spatial_hamiltonian": f"{_HERE}.hamiltonian:spatial",
        "latent_mlp": f"{_HERE}.jump:flat",
        "latent_lstm": f"{_HERE}.recurrent:flat",
        "latent_ode": f"{_HERE}.first_order:flat",
        "latent_newtonian": f"{_HERE}.newtonian:flat",
        "latent_hamiltonian": f"{_HERE}.hamiltonian:flat",
    },
)
INTEGRATORS = {
    "ode": ("rk4", "euler"),
    "newtonian": ("leapfrog", "semi_implicit", "euler", "rk4"),
    "hamiltonian": ("leapfrog", "semi_implicit", "euler", "rk4"),
}
"""The last word of a predictor's name -> its integrators, the default first; others have none."""


def is_flat(name: str) -> bool:
    """Whether that predictor's state is a vector."""
    return name.startswith("latent_")


def make_predictor(name: str, **fields: Any) -> Predictor:
    """The registered predictor. Raises: UsageError, with a suggestion, if there is none of that name."""
    return PREDICTORS.get(name)(**fields)


__all__ = ["INTEGRATORS", "PREDICTORS", "Predictor", "is_flat", "make_predictor"]
