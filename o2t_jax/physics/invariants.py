"""What motion in a gravity law keeps: the energy in the law's potential. For numpy and jax.numpy arrays alike."""

from __future__ import annotations

from typing import Any

from o2t_jax.geometry.camera import namespace
from o2t_jax.physics.laws import Gravity
from o2t_jax.physics.trajectory import ROLLING


def energy(position: Any, velocity: Any, gravity: Gravity, rolling: Any = False) -> Any:
    """Mechanical energy per unit mass, m^2/s^2: elastic contacts and rolling without slipping keep it.

    Args: `position`, `velocity` [..., 3] m, m/s; `rolling` bool, broadcastable to [...]: a solid ball that rolls
    carries 2/5 of its kinetic energy again in its spin. Returns [...]. `gravity.params` may hold traced numbers.
    """
    xp = namespace(position, velocity, rolling)
    inertia = xp.where(xp.asarray(rolling), 1.0 / ROLLING, 1.0)
    return 0.5 * inertia * xp.sum(velocity * velocity, axis=-1) + gravity.potential(position[..., 2])


def energy_drift(energies: Any) -> Any:
    """Largest relative departure [...] from the first of `energies` [T, ...] (times first)."""
    xp = namespace(energies)
    return xp.max(xp.abs(energies - energies[:1]), axis=0) / xp.maximum(xp.abs(energies[0]), 1e-12)
