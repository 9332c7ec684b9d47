"""`gravity_three`: three equal bodies almost on a circle about each other."""

from __future__ import annotations

from o2t_jax.physics.envs.base import compass
from o2t_jax.physics.envs.n_body import OrbitingBodies, bodies_layout


class GravityThree(OrbitingBodies):
    """Three bodies of equal mass, see `NBody`. An action is a force on body 0: none, or 0.2 N in eight directions.

    Circles of 0.9 to 1.2 m, speeds 5 % (one standard deviation) off the circular one, after Hamiltonian Generative
    Networks (Toth et al., 2020), whose system has no actions.
    """

    name = "gravity_three"
    COUNT = 3
    RADII = (0.9, 1.2)
    NOISE = 0.05
    actions = compass(0.2, unit="N")
    layout = bodies_layout(3)


__all__ = ["GravityThree"]
