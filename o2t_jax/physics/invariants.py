"""What motion under a gravity law keeps: the energy per unit mass."""

from __future__ import annotations

from typing import Any

from o2t_jax.geometry.camera import namespace
from o2t_jax.physics.laws import LAWS


def potential_energy(z: Any, law: str, law_params: Any) -> Any:
    """Potential per unit mass [...] m^2/s^2 at heights `z` [...] m, zero at the ground.

    Below the ground, where flights without contacts may go, g keeps its value at the ground, as in the simulators.
    """
    xp = namespace(z, *law_params)
    family = LAWS[law]
    above = xp.maximum(z, 0.0)
    return family.potential(above, law_params) + family.g(xp.zeros_like(above), law_params) * xp.minimum(z, 0.0)


def energy(position: Any, velocity: Any, law: str, law_params: Any, rolling: Any = False) -> Any:
    """Energy per unit mass [...] m^2/s^2 of balls at `position` [..., 3] m with `velocity` [..., 3] m/s.

    Args: `law` a name of `laws.LAWS`, `law_params` [P]; `rolling` [...]: a solid ball that rolls without slipping also
    turns, which makes its kinetic energy 7/5 as large.

    Elastic contacts keep it. It is lost and gained only where a ball leaves the ramp (see `room`: its rotation is
    dropped, and its centre is lifted).
    """
    xp = namespace(position, velocity, *law_params)
    kinetic = 0.5 * xp.sum(velocity * velocity, axis=-1)
    kinetic = xp.where(xp.asarray(rolling), 1.4 * kinetic, kinetic)
    return kinetic + potential_energy(position[..., 2], law, law_params)


__all__ = ["energy", "potential_energy"]
