"""Checks of flights and bounces. Every number is a ratio, so no scale is needed."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2, norm

from o2t_jax.evaluation.recordings.audit.finding import Band, Check, Finding, worst
from o2t_jax.evaluation.recordings.audit.flights import Flight, Meeting, flights_of, jump_of, meetings_of
from o2t_jax.evaluation.recordings.audit.kinds import FLIGHTS, Motion
from o2t_jax.evaluation.recordings.fitting import memory_of

ANYWHERE = 3.0  # standard deviations that stand for 95 % where the moment of a jump is searched for

EQUAL = Band(0.8, 1.25, 0.6, 1.67)  # of two accelerations
SMOOTH = Band(0.0, 0.012, 0.0, 0.03)
NOT_ABOVE = Band(-0.1, 1.05, -0.3, 1.3)  # of a restitution
NO_GAIN = Band(-10.0, 0.06, -np.inf, 0.15)


def _finding(draws: np.ndarray, compared: int, at: float) -> Finding:
    """From draws of which the first is the value, at the level that `compared` intervals need to hold together."""
    if not np.isfinite(draws).all():
        return Finding()
    reach = float(norm.ppf(1 - 0.025 / max(1, compared))) * float(np.std(draws[1:]))
    return Finding(float(draws[0]), float(draws[0]) - reach, float(draws[0]) + reach, compared, 1, at)


def _best(flights: tuple[Flight, ...]) -> Flight:
    """The one whose acceleration is known best."""
    return min(flights, key=lambda each: float(np.std(each.pull[1:]) / np.linalg.norm(each.pull[0])))


def within(motion: Motion) -> Finding:
    found = []
    for flight in flights_of(motion):
        ratio, error, at = jump_of(flight, motion)
        found.append(Finding(ratio, ratio - ANYWHERE * error, ratio + ANYWHERE * error, 1, 1, at))
    return worst(found, EQUAL, "no flight has 8 sightings")


def curve(motion: Motion) -> Finding:
    found = []
    for flight in flights_of(motion):
        points = motion.points[flight.rows]
        extent = float(np.linalg.norm(np.ptp(points, axis=0)))
        free = max(2.0, (2 * len(points) - 8) / memory_of(flight.residuals))
        power = float(np.sum(flight.residuals**2)) / max(1, 2 * len(points) - 8)
        low, high = (float(np.sqrt(power * free / chi2.ppf(q, free))) / extent for q in (0.975, 0.025))
        found.append(Finding(float(np.sqrt(power)) / extent, low, high, 1, 1, flight.middle))
    return worst(found, SMOOTH, "no flight has 8 sightings")


def between(motion: Motion) -> Finding:
    flights = flights_of(motion)
    if len(flights) < 2:
        return Finding(why="one flight only")
    best = _best(flights)
    along = best.pull[0] / np.linalg.norm(best.pull[0])
    others = [each for each in flights if each is not best]
    ratios = [_finding(each.pull @ along / (best.pull @ along), len(others), each.middle) for each in others]
    return worst(ratios, EQUAL, "one flight only")


def heights(motion: Motion) -> Finding:
    """Twice the height over the square of the time, of every fall from a turning point and every rise to one."""
    flights, found = flights_of(motion), []
    if not flights:
        return Finding(why="no flight has 8 sightings")
    along = _best(flights).pull[0] / np.linalg.norm(_best(flights).pull[0])
    for meeting in meetings_of(motion):
        for flight in (flights[meeting.first], flights[meeting.first + 1]):
            top, inside = _top(flight, along, motion)
            span = meeting.time - top
            if inside and abs(span[0]) > 0.5 * flight.half:
                height = (meeting.place - flight.place(top)) @ along
                found.append((2 * height / span**2, float(meeting.time[0])))
    if len(found) < 2:
        return Finding(why="fewer than two falls or rises between a turning point and a contact")
    best = min(found, key=lambda each: float(np.std(each[0][1:]) / abs(each[0][0])))
    ratios = [_finding(each[0] / best[0], len(found) - 1, each[1]) for each in found if each is not best]
    return worst(ratios, EQUAL, "")


def _top(flight: Flight, along: np.ndarray, motion: Motion) -> tuple[np.ndarray, bool]:
    """When [N] the velocity along the acceleration is zero, and whether that was seen."""
    time = np.full(len(flight.values), flight.middle)
    for _ in range(3):
        time = time - (flight.speed(time) @ along) / (flight.pull @ along)
    times = motion.times[flight.rows]
    return time, bool(times[0] <= time[0] <= times[-1])


def _restitution(meeting: Meeting) -> np.ndarray:
    jump = meeting.after - meeting.before
    normal = jump / np.linalg.norm(jump, axis=1, keepdims=True)
    return -np.sum(meeting.after * normal, axis=1) / np.sum(meeting.before * normal, axis=1)


def speeds(motion: Motion) -> Finding:
    meetings = meetings_of(motion)
    found = [_finding(_restitution(each), len(meetings), float(each.time[0])) for each in meetings]
    return worst(found, NOT_ABOVE, "no contact with 8 sightings on either side")


def flight_times(motion: Motion) -> Finding:
    meetings = meetings_of(motion)
    found = []
    for one, two, three in zip(meetings, meetings[1:], meetings[2:], strict=False):
        if (one.first + 1, two.first + 1) == (two.first, three.first):
            ratio = (three.time - two.time) / (two.time - one.time)
            found.append(_finding(ratio, max(1, len(meetings) - 2), float(two.time[0])))
    return worst(found, NOT_ABOVE, "fewer than two whole flights, from contact to contact")


def energy(motion: Motion) -> Finding:
    """Gain of energy from flight to flight, over what a fall through the whole path would give."""
    flights = flights_of(motion)
    meetings = meetings_of(motion)
    if not meetings:
        return Finding(why="one flight only")
    pull = _best(flights).pull
    size = np.linalg.norm(pull, axis=1) * np.ptp(motion.points @ (pull[0] / np.linalg.norm(pull[0])))
    found = []
    for meeting in meetings:
        gain = _energy(flights[meeting.first + 1], pull) - _energy(flights[meeting.first], pull)
        found.append(_finding(gain / size, len(meetings), float(meeting.time[0])))
    return worst(found, NO_GAIN, "")


def _energy(flight: Flight, pull: np.ndarray) -> np.ndarray:
    """[N] a unit of mass, in the middle of the flight."""
    time = np.full(len(flight.values), flight.middle)
    return 0.5 * np.sum(flight.speed(time) ** 2, axis=1) - np.sum(flight.place(time) * pull, axis=1)


WITHIN = Check(FLIGHTS, "acceleration after over before the moment that differs most", EQUAL, within, main=True)
CURVE = Check(FLIGHTS, "what the curve of a flight leaves, as a share of its extent", SMOOTH, curve)
BETWEEN = Check(FLIGHTS, "acceleration of a flight over that of another", EQUAL, between)
HEIGHTS = Check(FLIGHTS, "height over time squared, of a fall over that of another", EQUAL, heights)
SPEEDS = Check(FLIGHTS, "speed of parting over speed of approach", NOT_ABOVE, speeds)
TIMES = Check(FLIGHTS, "duration of a flight over that of the one before", NOT_ABOVE, flight_times)
ENERGY = Check(FLIGHTS, "gain of energy at a contact, over that of a fall through the path", NO_GAIN, energy)

__all__ = ["BETWEEN", "CURVE", "ENERGY", "HEIGHTS", "SPEEDS", "TIMES", "WITHIN"]
