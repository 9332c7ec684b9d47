"""Which kind of motion a track shows: flights under one acceleration, or swings about a place of rest."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from o2t_jax.evaluation.recordings.fitting import memory_of
from o2t_jax.evaluation.recordings.law import Points, Times, main_axis
from o2t_jax.evaluation.recordings.segments import REACH, Contact, clear_contacts, find_contacts

FLIGHTS, SWINGS, NEITHER = "flights", "swings", "neither"
BIAS = 0.15  # px: a tracker's error that stays over neighbouring frames, and which jitter does not show
LEAST = 12  # sightings
LINEAR = 0.75  # share of the acceleration that is linear in the displacement, from which a motion is a swing


@dataclasses.dataclass(frozen=True, eq=False)
class Local:
    """Parabolas through `width` neighbouring sightings: `place`, `speed`, `pull` [N, 2] at `times` [N], and the linear
    maps [N, T] from sightings to each of them."""

    times: Float[np.ndarray, " N"]
    maps: Float[np.ndarray, "3 N T"]
    place: Float[np.ndarray, "N 2"]
    speed: Float[np.ndarray, "N 2"]
    pull: Float[np.ndarray, "N 2"]


@dataclasses.dataclass(frozen=True, eq=False)
class Motion:
    """A track for the checks: `times` s, `points` px (right, up), `noise` px of a sighting along an axis; `kind`;
    `contacts` that are clear."""

    times: Times
    points: Points
    noise: float
    kind: str
    contacts: tuple[Contact, ...]


def motion_of(times: Times, points: Points, jitter: float) -> Motion:
    """The kind by local accelerations away from contacts: flights have one, swings have any, around none."""
    contacts = tuple(contacts_of(times, points, max(jitter, BIAS / 3)))
    noise = float(np.hypot(jitter, BIAS))
    kind = NEITHER
    if len(times) >= LEAST:
        local = locally(times, points, _width(times))
        if _returns(local) > LINEAR:
            return Motion(times, points, noise, SWINGS, contacts)
        reach = (_width(times) // 2) * float(np.median(np.diff(times)))
        clear = np.ones(len(local.times), bool)
        for contact in contacts:
            clear &= np.abs(local.times - contact.time) > reach
        pull = local.pull[clear]
        if len(pull) >= 3:
            kind = _kind(pull, noise * float(np.median(np.linalg.norm(local.maps[2], axis=1))))
    return Motion(times, points, noise, kind, contacts)


def contacts_of(times: Times, points: Points, jitter: float) -> list[Contact]:
    """Contacts with `REACH` sightings on either side. Of neighbours nearer than that, the one whose two sides are
    parabolas best: beside a true one, a parabola through one sighting of the other side looks like a second."""
    found = find_contacts(times, points, jitter)
    left = {each.after: _left(times, points, each.after) for each in found}
    chosen: list[Contact] = []
    for each in sorted(found, key=lambda each: left[each.after]):
        if all(abs(each.after - other.after) >= REACH for other in chosen):
            chosen.append(each)
    return clear_contacts(sorted(chosen, key=lambda each: each.after), len(times))


def _left(times: Times, points: Points, after: int) -> float:
    """px², what parabolas through `REACH` sightings on either side leave."""
    total = 0.0
    for rows in (slice(max(0, after - REACH), after), slice(after, after + REACH)):
        design = np.vander(times[rows] - times[after], 3)
        total += float(np.sum((points[rows] - design @ (np.linalg.pinv(design) @ points[rows])) ** 2))
    return total


def _returns(local: Local) -> float:
    """The share of the acceleration along the longest extent that is linear in the displacement, and against it."""
    _, angle, place = main_axis(local.place)
    along = np.array([np.cos(angle), np.sin(angle)])
    pull = local.pull @ along
    design = np.column_stack([place, local.speed @ along, np.ones(len(place))])
    c = np.linalg.lstsq(design, pull, rcond=None)[0]
    power = float(np.sum((pull - pull.mean()) ** 2))
    left = float(np.sum((pull - design @ c) ** 2))
    return 1 - left / power if power > 0 and c[0] < 0 else 0.0


def _kind(pull: np.ndarray, error: float) -> str:
    middle = np.median(pull, axis=0)
    spread = float(np.median(np.linalg.norm(pull - middle, axis=1)))
    mean = float(np.linalg.norm(middle))
    if max(spread, mean) < 3 * error / np.sqrt(len(pull)):
        return NEITHER
    return FLIGHTS if mean > spread else SWINGS


def _width(times: Times) -> int:
    return 2 * int(np.clip(len(times) // 30, 2, 4)) + 1


def locally(times: Times, points: Points, width: int) -> Local:
    """Parabolas through every `width` neighbouring sightings."""
    count = len(times) - width + 1
    maps = np.zeros((3, count, len(times)))
    at = np.empty(count)
    for i in range(count):
        rows = slice(i, i + width)
        at[i] = times[rows].mean()
        maps[:, i, rows] = np.linalg.pinv(np.vander(times[rows] - at[i], 3, increasing=True))
    maps[2] *= 2
    return Local(at, maps, maps[0] @ points, maps[1] @ points, maps[2] @ points)


def widened(residuals: Float[np.ndarray, "T 2"], noise: float, size: int) -> float:
    """Standard deviation, px, that a sighting counts with: what a fit of `size` numbers leaves, at least the noise,
    and more where neighbours are alike."""
    free = max(1, residuals.size - size)
    left = float(np.sqrt(np.sum(residuals**2) / free))
    return max(noise, left * float(np.sqrt(memory_of(residuals))))


__all__ = ["BIAS", "FLIGHTS", "NEITHER", "REACH", "SWINGS", "Local", "Motion", "locally", "motion_of", "widened"]
