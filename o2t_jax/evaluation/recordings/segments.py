"""A track cut where something touches the object: jumps of the velocity, from parabolas on either side."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from o2t_jax.evaluation.recordings.law import Points, Times

REACH = 6  # sightings on each side
LEAST = 4
CLEAR = 6.0  # standard deviations of the velocity's jump
KINK = 2.0  # times what two parabolas leave is left by one smooth curve through both sides
SHARE, OF_ALL = 0.25, 0.08  # of the speed at the contact, and of the track's highest speed


@dataclasses.dataclass(frozen=True)
class Contact:
    """Between the sightings `after` - 1 and `after`, at `time` s: velocities `before` and `then` [2], px/s, with their
    standard deviation `sigma`."""

    after: int
    time: float
    before: np.ndarray
    then: np.ndarray
    sigma: float

    def restitution(self) -> tuple[float, float]:
        """Speed of parting over speed of approach along the jump's direction, and its standard deviation."""
        jump = self.then - self.before
        normal = jump / np.linalg.norm(jump)
        approach, parting = -float(self.before @ normal), float(self.then @ normal)
        value = parting / approach if approach > 0 else np.inf
        return value, self.sigma / max(abs(approach), 1e-9) * float(np.hypot(1.0, value))


def find_contacts(times: Times, points: Points, jitter: float) -> list[Contact]:
    """All contacts of a track, in order. `jitter` px of a sighting along an axis."""
    candidates: list[tuple[float, Contact]] = []
    speeds = np.linalg.norm(np.diff(points, axis=0), axis=1) / np.diff(times)
    fast = float(np.quantile(speeds, 0.95)) if len(speeds) else 0.0
    for i in range(LEAST, len(times) - LEAST + 1):
        left, right = slice(max(0, i - REACH), i), slice(i, min(len(times), i + REACH))
        middle = 0.5 * (times[i - 1] + times[i])
        found = [_velocity(times[part] - middle, points[part], jitter) for part in (left, right)]
        (before, spread1, rms1), (then, spread2, rms2) = found
        jump, sigma = float(np.linalg.norm(then - before)), float(np.hypot(spread1, spread2))
        speed = max(float(np.linalg.norm(before)), float(np.linalg.norm(then)))
        smooth = max(rms1, rms2) < 4 * jitter + 0.3
        bent = smooth and _bent(times, points, slice(left.start, right.stop), max(rms1, rms2, jitter))
        if bent and jump > CLEAR * sigma and jump > SHARE * speed and jump > OF_ALL * fast:
            candidates.append((jump / sigma, Contact(i, middle, before, then, sigma)))
    chosen: list[Contact] = []
    for _, contact in sorted(candidates, key=lambda each: -each[0]):  # the clearest of neighbours
        if all(abs(contact.after - other.after) >= LEAST for other in chosen):
            chosen.append(contact)
    return sorted(chosen, key=lambda each: each.after)


def _bent(times: Times, points: Points, rows: slice, left: float) -> bool:
    """Whether one smooth curve through `rows` leaves more than `KINK` times the rms `left`, px, by two parabolas: an
    oscillation of few sightings a swing is no row of contacts."""
    since = (times[rows] - times[rows].mean()) / np.ptp(times[rows])
    curve = np.polynomial.polynomial
    degree = 4 if len(since) >= REACH + LEAST else 3
    away = points[rows] - curve.polyval(since, curve.polyfit(since, points[rows], degree)).T
    return float(np.sqrt(np.mean(away**2))) > KINK * left


def clear_contacts(contacts: list[Contact], count: int) -> list[Contact]:
    """Those with `REACH` sightings of the `count` on either side before the next contact or the track's end."""
    edges = [0, *(contact.after for contact in contacts), count]
    return [
        contact
        for before, contact, after in zip(edges, contacts, edges[2:], strict=False)
        if min(contact.after - before, after - contact.after) >= REACH
    ]


def _velocity(times: np.ndarray, points: np.ndarray, jitter: float) -> tuple[np.ndarray, float, float]:
    """Velocity [2] at time 0 of the parabola through the points, its standard deviation, and the rms left."""
    degree = 2 if len(times) > 4 else 1
    design = np.vander(times, degree + 1, increasing=True)
    inverse = np.linalg.pinv(design)
    coefficients = inverse @ points
    left = points - design @ coefficients
    return coefficients[1], jitter * float(np.linalg.norm(inverse[1])), float(np.sqrt(np.mean(left**2)))


def stretches(count: int, contacts: list[Contact], least: int = LEAST) -> list[slice]:
    """The parts of a track of `count` sightings between contacts that have at least `least`."""
    edges = [0, *(contact.after for contact in contacts), count]
    return [slice(a, b) for a, b in itertools.pairwise(edges) if b - a >= least]


__all__ = ["Contact", "clear_contacts", "find_contacts", "stretches"]
