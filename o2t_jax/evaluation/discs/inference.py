"""From tracks of discs to restitution, mass ratio and friction with intervals, or the reason why one is not told."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import norm

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.discs.contacts import Path, kinks
from o2t_jax.evaluation.discs.encounter import FRICTION, RATIO, RESTITUTION, UNEVEN
from o2t_jax.evaluation.discs.meeting import Meeting, find_meeting
from o2t_jax.evaluation.discs.pooled import pooled
from o2t_jax.evaluation.recorded.intervals import LEVEL, Estimate

TABLE = 0.02
"""Share of a collision's impulse that the table may take up, one standard deviation. Edges that rub press one of the
discs on the table while they touch, whose friction then acts on that as well: a friction coefficient of 0.2 of the
table times 0.1 of the edges. Tracks cannot tell it from a difference of masses, so the mass ratio's interval has it."""
GRAVITY = 9.80665  # m/s^2, standard
MOST_RATIO, MOST_RESTITUTION = 10.0, 1.0  # width (a factor, a difference) beyond which a parameter is not told
_MOST_REASONS = 3


@dataclasses.dataclass(frozen=True)
class Findings:
    """`parameters` by name; `refused`, name -> why the tracks do not tell it; `meetings`; `passed`, what was taken for
    no collision and why."""

    parameters: dict[str, Estimate]
    refused: dict[str, str]
    meetings: tuple[Meeting, ...]
    passed: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "parameters": {name: found.as_dict() for name, found in self.parameters.items()},
            "refused": [{"name": name, "reason": reason} for name, reason in self.refused.items()],
            "encounters": [meeting.as_dict() for meeting in self.meetings],
            "passed": list(self.passed),
        }


def infer(
    paths: Mapping[str, Path], scale: float | None = None, uneven: float = UNEVEN, table: float = TABLE
) -> Findings:
    """What the collisions in the tracks tell.

    Args: `paths` by the disc's name; `scale`, metres per unit of places, for the friction coefficient; `uneven` and
    `table`, standard deviations of what tracks do not tell, see `UNEVEN` and `TABLE`. Raises: UsageError for fewer than
    two discs, or bad numbers.
    """
    _check(paths, scale, uneven, table)
    meetings: list[Meeting] = []
    passed: list[tuple[float, str]] = []
    for ids in itertools.combinations(paths, 2):
        for when, pace in kinks(paths[ids[0]], paths[ids[1]]):
            found = find_meeting(ids, paths, when, pace, uneven)
            if isinstance(found, str):
                passed.append((when, f"{ids[0]} and {ids[1]} at {when:.4g} s: {found}"))
            else:
                meetings.append(found)
    parameters: dict[str, Estimate] = {}
    refused: dict[str, str] = {}
    pairs = list(dict.fromkeys(meeting.ids for meeting in meetings))
    for ids in pairs:
        suffix = f" {ids[0]}-{ids[1]}" if len(pairs) > 1 else ""
        told, untold = _tell([meeting for meeting in meetings if meeting.ids == ids], scale, table)
        parameters |= {f"{name}{suffix}": value for name, value in told.items()}
        refused |= {f"{name}{suffix}": reason for name, reason in untold.items()}
    lines = tuple(line for _, line in sorted(passed))
    if not meetings:
        refused = dict.fromkeys(("mass_ratio", "restitution", "friction"), _none_found(lines))
    return Findings(parameters, refused, tuple(sorted(meetings, key=lambda meeting: meeting.time)), lines)


def _none_found(passed: Sequence[str]) -> str:
    """The reason, with what is nearest to a collision."""
    near = sorted(passed, key=lambda line: line.endswith("no velocity changes"))[:_MOST_REASONS]
    return "no collision of two discs was found" + (f" ({'; '.join(near)})" if near else ": the discs do not meet")


def _check(paths: Mapping[str, Path], scale: float | None, uneven: float, table: float) -> None:
    if len(paths) < 2:
        raise UsageError(f"the tracks hold {len(paths)} object: a collision needs two or more ids")
    if scale is not None and not (np.isfinite(scale) and scale > 0):
        raise UsageError(f"scale {scale:g} m per unit must be above 0")
    if not (0 <= uneven < 1 and 0 <= table < 1):
        raise UsageError(f"uneven {uneven:g} and table {table:g} must be from 0 to below 1")
    for name, path in paths.items():
        times, places = np.asarray(path.times), np.asarray(path.places)
        if times.ndim != 1 or places.shape != (len(times), 2):
            raise UsageError(f"disc {name}: times {times.shape} and places {places.shape} do not fit: give [T], [T, 2]")
        if not (np.isfinite(times).all() and np.isfinite(places).all()):
            raise UsageError(f"disc {name} has numbers that are not finite: leave those rows out")
        if np.any(np.diff(times) <= 0):
            at = int(np.argmax(np.diff(times) <= 0))
            raise UsageError(f"disc {name}: time does not increase after {times[at]:g} s: sort its rows, each once")


def _tell(meetings: Sequence[Meeting], scale: float | None, table: float) -> tuple[dict[str, Estimate], dict[str, str]]:
    """What the collisions of one pair tell together, and why not."""
    fits = [meeting.fit for meeting in meetings]
    told: dict[str, Estimate] = {}
    untold: dict[str, str] = {}
    ratio = pooled(fits, RATIO)
    if ratio is None or ratio.high - ratio.low > np.log(MOST_RATIO):
        untold["mass_ratio"] = "the changes of velocity are too small against the noise: it is open by a factor of 10"
    else:
        taken = float(norm.ppf(0.5 + LEVEL / 2)) * table
        ends = (
            ratio.value - np.hypot(ratio.value - ratio.low, taken),
            ratio.value + np.hypot(ratio.high - ratio.value, taken),
        )
        value, low, high = (float(np.exp(x)) for x in (ratio.value, *ends))
        told["mass_ratio"] = Estimate(value, low, high, f"mass of {meetings[0].ids[1]} / mass of {meetings[0].ids[0]}")
    restitution = pooled(fits, RESTITUTION)
    if restitution is None or restitution.high - restitution.low > MOST_RESTITUTION:
        untold["restitution"] = "the discs graze: they approach too slowly along the line of centres against the noise"
    else:
        told["restitution"] = restitution
    friction = pooled(fits, FRICTION)
    if friction is None:
        untold["friction"] = "the discs are not seen to slide for long enough"
        return told, untold
    value, low, high = (max(0.0, x) for x in (friction.value, friction.low, friction.high))
    told["friction"] = Estimate(value, low, high, "unit of x / s^2")
    if scale is None:
        untold["friction_coefficient"] = "it needs the length of a unit of x in metres"
    else:
        per = scale / GRAVITY
        told["friction_coefficient"] = Estimate(
            value * per, low * per, high * per, "deceleration / g, on a level table"
        )
    return told, untold


__all__ = ["TABLE", "Findings", "infer"]
