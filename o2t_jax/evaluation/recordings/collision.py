"""Two discs that slide over a table and collide once: restitution and mass ratio from both tracks at once.

Sightings are [T, 4]: both places. Each disc slides straight, slowed evenly; at the contact an impulse along the line of
centres and one across it. `experiments.discs` does more: profile likelihoods, several collisions, uneven friction.
"""

from __future__ import annotations

import numpy as np

from o2t_jax.evaluation.recordings.law import Law, Points, Quantity, Stretch, Times, Values

NAMES = ("x1", "y1", "x2", "y2", "vx1", "vy1", "vx2", "vy2", "time", "impulse", "across", "log_mass", "slowing")
SIDE = 4  # sightings on either side of the contact, at least


def _start(times: Times, points: Points) -> np.ndarray:
    """The instant at which two straight lines a disc leave least; masses from the change of the velocities."""
    none = np.zeros((0, len(NAMES)))
    if points.shape[1] != 4 or len(times) < 2 * SIDE + 2:
        return none
    best = None
    for i in range(SIDE, len(times) - SIDE + 1):
        middle = 0.5 * (times[i - 1] + times[i])
        left, lines = 0.0, []
        for part in (slice(0, i), slice(i, None)):
            since = times[part] - middle
            c = np.polynomial.polynomial.polyfit(since, points[part], 1)
            left += float(np.sum((points[part] - c[0] - since[:, None] * c[1]) ** 2))
            lines.append(c)
        if best is None or left < best[0]:
            best = left, middle, lines
    if best is None:
        return none
    _, at, (before, after) = best
    place = 0.5 * (before[0] + after[0])
    change = after[1] - before[1]
    normal, side = _axes(place[None])
    ratio = max(float(np.linalg.norm(change[:2])), 1e-9) / max(float(np.linalg.norm(change[2:])), 1e-9)
    impulse = -0.5 * float((change[:2] - change[2:]) @ normal[0])
    across = -0.5 * float((change[:2] - change[2:]) @ side[0])
    # Half of what a disc of that speed would need to come to rest in the film.
    slowing = 0.5 * float(np.linalg.norm(before[1])) / float(times[-1] - times[0])
    return np.array([[*place, *before[1], at, impulse, across, np.log(ratio), s] for s in (1e-3 * slowing, slowing)])


def _axes(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors [B, 2] from the first disc to the second, and across."""
    apart = place[:, 2:4] - place[:, :2]
    normal = apart / np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-9)
    return normal, np.stack([-normal[:, 1], normal[:, 0]], axis=-1)


def _after(values: Values) -> np.ndarray:
    """Velocities [B, 4] after the contact. The first disc's mass is 1, the impulse that of its velocity."""
    normal, side = _axes(values)
    push = values[:, 9:10] * normal + values[:, 10:11] * side
    return values[:, 4:8] + np.concatenate([-push, push * np.exp(-values[:, 11:12].clip(-5, 5))], axis=1)


def _slid(velocity: np.ndarray, slowing: np.ndarray, since: np.ndarray) -> np.ndarray:
    """Ways [B, T, 2] of a disc with `velocity` [B, 2] at time 0, before and after; it stays where it comes to rest."""
    speed = np.maximum(np.linalg.norm(velocity, axis=1, keepdims=True), 1e-9)
    slowing = slowing[:, None]
    rests = np.where(slowing > 1e-9, speed / np.maximum(slowing, 1e-9), np.inf)
    since = np.minimum(since, rests)
    return ((speed * since - 0.5 * slowing * since**2) / speed)[..., None] * velocity[:, None]


def _paths(values: Values, times: Times) -> np.ndarray:
    since = times - values[:, 8:9]
    then, found = _after(values), []
    for disc in (slice(0, 2), slice(2, 4)):
        before = _slid(values[:, 4:8][:, disc], values[:, 12], since)
        after = _slid(then[:, disc], values[:, 12], since)
        found.append(values[:, None, :4][..., disc] + np.where((since < 0)[..., None], before, after))
    return np.concatenate(found, axis=-1)


def _quantities(values: Values, stretch: Stretch) -> dict[str, Quantity]:
    normal, _ = _axes(values)
    then = _after(values)

    def closing(v: np.ndarray) -> np.ndarray:
        return np.sum((v[:, :2] - v[:, 2:4]) * normal, axis=1)

    approach = closing(values[:, 4:8])
    mass = np.exp(values[:, 11])
    energy = [np.sum(v[:, :2] ** 2, axis=1) + mass * np.sum(v[:, 2:] ** 2, axis=1) for v in (values[:, 4:8], then)]
    lengths = 0.5 * (stretch.across + stretch.up)
    return {
        "restitution": Quantity(-closing(then) / approach),
        "mass_ratio": Quantity(mass),
        "energy_kept": Quantity(energy[1] / energy[0]),
        "approach_speed": Quantity(approach * lengths, 1, -1),
        "slowing": Quantity(values[:, 12] * lengths, 1, -2),
    }


def _collides(values: np.ndarray, span: float) -> bool:
    return bool(0 < values[8] < span and values[9] > 0)


COLLISION = Law(
    "collision of two discs",
    "m1 v1 + m2 v2 kept; parting = e approach",
    NAMES,
    _start,
    _paths,
    _quantities,
    holds=_collides,
    sees="two places",
)

__all__ = ["COLLISION"]
