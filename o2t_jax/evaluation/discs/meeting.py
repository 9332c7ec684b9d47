"""One possible collision in tracks of two discs: fitted, or the reason why it is none."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from o2t_jax.evaluation.discs.contacts import Path
from o2t_jax.evaluation.discs.encounter import (
    FIRST,
    FRICTION,
    INSTANT,
    RATIO,
    RESTITUTION,
    SECOND,
    TANGENT,
    VELOCITY_1,
    VELOCITY_2,
    Encounter,
    fit_encounter,
)
from o2t_jax.evaluation.discs.sliding import FEWEST, Stretch, fit_stretch

LEAST_CHANGE = 5.0  # of a velocity, in standard deviations
TOUCH = (0.7, 1.3)  # distance at contact over the sum of the radii
WORST = 3.0  # scale of errors beyond which stretches do not belong to one collision
SHARED = 20.0  # residuals that the noise of all stretches counts for in that of one
_TRIES = 3  # of the instant
_WORDS = {-1: "before", 1: "after"}


@dataclasses.dataclass(frozen=True)
class Meeting:
    """A collision of the discs `ids` at `time` s and `place` [2], the midpoint of their centres. The `fit` has its own
    units, with times since `zero` s and places from `origin` [2]."""

    ids: tuple[str, str]
    zero: float
    origin: np.ndarray
    fit: Encounter

    @property
    def time(self) -> float:
        """s, of contact."""
        return self.zero + float(self.fit.values[INSTANT]) * self.fit.time

    @property
    def centres(self) -> np.ndarray:
        """[2, 2], of both discs at contact."""
        return self.origin + np.stack([self.fit.values[FIRST], self.fit.values[SECOND]]) * self.fit.length

    @property
    def distance(self) -> float:
        """Between the centres at contact."""
        return float(np.hypot(*(self.centres[1] - self.centres[0])))

    def as_dict(self) -> dict[str, Any]:
        """For JSON, in the tracks' units."""
        fit, speed = self.fit, self.fit.length / self.fit.time
        before = fit.values[VELOCITY_1], fit.values[VELOCITY_2]
        push = (1 + fit.values[RESTITUTION]) * ((before[0] - before[1]) @ fit.normal) / (1 + np.exp(-fit.values[RATIO]))
        return {
            "discs": list(self.ids),
            "t": self.time,
            "place": self.centres.mean(axis=0).tolist(),
            "normal": fit.normal.tolist(),
            "distance": self.distance,
            "velocity_before": [(v * speed).tolist() for v in before],
            "velocity_after": [(v * speed).tolist() for v in fit.after()],
            "mass_ratio": float(np.exp(fit.values[RATIO])),
            "restitution": float(fit.values[RESTITUTION]),
            "tangential_over_normal_impulse": float(abs(fit.values[TANGENT]) / push),
            "friction": float(fit.values[FRICTION] * fit.length / fit.time**2),
            "misfit": float(np.sqrt(fit.chi2 / fit.spare)),
            "stretches": [self._stretch(stretch) for stretch in fit.stretches],
        }

    def _stretch(self, stretch: Stretch) -> dict[str, Any]:
        ends = self.zero + np.array([stretch.times.min(), stretch.times.max()]) * self.fit.time
        return {
            "disc": self.ids[stretch.disc],
            "from": float(ends[0]),
            "to": float(ends[1]),
            "samples": len(stretch.times),
            "slides": stretch.slides,
            "noise": stretch.noise * self.fit.length,
            "memory": stretch.memory,
        }


def find_meeting(
    ids: tuple[str, str], paths: Mapping[str, Path], when: float, pace: float, uneven: float
) -> Meeting | str:
    """The collision of two discs at about `when` s, with samples about `pace` s apart, or why there is none.

    `uneven` is that of `fit_encounter`.
    """
    found: Meeting | str = ""
    for _ in range(_TRIES):
        found = _fitted(ids, paths, when, pace, uneven)
        if isinstance(found, str) or abs(found.time - when) <= 0.5 * pace:
            break
        when = found.time
    return found if isinstance(found, str) else _doubt(found, paths) or found


