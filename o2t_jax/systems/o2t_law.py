"""The law of gravity in the weights of an O2T run, as numbers and as a curve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from o2t_jax.evaluation.o2t.law import height_grid, read_out
from o2t_jax.models.o2t import phys_layer as phys
from o2t_jax.physics.gravity import gravity_of
from o2t_jax.results import Curve
from o2t_jax.systems.base import TrainState

_BLOCK = 512  # heights: those up to HEIGHT_MAX. JAX would compile and keep programs for every number of them


def gravity_in(gauge: str, state: TrainState) -> Callable[[np.ndarray], np.ndarray]:
    """The learned g: heights z [M] m -> [M] m/s^2. In the free gauge it is no function of a height."""
    layer, visited = state.params["layer"], jnp.asarray(state.extra["visited"])
    if gauge == "free":
        return lambda z: np.full(np.shape(z), float(layer["g0"]))
    law = phys.LawParams(layer["g0"], layer["alpha"], layer["gravity_mlp"])

    def curve(z: np.ndarray) -> np.ndarray:
        padded = np.pad(np.asarray(z, np.float32), (0, -len(z) % _BLOCK), mode="edge")
        return np.asarray(phys.learned_gravity(law, jnp.asarray(padded), visited))[: len(z)]

    return curve


def read_law(gauge: str, state: TrainState) -> dict[str, Any]:
    """The read-out of `o2t_jax.evaluation.o2t.law.read_out`, from the weights alone."""
    layer, visited = state.params["layer"], np.asarray(state.extra["visited"])
    return read_out(
        gravity_in(gauge, state),
        phys.visited_range(visited),
        float(layer["g0"]),
        np.asarray(layer["alpha"]),
        int(state.step),
        state.params,
        visits=(phys.bin_centres(), visited) if visited.sum() > 0 else None,
    )


def law_curve(gauge: str, state: TrainState, truth: Mapping[str, Any] | None) -> Curve:
    """The learned g over the heights that training met, beside the world's where `truth` tells it."""
    z = height_grid(phys.visited_range(np.asarray(state.extra["visited"])))
    true = None if truth is None else np.asarray(gravity_of(truth).g(z), np.float64)
    g = gravity_in(gauge, state)(z)
    return Curve(z, g, x_label="height z", x_unit="m", y_label="g", y_unit="m/s²", truth=true)


__all__ = ["gravity_in", "law_curve", "read_law"]
