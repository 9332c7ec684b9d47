"""`gravity_two`: two equal bodies almost on a circle about each other."""

from __future__ import annotations

from o2t_jax.physics.envs.base import compass
from o2t_jax.physics.envs.n_body import OrbitingBodies, bodies_layout


class GravityTwo(OrbitingBodies):
    """Two bodies of equal mass, see `NBody`. An action is a force on body 0: none, or 0.2 N in eight directions.

    Circles of 0.5 to 1.5 m, speeds 1 % (one standard deviation) off the circular one, after Hamiltonian Generative
    Networks (Toth et al., 2020), whose system has no actions.
    """

    name = "gravity_two"
    COUNT = 2
    RADII = (0.5, 1.5)
    NOISE = 0.01
    actions = compass(0.2, unit="N")
    layout = bodies_layout(2)


__all__ = ["GravityTwo"]