def _fitted(ids: tuple[str, str], paths: Mapping[str, Path], when: float, pace: float, uneven: float) -> Meeting | str:
    centre, other = (
        np.array([np.interp(when, paths[name].times, paths[name].places[:, k]) for k in range(2)]) for name in ids
    )
    length, time = float(np.hypot(*(other - centre))), pace * FEWEST
    if not length > 0:
        return "both are at one place"
    stretches: list[Stretch] = []
    for disc, side in itertools.product((0, 1), (-1, 1)):
        path, where = paths[ids[disc]], f"disc {ids[disc]}"
        # Samples nearer than a step may show the contact itself, blurred.
        use = (path.times - when) * side > pace
        if use.sum() < FEWEST:
            return f"{where} has {use.sum()} samples {_WORDS[side]} it, at least {FEWEST} are needed"
        found = fit_stretch(disc, side, (path.times[use] - when) / time, (path.places[use] - centre) / length)
        if found is None:
            return f"{where} does not slide freely for {FEWEST} samples {_WORDS[side]} it: a wall, a hand?"
        stretches.append(found)
    stretches = _with_shared_noise(stretches)
    reason = _unchanged(ids, stretches)
    if reason:
        return reason
    fit = fit_encounter(stretches, length, time, uneven)
    return Meeting(ids, when, centre, fit) if np.isfinite(fit.values).all() else "no collision fits"


def _with_shared_noise(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Noise and memory of each stretch drawn towards those of all: a short stretch tells its own badly."""
    count = np.array([2 * len(s.times) - 6 for s in stretches], float)
    variance, memory = (
        (count * own + SHARED * np.sum(count * own) / np.sum(count)) / (count + SHARED)
        for own in (np.array([s.noise**2 for s in stretches]), np.array([s.memory for s in stretches]))
    )
    return [
        s._replace(noise=float(np.sqrt(v)), memory=float(m))
        for s, v, m in zip(stretches, variance, memory, strict=True)
    ]


def _unchanged(ids: tuple[str, str], stretches: Sequence[Stretch]) -> str | None:
    """Why these motions are no collision, judged by the changes of velocity."""
    change, variance = np.zeros((2, 2)), np.zeros(2)
    for s in stretches:
        change[s.disc] += s.side * s.motion[2:4]
        # Of the slope at the end of a parabola through evenly spaced samples.
        variance[s.disc] += 192 * s.memory / len(s.times) * (s.noise / np.ptp(s.times)) ** 2
    changed = np.hypot(*change.T) > LEAST_CHANGE * np.sqrt(variance)
    if not changed.any():
        return "they pass without touching: no velocity changes"
    if not changed.all():
        alone = ids[int(np.argmax(changed))]
        return f"only {alone} is seen to change its velocity: a wall, a hand, or too much noise for the other"
    if change[0] @ change[1] >= 0:
        return "both velocities change, but not against each other"
    return None


def _doubt(meeting: Meeting, paths: Mapping[str, Path]) -> str | None:
    """Why the fitted collision is not one of these two discs alone."""
    fit = meeting.fit
    approach = float((fit.values[VELOCITY_1] - fit.values[VELOCITY_2]) @ fit.normal)
    if approach <= 0 or fit.values[RESTITUTION] <= -1:
        return "the discs do not push each other apart"
    if fit.scale > WORST:
        return f"the motions do not meet in one instant with one impulse (misfit {fit.scale:.1f}): a third body?"
    radii = [paths[name].radius for name in meeting.ids]
    if radii[0] is not None and radii[1] is not None:
        share = meeting.distance / (radii[0] + radii[1])
        if not TOUCH[0] <= share <= TOUCH[1]:
            return f"they are {share:.2f} times the sum of their radii apart when their velocities change"
    return None


__all__ = ["Meeting", "find_meeting"]
