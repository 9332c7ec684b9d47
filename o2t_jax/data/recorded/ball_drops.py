"""Balls dropped from about 48 m, tracked at 15 Hz: one sheet a kind of ball, one or more drops in each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from o2t_jax.data.recorded.pendulum_lengths import STANDARD_GRAVITY
from o2t_jax.data.recorded.recording import Recording, Track, read_text, source_folder
from o2t_jax.data.recorded.sheets import read_sheets
from o2t_jax.errors import UsageError
from o2t_jax.physics.environment import Layout

SOURCE = "ball_drops"
OUNCE = 0.028349523125  # kg
# Words that sheets and the table of balls write differently.
SPELLINGS = {"whiffleball": "wiffleball", "yellowwhiffleball": "yellowwiffle", "orangewhiffleball": "orangewiffle"}


def load(folder: str | Path) -> Recording:
    """Height (m) and velocity (m/s, upwards) of each drop; tracks are named "Golf Ball 1".

    `values` has the ball's mass (kg) and radius (m) where they are known. Raises: UsageError for a missing or damaged
    file.
    """
    place = source_folder(folder, SOURCE)
    balls = read_balls(place / "balls.txt")
    tracks = []
    for sheet, rows in read_sheets(place / "Ball_drops_data.xls").items():
        numbers = [row[:4] for row in rows if len(row) >= 4 and all(isinstance(cell, float) for cell in row[:4])]
        if not numbers:
            raise UsageError(f"{place}, sheet {sheet!r}: no rows of drop, time, height and velocity")
        table = np.array(numbers, float)
        for drop in np.unique(table[:, 0]):
            part = table[table[:, 0] == drop]
            tracks.append(Track(f"{sheet} {drop:g}", part[:, 1], part[:, 2:4], balls.get(_key(sheet), {})))
    return Recording(
        "ball_drops",
        tuple(tracks),
        ("height", "velocity"),
        ("m", "m/s"),
        Layout(2, (0,), (1,)),
        step=1 / 15,
        known={"g": STANDARD_GRAVITY},
        notes=(
            "the file is called .xls and is a .xlsx inside",
            "the first rows show the hand that lets go, the last one or two the ball leaving the picture",
            "velocities are smoothed differences of the heights: no measurement of their own",
            "heights err together, by 0.1 to 0.3 m over 0.5 s and longer; the volleyball's mass is missing",
        ),
        licence="MIT",
    )


def _key(name: str) -> str:
    plain = "".join(name.lower().split()).replace("_", "")
    for old, new in sorted(SPELLINGS.items(), key=lambda pair: -len(pair[0])):
        plain = plain.replace(old, new)
    return plain


def read_balls(path: Path) -> dict[str, dict[str, float]]:
    """Mass (kg) and radius (m) by kind; a kind whose figures are not numbers has none."""
    found = {}
    for line in read_text(path).splitlines()[1:]:
        parts = line.split()
        if len(parts) != 3:
            continue
        try:
            mass, around = float(parts[1]) * OUNCE, float(parts[2]) / 100
        except ValueError:
            continue
        found[_key(parts[0])] = {"mass": mass, "radius": around / (2 * np.pi)}
    if not found:
        raise UsageError(f"{path} has no line of name, weight in oz and circumference in cm: the file is damaged")
    return found


__all__ = ["load", "read_balls"]
