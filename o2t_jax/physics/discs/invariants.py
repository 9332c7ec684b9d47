"""What motions of discs conserve: energy, where contacts are elastic, and at contacts of two discs momentum."""

from __future__ import annotations

from jaxtyping import Float

from o2t_jax.geometry.camera import namespace
from o2t_jax.physics.discs.scene import Scene, Track
from o2t_jax.types import Array


def energy(scene: Scene, track: Track, gravity: float = 0.0) -> Float[Array, "*batch frames"]:
    """Kinetic energy of the discs in each frame, and their potential under `gravity` px/s^2; mass unit px^2/s^2.

    The potential is 0 where the second coordinate is. Static obstacles and rows not present have none.
    """
    mass = _mass(scene)
    kinetic = 0.5 * (track.velocity**2).sum(-1)
    return (mass * (kinetic + gravity * track.position[..., 1])).sum(-1)


def momentum(scene: Scene, track: Track) -> Float[Array, "*batch frames 2"]:
    """Momentum of all discs together in each frame, mass unit px/s. Walls, obstacles and gravity change it."""
    return (_mass(scene)[..., None] * track.velocity).sum(-2)


def _mass(scene: Scene) -> Array:
    """[..., 1, B], 0 for what does not move."""
    xp = namespace(scene.mass)
    return xp.where(scene.present & xp.isfinite(scene.mass), scene.mass, 0.0)[..., None, :]


__all__ = ["energy", "momentum"]
