"""The read-out of a force that an O2T network learned: its weights, and a refined estimate with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t.refined_force import FORM, record_of, refine_force
from o2t_jax.evaluation.o2t.sights import SightsBalls
from o2t_jax.physics.forces import FORCES
from o2t_jax.physics.gravity import LAWS
from o2t_jax.systems.base import TrainState


def read_force(
    form: str, state: TrainState, network: SightsBalls | None, batch: Mapping[str, np.ndarray] | None
) -> dict[str, Any]:
    """The learned force as plain numbers.

    Returns: `form`; each parameter by name, and `g0`, as the weights have them; `refined`, the record of
    `evaluation.o2t.refined_force` from the samples `batch`, or None, and then `error` says why; `step`.
    """
    layer = state.params["layer"]
    weights = np.asarray(layer["force"], np.float64).tolist()
    found: dict[str, Any] = {"form": form, **dict(zip(FORCES[form].names, weights, strict=True))}
    found |= {"g0": float(layer["g0"]), "refined": None, "error": None, "step": int(state.step)}
    if network is None or batch is None:
        return found | {"error": "force_samples=0"}
    try:
        found["refined"] = record_of(refine_force(network, batch, form))
    except UsageError as error:  # before the mask tower sees the ball
        found["error"] = str(error)
    return found


def headline_of(force: Mapping[str, Any]) -> str:
    """The force in a few words: its weights, and where there is one its interval."""
    parts = []
    for name in FORCES[force["form"]].names:
        refined = (force["refined"] or {}).get("parameters", {}).get(name)
        span = f" (refined {refined['value']:.4g}, {refined['low']:.4g} to {refined['high']:.4g})" if refined else ""
        parts.append(f"{name} {force[name]:.4g}{span}")
    return ", ".join(parts)


def law_with_force(force: Mapping[str, Any], truth: Mapping[str, Any]) -> dict[str, Any]:
    """The read-out of `experiments.readout`: the refined law, or "cannot tell" where the force is not established.

    Args: `force` of `read_force`; `truth` of the run, {} where it is hidden.
    Raises: UsageError where there is no refined estimate.
    """
    refined, form = force["refined"], force["form"]
    if refined is None:
        raise UsageError(f"no interval of the force: {force['error']}")
    params = (*LAWS[FORM].params, *FORCES[form].params)
    units = {param.name: param.meaning.rsplit(", ", 1)[-1] for param in params}
    entries = {
        name: {**entry, "unit": units[name], "truth": truth.get(name), "weights": force[name]}
        for name, entry in refined["parameters"].items()
    }
    full = f"g0 + {form}"
    return {
        "form": full if refined["present"] else "cannot tell",
        "nearest": full,
        "rivals": [] if refined["present"] else ["g0"],
        "parameters": entries,
        "lead": refined["lead"],
    }


__all__ = ["headline_of", "law_with_force", "read_force"]
