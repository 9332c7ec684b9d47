"""A linter of motions: what is wrong with a clip, in which frames, and how wrong it is as one number.

Eight checks, each with a value, a verdict and frames to look at. Verdicts come from recorded people: `fine` up to the
value that all but a few clips of the development half stay below, `bad` from well beyond (docs/motion_data.md). The
score is minus the sum of the checks' badness, so that clips can be ranked; it says nothing of style.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from o2t_jax.errors import UsageError
from o2t_jax.physics.motion.contacts import NEAR, clearance, contacts, flights, foot_speed
from o2t_jax.physics.motion.measures import GRAVITY, mass_centre, measures

FINE, DOUBTFUL, BAD, CANNOT = "fine", "doubtful", "bad", "cannot tell"
LEAST_FRAMES = 8
_LEAST_STANCE = 0.1  # s that a foot must be low to have stood
_LEAST_FLIGHT = 4  # frames for a parabola with something left over
_SHOWN = 12  # frames named by a check
_ROOF = 4.0  # badness of one check at most: one broken frame must not hide all else
_GROUND = 0.03  # m that the lowest feet may be off before the ground is taken from them

# check -> unit, fine up to, bad from. Set on the development half of recorded clips.
LIMITS: Mapping[str, tuple[str, float, float]] = {
    "skate": ("m/s", 0.5, 0.8),
    "slide": ("m/s", 0.08, 0.15),
    "penetration": ("mm", 1.0, 5.0),
    "float": ("mm", 4.0, 12.0),
    "jerk": ("m/s³", 500.0, 1000.0),
    "noise": ("mm", 1.5, 3.0),
    "jump": ("", 3.0, 6.0),
    "gravity": ("", 0.2, 0.4),
}
EXPLAINED: Mapping[str, str] = {
    "skate": "mean speed of feet that are low",
    "slide": "slowest quarter of each stance: a foot that stands does not move",
    "penetration": "mean depth of the feet below the ground",
    "float": "mean height of the lowest foot while nothing holds the body",
    "jerk": "mean third derivative of the joints' places",
    "noise": "jitter of the joints from frame to frame",
    "jump": "largest acceleration of all joints at once, over what is usual around it",
    "gravity": "flights fall with g: |ln(g / 9.81)|, less the error of the fit",
}


@dataclasses.dataclass(frozen=True)
class Check:
    """One check: its value (None where the clip does not tell), verdict, and the frames where it is worst."""

    name: str
    value: float | None
    verdict: str
    frames: tuple[int, ...] = ()

    @property
    def badness(self) -> float:
        """(value / bad)², at most 4: squared, so that what people differ in weighs little against what none does."""
        return 0.0 if self.value is None else min(_ROOF, (self.value / LIMITS[self.name][2]) ** 2)


@dataclasses.dataclass(frozen=True)
class Report:
    """A clip's checks, g m/s² of its flights with a standard error (None without), contacts [T, 4], and the score."""

    checks: tuple[Check, ...]
    gravity: tuple[float, float] | None
    flights: tuple[tuple[int, int], ...]
    contacts: Bool[np.ndarray, "frames feet"]
    ground: float
    rate: float

    @property
    def score(self) -> float:
        """0 is perfect; each check takes at most 4."""
        return -sum(check.badness for check in self.checks)

    @property
    def verdict(self) -> str:
        """The worst of the checks'."""
        told = [check.verdict for check in self.checks]
        return BAD if BAD in told else DOUBTFUL if DOUBTFUL in told else FINE

    def as_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "verdict": self.verdict,
            "score": round(self.score, 4),
            "rate": self.rate,
            "frames": len(self.contacts),
            "ground": self.ground,
            "gravity": None if self.gravity is None else {"value": self.gravity[0], "error": self.gravity[1]},
            "flights": [list(span) for span in self.flights],
            "contact_share": dict(
                zip(("left ankle", "left toe", "right ankle", "right toe"), self.contacts.mean(0).tolist(), strict=True)
            ),
            "checks": {
                check.name: {
                    "value": check.value,
                    "unit": LIMITS[check.name][0],
                    "verdict": check.verdict,
                    "fine_to": LIMITS[check.name][1],
                    "bad_from": LIMITS[check.name][2],
                    "frames": list(check.frames),
                }
                for check in self.checks
            },
        }


