"""Embeddings of texts and motions that somebody's own evaluator made: a folder of .npy files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.parsing import npy_of

TEXTS, TRUE = "texts", "true"


def read_embeddings(folder: Path) -> dict[str, np.ndarray]:
    """File's name without .npy -> float64 [N, D], `texts` and `true` among them: row i of each belongs to text i.

    Raises: UsageError for a folder without these two and one more, and for arrays of other shapes or not finite.
    """
    files = sorted(folder.glob("*.npy"))
    names = [file.stem for file in files]
    if not {TEXTS, TRUE} <= set(names) or len(names) < 3:
        raise UsageError(
            f"--evaluator={folder} must hold {TEXTS}.npy, {TRUE}.npy and one NAME.npy for each set of made motions; "
            f"it holds {', '.join(names) or 'no .npy file'}"
        )
    found = {file.stem: _read(file) for file in files}
    for file in files:
        if found[file.stem].shape != found[TEXTS].shape:
            shapes = f"{list(found[file.stem].shape)}, {TEXTS}.npy {list(found[TEXTS].shape)}"
            raise UsageError(f"{file} is {shapes}: give one row for each text, as many numbers for all")
    return found


def _read(file: Path) -> np.ndarray:
    try:
        array = np.asarray(npy_of(file.read_bytes()), np.float64)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{file} is no array of numbers ({error}): write it with numpy.save") from None
    if array.ndim != 2 or not np.isfinite(array).all():
        raise UsageError(f"{file} is {list(array.shape)} and must be finite numbers [texts, D]")
    return array


__all__ = ["TEXTS", "TRUE", "read_embeddings"]
