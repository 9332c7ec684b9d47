"""Checks of swings about a place of rest: pendulums and springs. No scale is needed."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from o2t_jax.evaluation.recordings.audit.finding import Band, Check, Finding, worst
from o2t_jax.evaluation.recordings.audit.kinds import SWINGS, Local, Motion, locally
from o2t_jax.evaluation.recordings.law import main_axis
from o2t_jax.geometry.circle import fit_circle

PARTS = 5  # of the clip, whose restoring forces are compared
INFORMED = 0.05  # least share of a part's information on the force, of the mean part's
FARTHEST = 20.0  # of the swing's width, the longest pendulum whose arc can be told from a line

SAME_FORCE = Band(0.72, 1.0, 0.5, np.inf)
SAME_PERIOD = Band(1.0, 1.15, 0.0, 1.35)
NO_GROWTH = Band(0.0, 1.05, 0.0, 1.2)


@dataclasses.dataclass(frozen=True, eq=False)
class Swing:
    """One coordinate `place` [T] of a swing from its place of rest, rad if `arc`, else px; `noise` of a sighting, in
    that unit; `local`, its parabolas; `turns` and `passes`, when it turns (time, amplitude with its sign) and passes
    the place of rest (time, its standard deviation)."""

    times: Float[np.ndarray, " T"]
    place: Float[np.ndarray, " T"]
    arc: bool
    noise: float
    local: Local
    turns: tuple[tuple[float, float], ...]
    passes: tuple[tuple[float, float], ...]


@functools.lru_cache(maxsize=2)
def swing_of(motion: Motion) -> Swing:
    """The swing of a track: the angle about its circle's middle, if it is an arc, else the place along its line."""
    times, points = motion.times, motion.points
    _, _, place = main_axis(points)
    arc, noise = False, motion.noise
    centre, square = fit_circle(points)
    wide, length = float(np.ptp(place)), float(np.sqrt(max(square, 1e-9)))
    aside = points - centre
    line = float(np.std(points - points.mean(axis=0), axis=0).min())
    off = float(np.std(np.linalg.norm(aside, axis=1)))
    if length < FARTHEST * wide and off < 0.5 * line + motion.noise and wide**2 / (8 * length) > 5 * motion.noise:
        middle = aside.mean(axis=0)
        turn = np.arctan2(middle[1], middle[0])
        place = (np.arctan2(aside[:, 1], aside[:, 0]) - turn + np.pi) % (2 * np.pi) - np.pi
        arc, noise = True, motion.noise / length
    width = 2 * int(np.clip(_frames_a_swing(place) // 16, 2, 8)) + 1
    local = locally(times, np.column_stack([place, place]), width)
    turns = _turns(local)
    rest = _rest([size for _, size in turns]) if len(turns) > 1 else float(np.mean(place))
    turns = tuple((at, size - rest) for at, size in turns)
    local = dataclasses.replace(local, place=local.place - rest)
    return Swing(times, place - rest, arc, noise, local, turns, _passes(local, noise))


def _frames_a_swing(place: np.ndarray) -> float:
    crossings = np.sum(np.diff(np.sign(place - np.median(place))) != 0)
    return 2 * len(place) / max(1, crossings)


def _turns(local: Local) -> tuple[tuple[float, float], ...]:
    """(time, place) where the speed changes its sign, away from the middle third."""
    speed, place, pull = local.speed[:, 0], local.place[:, 0], local.pull[:, 0]
    low, high = np.quantile(place, [0.02, 0.98])
    found: list[tuple[float, float]] = []
    for i in np.flatnonzero(np.sign(speed[1:]) != np.sign(speed[:-1])):
        share = speed[i] / (speed[i] - speed[i + 1]) if speed[i] != speed[i + 1] else 0.5
        at = local.times[i] + share * (local.times[i + 1] - local.times[i])
        there = float(place[i] + 0.5 * speed[i] * (at - local.times[i]))
        outside = there > 0.5 * (low + high) if pull[i] < 0 else there < 0.5 * (low + high)
        if outside and (not found or at - found[-1][0] > 3 * (local.times[1] - local.times[0])):
            found.append((float(at), there))
    return tuple(found)


def _rest(turns: list[float]) -> float:
    """The middle between turns on both sides; three in a row count 1, 2, 1, which takes damping off."""
    middles = [0.25 * a + 0.5 * b + 0.25 * c for a, b, c in zip(turns, turns[1:], turns[2:], strict=False)]
    return float(np.mean(middles)) if middles else 0.5 * (turns[0] + turns[1])


def _passes(local: Local, noise: float) -> tuple[tuple[float, float], ...]:
    place, speed = local.place[:, 0], local.speed[:, 0]
    found = []
    error = noise * float(np.median(np.linalg.norm(local.maps[0], axis=1)))
    for i in np.flatnonzero(np.sign(place[1:]) != np.sign(place[:-1])):
        share = place[i] / (place[i] - place[i + 1])
        at = local.times[i] + share * (local.times[i + 1] - local.times[i])
        found.append((float(at), error / max(abs(float(speed[i])), 1e-12)))
    return tuple(found)


def force(motion: Motion) -> Finding:
    """The restoring force over the displacement in parts of the clip: the least over the largest."""
    swing = swing_of(motion)
    local = swing.local
    place, speed, pull = local.place[:, 0], local.speed[:, 0], local.pull[:, 0]
    if np.ptp(swing.place) < 20 * swing.noise:
        return Finding(why="the swing is too small to be told from noise")
    back = np.sin(place) if swing.arc else place
    edges = np.linspace(swing.times[0], swing.times[-1], PARTS + 1)
    part = np.clip(np.searchsorted(edges, local.times, side="right") - 1, 0, PARTS - 1)
    power = np.array([np.sum(back[part == i] ** 2) for i in range(PARTS)])
    keep = [i for i in range(PARTS) if power[i] > INFORMED * power.mean() and np.sum(part == i) >= 4]
    if len(keep) < 2:
        return Finding(why="too little of a swing is seen")
    design = np.column_stack([*[-back * (part == i) for i in keep], -speed, np.ones(len(back))])
    inverse = np.linalg.pinv(design)
    values = inverse @ pull
    left = pull - design @ values
    noise = swing.noise * np.linalg.norm(local.maps[2], axis=1)
    wider = max(1.0, float(np.sqrt(np.mean(left**2) / np.mean(noise**2))))
    errors = wider * swing.noise * np.linalg.norm(inverse[: len(keep)] @ local.maps[2], axis=1)
    forces = values[: len(keep)]
    low, high = int(np.argmin(forces)), int(np.argmax(forces))
    ratio = float(forces[low] / forces[high])
    error = abs(ratio) * float(np.hypot(errors[low] / forces[low], errors[high] / forces[high]))
    reach = float(norm.ppf(1 - 0.025 / (len(keep) * (len(keep) - 1) / 2))) * error
    at = 0.5 * (edges[keep[low]] + edges[keep[low] + 1])
    return Finding(ratio, ratio - reach, min(1.0, ratio + reach), len(keep), len(keep), float(at))


def period(motion: Motion) -> Finding:
    """Half swings, each over what its amplitude makes of it: the longest over the shortest."""
    swing = swing_of(motion)
    spans = []
    for (one, error1), (two, error2) in zip(swing.passes, swing.passes[1:], strict=False):
        sizes = [abs(size) for at, size in swing.turns if one < at < two]
        if sizes:
            longer = 1 + sizes[0] ** 2 / 16 + 11 * sizes[0] ** 4 / 3072 if swing.arc else 1.0
            spans.append(((two - one) / longer, np.hypot(error1, error2) / longer, 0.5 * (one + two)))
    if len(spans) < 3:
        return Finding(why="fewer than three half swings")
    low, high = min(spans), max(spans)
    ratio = high[0] / low[0]
    pairs = len(spans) * (len(spans) - 1) / 2
    reach = float(norm.ppf(1 - 0.025 / pairs)) * ratio * float(np.hypot(low[1] / low[0], high[1] / high[0]))
    return Finding(ratio, max(1.0, ratio - reach), ratio + reach, len(spans), len(spans), high[2])


def energy(motion: Motion) -> Finding:
    """Amplitude of a turn over that of the turn a whole swing before."""
    swing = swing_of(motion)
    error = swing.noise * float(np.median(np.linalg.norm(swing.local.maps[0], axis=1)))
    found = []
    pairs = list(zip(swing.turns, swing.turns[2:], strict=False))
    for (_, first), (at, second) in pairs:
        ratio = abs(second / first)
        reach = float(norm.ppf(1 - 0.025 / len(pairs))) * error / abs(first) * float(np.hypot(1, ratio))
        found.append(Finding(ratio, ratio - reach, ratio + reach, len(pairs), 1, at))
    return worst(found, NO_GROWTH, "less than a whole swing")


FORCE = Check(SWINGS, "least over largest restoring force of five parts of the clip", SAME_FORCE, force, main=True)
PERIOD = Check(SWINGS, "longest over shortest half swing, each over what its amplitude makes", SAME_PERIOD, period)
ENERGY = Check(SWINGS, "amplitude over that of the swing before", NO_GROWTH, energy)

__all__ = ["ENERGY", "FORCE", "PERIOD", "Swing", "swing_of"]
