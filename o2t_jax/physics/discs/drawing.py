"""How a scene of discs looks: its discs and walls as shapes of a plane."""

from __future__ import annotations

import jax.numpy as jnp

from o2t_jax.physics.discs.scene import Scene
from o2t_jax.physics.envs.look import BACKGROUND
from o2t_jax.physics.primitives import Drawing, View, discs, layers, segments

LIGHT, HEAVY = (254 / 255, 234 / 255, 93 / 255), (120 / 255, 20 / 255, 10 / 255)
OBSTACLE = (150 / 255, 160 / 255, 168 / 255)
WALL = (1.0, 1.0, 1.0)
WALL_SHARE = 0.005  # half of a wall's drawn width, of the view's half height
MARGIN = 1.05


def drawing(scene: Scene, middle_mass: float = 5.0) -> Drawing:
    """One `scene`, the second axis up: discs from yellow (light) to dark red (heavy), obstacles grey, walls white.

    Args: `middle_mass`, that of the shade half-way. The view holds the walls, wherever the discs are; without walls,
    the discs that are present.
    """
    mass, present = jnp.asarray(scene.mass), jnp.asarray(scene.present)
    position, radius = jnp.asarray(scene.position), jnp.asarray(scene.radius)
    ends, standing = jnp.asarray(scene.walls.ends), jnp.asarray(scene.walls.present)
    moves = jnp.isfinite(mass)
    shade = jnp.where(moves, mass / (mass + middle_mass), 1.0)[:, None]
    colour = jnp.where(moves[:, None], (1.0 - shade) * jnp.array(LIGHT) + shade * jnp.array(HEAVY), jnp.array(OBSTACLE))

    corners = jnp.concatenate([position - radius[:, None], position + radius[:, None], ends[:, 0], ends[:, 1]])
    free = present & ~jnp.any(standing)
    shown = jnp.concatenate([free, free, standing, standing])[:, None]
    low = jnp.min(jnp.where(shown, corners, jnp.inf), axis=0)
    high = jnp.max(jnp.where(shown, corners, -jnp.inf), axis=0)
    half_height = MARGIN * 0.5 * (high[1] - low[1])

    bodies = discs(position, jnp.where(present, radius, 1.0), colour, present.astype(position.dtype))
    walls = segments(ends[:, 0], ends[:, 1], WALL_SHARE * half_height, jnp.array(WALL), standing.astype(position.dtype))
    return Drawing(layers(walls, bodies), View(0.5 * (low + high), half_height, jnp.array(BACKGROUND)))


__all__ = ["drawing"]
