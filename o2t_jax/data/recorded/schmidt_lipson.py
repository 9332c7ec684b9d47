"""Four motions from the supplement of Schmidt & Lipson, Science 324 (2009): springs and pendulums, tracked in films.

Each row: trial, time, positions, and what was derived from them by smoothing. The order differs from file to file:
those that end in _a have the acceleration *before* the velocity.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from o2t_jax.data.recorded.recording import Recording, Track, read_numbers, source_folder
from o2t_jax.physics.environment import Layout

SOURCE = "schmidt_lipson"
LICENCE = "no licence text (supplement of a paper)"
SMOOTHED = "speeds and accelerations were derived from the positions by smoothing: both are 2 to 7 % too small"


def spring(folder: str | Path) -> Recording:
    """A mass on a spring on an air track: position and velocity in px and px/s, accelerations in px/s^2."""
    table = read_numbers(source_folder(folder, SOURCE) / "real_linear_a_1.txt", 5)
    return Recording(
        "spring",
        (Track("0", table[:, 1], table[:, [2, 4]], accelerations=table[:, [3]]),),
        ("x", "v"),
        ("px", "px/s"),
        Layout(2, (0,), (1,)),
        step=1 / 29.97,
        notes=(SMOOTHED, "columns are x, a, v", "positions are whole px, times are rounded to 1 ms"),
        licence=LICENCE,
    )


def coupled_springs(folder: str | Path) -> Recording:
    """Two masses between three springs: positions in px, velocities in px/s."""
    table = read_numbers(source_folder(folder, SOURCE) / "real_double_linear_h_1.txt", 6)
    return Recording(
        "coupled_springs",
        (Track("0", table[:, 1], table[:, 2:6]),),
        ("x1", "x2", "v1", "v2"),
        ("px", "px", "px/s", "px/s"),
        Layout(4, (0, 1), (2, 3)),
        step=1 / 29.97,
        notes=(SMOOTHED, "positions are whole px, times are rounded to 1 ms"),
        licence=LICENCE,
    )


def pendulum(folder: str | Path) -> Recording:
    """A pendulum: angle in rad; its clock counts units that are not seconds."""
    table = read_numbers(source_folder(folder, SOURCE) / "real_pend_a_1.txt", 5)
    return Recording(
        "pendulum",
        (Track("0", table[:, 1], table[:, [2, 4]], accelerations=table[:, [3]]),),
        ("angle", "speed"),
        ("rad", "rad/clock unit"),
        Layout(2, (0,), (1,), angles=(0,)),
        step=1 / 6,
        clock="clock unit",
        notes=(
            SMOOTHED,
            "columns are angle, acceleration, speed",
            "the clock is not in seconds (g/L of 1.36 would be a length of 7.2 m): only ratios of rates are meaningful",
            "some rows are missing: steps of 1/3 and 1/2 between those of 1/6",
        ),
        licence=LICENCE,
    )


def double_pendulum(folder: str | Path) -> Recording:
    """A double pendulum, a track for each of two trials: angles from hanging down (rad, not wrapped), their rates."""
    table = read_numbers(source_folder(folder, SOURCE) / "real_double_pend_h_1.txt", 10)
    trials = [table[table[:, 0] == trial] for trial in np.unique(table[:, 0])]
    tracks = (Track(f"{rows[0, 0]:g}", rows[:, 1], rows[:, 2:6], accelerations=rows[:, 8:10]) for rows in trials)
    return Recording(
        "double_pendulum",
        tuple(tracks),
        ("angle 1", "angle 2", "speed 1", "speed 2"),
        ("rad", "rad", "rad/s", "rad/s"),
        Layout(4, (0, 1), (2, 3), angles=(0, 1)),
        step=0.01,
        notes=(
            SMOOTHED,
            "the header names four columns, the file has ten: trial, time, angles, speeds, speeds again, accelerations",
            "rows are missing: no window of equal steps goes over such a gap",
        ),
        licence=LICENCE,
    )


__all__ = ["coupled_springs", "double_pendulum", "pendulum", "spring"]
