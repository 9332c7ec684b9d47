"""Sheets of labelled pictures, and pictures as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from o2t_jax import media
from o2t_jax.evaluation.writers.json_file import write_whole

TILE, MARGIN, STRIP = 128, 4, 18


def picture_grid(columns: Mapping[str, np.ndarray], captions: Sequence[str]) -> np.ndarray:
    """One sheet, uint8 [h, w, 3]: a row per caption, a labelled column per stack of pictures.

    Args: stacks [M, H, W, 3], uint8 or float in 0..1 (clipped); pictures under 128 px are enlarged by integer factors,
    without smoothing.
    """
    names = list(columns)
    tiles = {name: media.enlarged(to_uint8(np.asarray(stack)), TILE) for name, stack in columns.items()}
    tile_h, tile_w = tiles[names[0]].shape[1:3]
    row_h = STRIP + tile_h + MARGIN
    canvas = np.full((STRIP + row_h * len(captions), MARGIN + (tile_w + MARGIN) * len(names), 3), 255, np.uint8)
    for j, name in enumerate(names):
        left = MARGIN + j * (tile_w + MARGIN)
        _write(canvas, name, left, STRIP - 5, bold=True)
        for i in range(len(captions)):
            top = STRIP + i * row_h + STRIP
            canvas[top : top + tile_h, left : left + tile_w] = tiles[name][i]
    for i, caption in enumerate(captions):
        _write(canvas, caption, MARGIN, STRIP + i * row_h + STRIP - 5)
    return canvas


def _write(canvas: np.ndarray, text: str, x: int, y: int, bold: bool = False) -> None:
    colour = (0, 0, 0) if bold else (90, 90, 90)
    cv2.putText(canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)


def to_uint8(picture: np.ndarray) -> np.ndarray:
    """uint8 as it is; floats in 0..1, clipped and rounded."""
    if picture.dtype == np.uint8:
        return picture
    return np.round(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)


def write_png(path: str | Path, picture: np.ndarray) -> None:
    """Writes an RGB picture [H, W, 3].

    Raises: UsageError if the file cannot be written.
    """
    write_whole(Path(path), media.png(to_uint8(picture)))
