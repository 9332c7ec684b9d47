"""The energy per unit mass, which motion under a gravity law conserves."""

from __future__ import annotations

from typing import Any

import numpy as np

from o2t_jax.geometry.camera import namespace
from o2t_jax.physics.gravity import Gravity

ROLLING_KINETIC = 1.4  # a solid ball that rolls without slipping also rotates: 7/5 of the kinetic energy of its centre


def potential_energy(z: Any, gravity: Gravity) -> Any:
    """Potential per unit mass [...] m^2/s^2 at heights `z` [...] m, zero at the ground.

    Below the ground, where flights without contacts may go, g keeps its value at the ground, as in the simulators.
    """
    xp = namespace(z, *gravity.params)
    above = xp.maximum(z, 0.0)
    return gravity.potential(above) + gravity.g(xp.zeros_like(above)) * xp.minimum(z, 0.0)


def energy(position: Any, velocity: Any, gravity: Gravity, rolling: Any = False) -> Any:
    """Energy per unit mass [...] m^2/s^2 of balls at `position` [..., 3] m with `velocity` [..., 3] m/s.

    Args: `gravity`, whose numbers may be traced; `rolling` [...] bool, on the ramp.

    Elastic contacts conserve it. It changes only where a ball leaves the ramp (see `room`: its rotation is dropped and
    its centre is lifted).
    """
    xp = namespace(position, velocity, *gravity.params)
    kinetic = 0.5 * xp.sum(velocity * velocity, axis=-1)
    kinetic = xp.where(xp.asarray(rolling), ROLLING_KINETIC * kinetic, kinetic)
    return kinetic + potential_energy(position[..., 2], gravity)


def energy_drift(energies: Any) -> float:
    """Largest departure from the first of `energies` [T, ...], relative to it."""
    energies = np.asarray(energies)
    return float(np.max(np.abs(energies - energies[0]) / np.abs(energies[0])))


__all__ = ["ROLLING_KINETIC", "energy", "energy_drift", "potential_energy"]