def lint(
    positions: Float[np.ndarray, "frames joints 3"], rate: float, ground: float | None = None, source: str = "the clip"
) -> Report:
    """All checks of joints [T, 21, 3] of `OURS` in m, y up, at `rate` frames/s (best the recording's own).

    Args: `ground`, its height m; None: 0, or from the lowest feet where those are more than 3 cm off it.
    Raises: UsageError for NaN, too few frames or a rate that cannot be.
    """
    positions = np.asarray(positions, float)
    if len(positions) < LEAST_FRAMES:
        raise UsageError(f"{source} has {len(positions)} frames: at least {LEAST_FRAMES} are needed")
    if not np.isfinite(positions).all():
        raise UsageError(f"{source} holds NaN or infinity: repair or cut the clip")
    if not 1.0 <= rate <= 1000.0:
        raise UsageError(f"{source} has {rate:g} frames/s: it must be from 1 to 1000")
    if ground is None:
        lowest = float(np.quantile(clearance(positions).min(-1), 0.1))
        ground = lowest if abs(lowest) > _GROUND else 0.0
    positions = positions - np.array([0.0, ground, 0.0])
    told = {name: float(value) for name, value in measures(positions, rate).items()}
    low, speed = np.asarray(clearance(positions)), np.asarray(foot_speed(positions, rate))
    acceleration = np.linalg.norm(np.diff(positions, n=2, axis=0), axis=-1).mean(-1) * rate**2
    slide, sliding = _slide(low, speed, rate)
    jump, jumping = _jump(acceleration)
    spans, gravity, error = _gravity(positions, rate)
    falls = np.asarray(mass_centre(positions))[:, 1]
    aloft = low.min(-1) > NEAR
    held = np.zeros(len(aloft), bool)
    held[1:-1] = np.abs(np.diff(falls, n=2) * rate**2 + GRAVITY) > 0.5 * GRAVITY
    third = np.linalg.norm(np.diff(positions, n=3, axis=0), axis=-1).mean(-1)
    off = None if gravity is None else max(0.0, abs(float(np.log(gravity / GRAVITY))) - error / gravity)
    found = (
        ("skate", told["skate"], _worst(np.where(low < NEAR, speed, 0.0).max(-1), LIMITS["skate"][1])),
        ("slide", slide, sliding),
        ("penetration", 1e3 * told["penetration"], _worst(-low.min(-1), 0.01)),
        ("float", 1e3 * told["float"], _worst(np.where(aloft & held, low.min(-1), 0.0), 0.05)),
        ("jerk", told["jerk"], _worst(np.concatenate([[0.0], third, [0.0, 0.0]]), 3.0 * float(np.median(third)))),
        ("noise", _noise(positions), ()),
        ("jump", jump, jumping),
        ("gravity", off, tuple(frame for first, past in spans for frame in (first, past - 1))),
    )
    return Report(
        tuple(Check(name, value, _verdict(name, value), frames) for name, value, frames in found),
        None if gravity is None else (gravity, error),
        tuple(spans),
        np.asarray(contacts(positions, rate)),
        ground,
        rate,
    )


def _verdict(name: str, value: float | None) -> str:
    if value is None:
        return CANNOT
    _, fine, bad = LIMITS[name]
    return FINE if value <= fine else BAD if value >= bad else DOUBTFUL


def _worst(values: np.ndarray, limit: float) -> tuple[int, ...]:
    """The frames with the largest values above the limit, in order of time."""
    order = np.argsort(-values)[:_SHOWN]
    return tuple(sorted(int(i) for i in order if values[i] > limit))


def _slide(low: np.ndarray, speed: np.ndarray, rate: float) -> tuple[float | None, tuple[int, ...]]:
    """Lower quartile of the speed m/s within each stance of each joint, averaged over stances by their lengths."""
    sums, frames, worst = 0.0, 0, []
    for joint in range(low.shape[1]):
        down = low[:, joint] < NEAR
        edges = np.flatnonzero(np.diff(np.concatenate([[False], down, [False]]).astype(int)))
        for first, past in zip(edges[::2], edges[1::2], strict=True):
            if past - first >= max(3, _LEAST_STANCE * rate):
                still = float(np.quantile(speed[first : past - 1, joint], 0.25))
                sums, frames = sums + still * (past - first), frames + past - first
                if still > LIMITS["slide"][1]:
                    worst += [int(first), int(past - 1)]
    return (sums / frames if frames else None), tuple(sorted(set(worst))[:_SHOWN])


def _noise(positions: np.ndarray) -> float:
    """Standard deviation mm of the joints' jitter: fourth differences leave little of a motion, and 70 times its
    variance of white noise. The median over frames, so that single jumps do not count."""
    fourth = np.abs(np.diff(positions, n=4, axis=0))
    return float(1e3 * np.median(fourth, axis=0).mean() / (0.6745 * np.sqrt(70.0)))


def _jump(acceleration: np.ndarray) -> tuple[float, tuple[int, ...]]:
    """The largest acceleration over the largest one nearby, two to six frames away, not below a tenth of g."""
    padded = np.pad(acceleration, 6)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 13)
    around = np.concatenate([windows[:, :4], windows[:, 9:]], 1).max(1)
    ratio = acceleration / np.maximum(around, 0.1 * GRAVITY)
    return float(ratio.max()), tuple(frame + 1 for frame in _worst(ratio, LIMITS["jump"][1]))


def _gravity(positions: np.ndarray, rate: float) -> tuple[list[tuple[int, int]], float | None, float]:
    """Flights of at least 4 frames, g m/s² of the centre of mass in them (weighted by what each tells), and its error.

    The error adds what the mass model leaves: a tenth of g for one flight.
    """
    spans = [span for span in flights(positions) if span[1] - span[0] >= _LEAST_FLIGHT]
    height = mass_centre(positions)[:, 1]
    values, weights = [], []
    for first, past in spans:
        times = (np.arange(first, past) - 0.5 * (first + past - 1)) / rate
        square = times**2 - np.mean(times**2)
        values.append(-2.0 * float(square @ height[first:past] / (square @ square)))
        weights.append(float(square @ square))
    if not values:
        return spans, None, 0.0
    mean = float(np.average(values, weights=weights))
    spread = float(np.sqrt(np.average((np.array(values) - mean) ** 2, weights=weights) / len(values)))
    if mean <= 0.1 * GRAVITY:
        mean = 0.1 * GRAVITY  # the logarithm needs a positive one; this is as bad as it gets
    return spans, mean, float(np.hypot(spread, 0.1 * GRAVITY / np.sqrt(len(values))))


__all__ = ["BAD", "CANNOT", "DOUBTFUL", "EXPLAINED", "FINE", "LIMITS", "Check", "Report", "lint"]
