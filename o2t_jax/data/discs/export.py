"""Stored scenes as the windows of three frames that the document's programs train on, in one NumPy archive.

Each split is an array float32 [W, 3, B, 5]: W windows (t - 1, t, t + 1), scene after scene; of each disc x over the
room's width, y over its height, both entries of the velocity over the speed limit, and the mass.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from o2t_jax.data.stored import StoredSet
from o2t_jax.errors import UsageError

_BLOCK = 512  # scenes that are read at a time


def windows(
    scenes: Mapping[str, np.ndarray], size: tuple[float, float], speed: float
) -> Float[np.ndarray, "windows 3 discs 5"]:
    """The windows of scenes [N, ...] as `DiscScenes` has them; see the module. Obstacles have an infinite mass.

    Args: `size` (width, height) px; `speed`, the limit, px/s.
    """
    position, velocity = scenes["position"], scenes["velocity"]
    mass = np.broadcast_to(scenes["mass"][:, None, :, None], (*position.shape[:3], 1))
    state = np.concatenate([position / np.asarray(size, np.float32), velocity / np.float32(speed), mass], axis=-1)
    times = np.arange(state.shape[1] - 2)[:, None] + np.arange(3)
    return state[:, times].reshape(-1, 3, *state.shape[2:])


def write_windows(stored: StoredSet, out: Path) -> dict[str, int]:
    """Writes the windows of all splits to `out`, an .npz, a few scenes at a time; returns their numbers by split.

    The file appears when all is written, or not at all. Raises: UsageError for a set that is not one of discs.
    """
    kind = stored.metadata["name"]
    if kind != "discs":
        raise UsageError(
            f"{stored.path} is a set of {kind!r}, and windows of discs are wanted: make one with python -m "
            "experiments.generate --config=experiments/configs/discs/cpu.py"
        )
    world = stored.metadata["description"]["world"]
    frames, discs = stored.spec["position"].shape[:2]
    numbers = {split: count * (frames - 2) for split, count in stored.splits.items()}
    partial = out.with_name(f".{out.name}.partial")  # an interrupted write leaves the old file
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            for split, count in numbers.items():
                with archive.open(f"{split}.npy", "w", force_zip64=True) as file:
                    header = {"descr": "<f4", "fortran_order": False, "shape": (count, 3, discs, 5)}
                    np.lib.format.write_array_header_1_0(file, header)
                    for first in range(0, stored.size(split), _BLOCK):
                        scenes = stored.read(split, np.arange(first, min(first + _BLOCK, stored.size(split))))
                        file.write(windows(scenes, world["size"], world["speed"]).astype("<f4").tobytes())
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    return numbers


__all__ = ["windows", "write_windows"]
