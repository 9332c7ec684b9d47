"""PyMunk as a generator of scenes of discs: one step of the space a frame."""

from __future__ import annotations

import numpy as np

from o2t_jax.physics.discs.world import DiscWorld


def generated(world: DiscWorld, random: np.random.Generator, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and velocities [frames + 1, B, 2] of a random scene of `world`, which is a box with equal discs."""
    import pymunk

    space, bodies, (width, height) = pymunk.Space(), [], world.size
    corners = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
    for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
        wall = pymunk.Segment(space.static_body, start, end, 0.0)
        wall.elasticity = world.restitution
        space.add(wall)
    radius, mass = world.radii[0], world.masses[0]
    for x, y in _places(world, random, radius):
        body = pymunk.Body(mass, float("inf"))  # without friction it does not turn
        way, speed = random.uniform(0.0, 2.0 * np.pi), random.uniform(0.0, world.speed)
        body.position, body.velocity = (x, y), (speed * np.cos(way), speed * np.sin(way))
        shape = pymunk.Circle(body, radius)
        shape.elasticity = world.restitution
        space.add(body, shape)
        bodies.append(body)
    states = [[(*body.position, *body.velocity) for body in bodies]]
    for _ in range(frames):
        space.step(world.dt)
        states.append([(*body.position, *body.velocity) for body in bodies])
    track = np.asarray(states)
    return track[..., :2], track[..., 2:]


def _places(world: DiscWorld, random: np.random.Generator, radius: float) -> list[tuple[float, float]]:
    width, height = world.size
    places: list[tuple[float, float]] = []
    while len(places) < world.discs:
        x, y = random.uniform(radius, width - radius), random.uniform(radius, height - radius)
        if all((x - a) ** 2 + (y - b) ** 2 > 4.0 * radius**2 for a, b in places):
            places.append((x, y))
    return places


__all__ = ["generated"]
