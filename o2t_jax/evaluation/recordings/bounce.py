"""Free flight with bounces off a level floor: one form across all flights, with one restitution."""

from __future__ import annotations

import numpy as np

from o2t_jax.evaluation.recordings.flight import ROLL
from o2t_jax.evaluation.recordings.law import Law, Points, Quantity, Stretch, Times, Values
from o2t_jax.evaluation.recordings.segments import find_contacts

MOST = 24  # bounces that are followed; after them the ball lies
NAMES = ("x", "y", "vx", "vy", "g", "roll", "floor", "restitution", "kept")


def _start(times: Times, points: Points) -> np.ndarray:
    """The first flight's parabola; floor and restitution from the jumps of the velocity upwards."""
    jitter = 0.05 + float(np.median(np.abs(np.diff(points, 3, axis=0)))) / 3
    hits = [each for each in find_contacts(times, points, jitter) if each.before[1] < 0 < each.then[1]]
    if not hits:
        return np.zeros((0, len(NAMES)))
    first = hits[0].after
    rows = slice(0, first) if first >= 6 else slice(first, hits[1].after if len(hits) > 1 else len(times))
    if times[rows].size < 4:
        return np.zeros((0, len(NAMES)))
    c = np.polynomial.polynomial.polyfit(times[rows], points[rows], 2)
    g = -2 * c[2, 1]
    ratio = float(np.median([-each.then[1] / each.before[1] for each in hits]))
    if not g > 0 or not 0 < ratio < 2:
        return np.zeros((0, len(NAMES)))
    lowest = [points[each.after - 1 : each.after + 1, 1].min() for each in hits]
    floor = float(min(points[:, 1].min(), np.median(lowest)))
    along = [each.then[0] / each.before[0] for each in hits if abs(each.before[0]) > 0.1 * abs(each.before[1])]
    kept = float(np.clip(np.median(along), 0, 1.2)) if along else 1.0
    if first >= 6:
        x, y, vx, vy = *c[0], *c[1]
    else:  # the first flight is too short for a parabola: g of the second
        t = times[:first]
        speed = np.polynomial.polynomial.polyfit(t, points[:first] + np.outer(0.5 * g * t**2, (0, 1)), 1)
        x, y, vx, vy = *speed[0], *speed[1]
    # The lowest sighting is above the floor by up to what it falls in half a step.
    step = -float(np.median([each.before[1] for each in hits])) * float(np.median(np.diff(times)))
    return np.array([[x, y, vx, vy, g, 0.0, floor - share * step, ratio, kept] for share in (0.0, 0.15, 0.3, 0.5)])


def _paths(values: Values, times: Times) -> np.ndarray:
    """Closed from bounce to bounce, in axes turned by the roll about the first place."""
    x, y, vx, vy, g, roll, floor, e, kept = (values[:, i] for i in range(len(NAMES)))
    cos, sin = np.cos(roll), np.sin(roll)
    g = np.maximum(g, 1e-9)
    right, up = vx * cos + vy * sin, vy * cos - vx * sin
    height = np.maximum(y - floor, 0.0)  # above the floor, at the first place
    count, steps = len(values), len(times)
    across, above = np.empty((count, steps)), np.empty((count, steps))
    begin, place = np.zeros(count), np.zeros(count)
    open_rows = np.ones((count, steps), bool)
    for number in range(MOST + 1):
        hit = np.sqrt(up**2 + 2 * g * height)
        end = begin + (up + hit) / g if number < MOST else np.full(count, np.inf)
        since = times - begin[:, None]
        here = open_rows & (times < end[:, None])
        across = np.where(here, place[:, None] + right[:, None] * since, across)
        rise = height[:, None] + up[:, None] * since - 0.5 * g[:, None] * since**2
        above = np.where(here, np.maximum(rise, 0.0), above)
        open_rows &= ~here
        if not open_rows.any():
            break
        place = place + right * (end - begin)
        begin, up, right, height = end, e * hit, kept * right, np.zeros(count)
    away = above - np.maximum(y - floor, 0.0)[:, None]
    return np.stack(
        [
            x[:, None] + across * cos[:, None] - away * sin[:, None],
            y[:, None] + across * sin[:, None] + away * cos[:, None],
        ],
        axis=-1,
    )


def _quantities(values: Values, stretch: Stretch) -> dict[str, Quantity]:
    return {
        "g": Quantity(values[:, 4] * stretch.up, 1, -2),
        "restitution": Quantity(values[:, 7]),
        "horizontal_speed_kept": Quantity(values[:, 8]),
        "horizontal_speed": Quantity(np.abs(values[:, 2]) * stretch.across, 1, -1),
        "height": Quantity((values[:, 1] - values[:, 6]) * stretch.up, 1, 0),
        "roll": Quantity(np.degrees(values[:, 5]), unit="deg"),
    }


def _bounces(values: np.ndarray, span: float) -> bool:
    """It falls onto the floor within the film, and comes up again."""
    g, up, height = values[4], values[3], values[1] - values[6]
    if not (g > 0 and up**2 + 2 * g * height > 0 and 0 < values[7] < 2):
        return False
    return bool(0 < (up + np.sqrt(up**2 + 2 * g * height)) / g < 0.95 * span)


BOUNCES = Law(
    "free flight with bounces",
    "r'' = g; at the floor v_up -> -e v_up",
    NAMES,
    _start,
    _paths,
    _quantities,
    holds=_bounces,
    prior=lambda values: values[:, 5:6] / ROLL,
)

__all__ = ["BOUNCES"]
