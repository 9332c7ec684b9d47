"""A ball on a string of two lengths, tracked in films: time, position and radius of the ball's picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from o2t_jax.data.recorded.recording import Known, Recording, Track, read_numbers, source_folder
from o2t_jax.errors import UsageError
from o2t_jax.physics.environment import Layout

SOURCE = "pendulum_lengths"
STANDARD_GRAVITY = Known(9.80665, "m/s^2", "standard gravity; the place is not known (9.78 to 9.83 on Earth)")


def load(folder: str | Path) -> Recording:
    """x, y and radius of the ball in px, a track for each length, named by it in cm; `values` has it in m.

    Raises: UsageError for a missing or damaged file.
    """
    place = source_folder(folder, SOURCE)
    lengths = sorted({path.name.removesuffix("_t.csv") for path in place.glob("*_t.csv")})
    if not lengths:
        raise UsageError(f"{place} has no file *_t.csv: give the folder of the recordings as --data")
    return Recording(
        "pendulum_lengths",
        tuple(_track(place, length) for length in lengths),
        ("x", "y", "radius"),
        ("px", "px", "px"),
        Layout(3, (), ()),
        step=1 / 29.994,
        known={"g": STANDARD_GRAVITY},
        notes=(
            "lengths are off by about 1 cm, both alike: their difference is what tells g",
            "the lengths are known as whole cm only",
            "positions are whole px; some frames are missing, the time stamps count",
        ),
    )


def _track(place: Path, length: str) -> Track:
    try:
        metres = float(length) / 100
    except ValueError:
        raise UsageError(f"{place / length}_t.csv: the name must begin with the length in cm, as 68_t.csv") from None
    columns = [read_numbers(place / f"{length}_{column}.csv", 1)[:, 0] for column in "txyr"]
    if len({len(column) for column in columns}) > 1:
        raise UsageError(f"{place}: the files {length}_t, _x, _y and _r.csv differ in length: one is cut off")
    return Track(length, columns[0], np.stack(columns[1:], axis=1), {"length": metres})


__all__ = ["load"]
