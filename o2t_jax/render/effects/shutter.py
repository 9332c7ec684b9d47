"""What a shutter does to motion: blur while it is open, and rows that are read one after the other."""

from __future__ import annotations

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.render.effects import Render

PARTS = 8  # pictures that an exposure is the mean of
STRIPS = 32  # of a picture, each read in an instant


def exposed(render: Render, exposure: float, parts: int = PARTS) -> Render:
    """Pictures exposed for `exposure` s, centred on their times: means of `parts` pictures, evenly spread.

    What moves by more than about two px between two of them shows steps. Means are of 8-bit levels: light adds up
    linearly only without the camera's gamma. Raises: UsageError for an exposure below 0 or no part.
    """
    if not (np.isfinite(exposure) and exposure >= 0 and parts >= 1):
        raise UsageError(f"exposure of {exposure} s in {parts} parts must be at least 0 s, in at least one part")
    if exposure == 0:
        return render
    shifts = exposure * ((np.arange(parts) + 0.5) / parts - 0.5)

    def blurred(times: np.ndarray) -> np.ndarray:
        total = render(times + shifts[0]).astype(np.uint32 if parts > 256 else np.uint16)
        for shift in shifts[1:]:
            total += render(times + shift)
        total += parts // 2  # rounds
        total //= parts
        return total.astype(np.uint8)

    return blurred


def rolling(render: Render, readout: float, strips: int = STRIPS) -> Render:
    """Pictures whose rows are read from top to bottom in `readout` s, the middle row at the picture's time.

    Each of `strips` strips of rows is rendered at the time of its own middle. Raises: UsageError for a readout below 0.
    """
    if not (np.isfinite(readout) and readout >= 0 and strips >= 1):
        raise UsageError(f"readout of {readout} s in {strips} strips must be at least 0 s, in at least one strip")
    if readout == 0:
        return render

    def sheared(times: np.ndarray) -> np.ndarray:
        taken = render(times).copy()
        height = taken.shape[1]
        for rows in np.array_split(np.arange(height), min(strips, height)):
            late = readout * ((rows[0] + rows[-1]) / 2 - (height - 1) / 2) / height
            part = slice(rows[0], rows[-1] + 1)
            taken[:, part] = render(times + late)[:, part]
        return taken

    return sheared


__all__ = ["PARTS", "STRIPS", "exposed", "rolling"]
