"""Ways to spoil a motion, to test judges of motions with: each makes one thing wrong that people cannot do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from o2t_jax.physics.motion.contacts import flights
from o2t_jax.physics.motion.measures import mass_centre

Places = Float[np.ndarray, "frames joints 3"]
_LEAST_FLIGHT = 4  # frames
_LEAST_GAP = 0.05  # m that the joints move on average over what is cut out


def noise(places: Places, rate: float, random: np.random.Generator) -> Places | None:
    """White noise of 3 to 10 mm on every joint and frame."""
    return places + random.normal(0.0, random.uniform(0.003, 0.01), places.shape)


def foot_slide(places: Places, rate: float, random: np.random.Generator) -> Places | None:
    """The whole body drifts over the ground at 0.2 to 0.5 m/s in one direction."""
    angle, speed = random.uniform(0.0, 2.0 * np.pi), random.uniform(0.2, 0.5)
    along = speed * np.arange(len(places)) / rate
    return places + along[:, None, None] * np.array([np.sin(angle), 0.0, np.cos(angle)])


def time_jump(places: Places, rate: float, random: np.random.Generator) -> Places | None:
    """0.2 to 0.4 s are cut out where the joints move 5 cm or more meanwhile; None where they never do."""
    gap = round(random.uniform(0.2, 0.4) * rate)
    moved = np.linalg.norm(places[gap:] - places[:-gap], axis=-1).mean(-1)
    able = np.flatnonzero(moved[6:-6] > _LEAST_GAP) + 6
    if not len(able):
        return None
    cut = int(random.choice(able))
    return np.concatenate([places[: cut + 1], places[cut + gap :]])


def scaled_gravity(places: Places, rate: float, random: np.random.Generator) -> Places | None:
    """Flights of 4 frames and more fall with 0.3 to 0.5, or 2 to 3 times what they did; None without such flights."""
    spans = [span for span in flights(places) if span[1] - span[0] >= _LEAST_FLIGHT]
    if not spans:
        return None
    scale = random.choice([random.uniform(0.3, 0.5), random.uniform(2.0, 3.0)])
    spoilt, height = places.copy(), mass_centre(places)[:, 1]
    for first, past in spans:
        way = np.linspace(0.0, 1.0, past - first + 2)
        part = slice(first - 1, past + 1)
        chord = height[first - 1] + way * (height[past] - height[first - 1])
        spoilt[part, :, 1] += ((scale - 1.0) * (height[part] - chord))[:, None]
    return spoilt


CORRUPTIONS: Mapping[str, Callable[[Places, float, np.random.Generator], Places | None]] = {
    "noise": noise,
    "foot slide": foot_slide,
    "time jump": time_jump,
    "scaled gravity": scaled_gravity,
}

__all__ = ["CORRUPTIONS", "foot_slide", "noise", "scaled_gravity", "time_jump"]
