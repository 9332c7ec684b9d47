"""IBM's chaotic double pendulum (Asseman, Kornuta, Ozcan 2018): eight films, three markers in each frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.signal import savgol_filter

from o2t_jax.data.recorded.recording import Recording, Track, read_bytes, read_numbers, source_folder
from o2t_jax.errors import UsageError
from o2t_jax.parsing import UNPACKING_ERRORS, unxzipped
from o2t_jax.physics.environment import Layout

SOURCE = "ibm_double_pendulum"
FRAMES_PER_SECOND = 500.0
UNITS_PER_PX = 5.0
SMOOTHING = 15, 4  # frames and degree of the filter that gives the velocities


def load(folder: str | Path) -> Recording:
    """Angles of the two arms from hanging down (rad, not wrapped) and their rates (rad/s), one track a film.

    Angles come from the markers' differences; rates by a Savitzky-Golay filter of 15 frames (0.03 s) and degree 4.
    A track's `values` are the arms' lengths in px. Raises: UsageError for a missing or damaged file.
    """
    place = source_folder(folder, SOURCE)
    files = sorted(place.glob("*.csv.xz"))
    if not files:
        raise UsageError(f"{place} has no file *.csv.xz: give the folder of the recordings as --data")
    return Recording(
        "ibm_double_pendulum",
        tuple(_track(path) for path in files),
        ("angle 1", "angle 2", "speed 1", "speed 2"),
        ("rad", "rad", "rad/s", "rad/s"),
        Layout(4, (0, 1), (2, 3), angles=(0, 1)),
        step=1 / FRAMES_PER_SECOND,
        notes=(
            "columns are (vertical, horizontal) for each marker, in fifths of a px, the vertical axis downwards",
            "500 frames/s is inferred: the 400 that is often said would give g of about 6.2 m/s^2",
            "films 0 and 1 were taken at another distance than the rest: their arms are 2 % longer in px",
        ),
        licence="CDLA-Sharing-1.0",
    )


def _track(path: Path) -> Track:
    content = read_bytes(path)
    try:
        text = unxzipped(content).decode()
    except UNPACKING_ERRORS:
        raise UsageError(f"{path} is not a whole .xz file of text: copy it again") from None
    markers = read_numbers(path, 6, separator=",", text=text).reshape(-1, 3, 2)
    if len(markers) < SMOOTHING[0]:
        raise UsageError(f"{path} has {len(markers)} frames: at least {SMOOTHING[0]} are needed, the file is cut off")
    arms = np.diff(markers, axis=1)  # [T, arm, (down, right)]
    angles = np.unwrap(np.arctan2(arms[..., 1], arms[..., 0]), axis=0)
    rates = np.asarray(savgol_filter(angles, *SMOOTHING, deriv=1, delta=1 / FRAMES_PER_SECOND, axis=0))
    lengths = np.linalg.norm(arms, axis=-1).mean(axis=0) / UNITS_PER_PX
    values = {"arm 1, px": float(lengths[0]), "arm 2, px": float(lengths[1])}
    times = np.arange(len(angles)) / FRAMES_PER_SECOND
    return Track(path.name.split(".")[0], times, np.concatenate([angles, rates], axis=1), values)


__all__ = ["load"]
