"""Tables as text, sheets of labelled pictures, and rows as JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np

from o2t_jax.errors import UsageError

# Column -> format of its numbers; the columns of a printed prediction table.
PREDICTION_COLUMNS = {
    "mode": "",
    "n": "",
    "method": "",
    "samples": "d",
    "mse": ".5f",
    "l1": ".4f",
    "psnr": ".2f",
    "ball_mse": ".5f",
    "ball_l1": ".4f",
    "ball_psnr": ".2f",
    "centroid_px": ".2f",
    "missed": ".0%",
}
TILE, MARGIN, STRIP = 128, 4, 18


def format_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str] | None = None) -> str:
    """Rows as an aligned text table; '-' stands for what is not defined (NaN, None or absent).

    `columns`: name -> format of its numbers ('' for text, to the left). None takes `PREDICTION_COLUMNS` for rows that
    have them, else every field.
    """
    if columns is None:
        columns = PREDICTION_COLUMNS if set(PREDICTION_COLUMNS) <= set(rows[0]) else _columns_of(rows[0])
    cells = [list(columns)] + [[_cell(row.get(name), spec) for name, spec in columns.items()] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    left = [spec == "" for spec in columns.values()]
    lines = [
        "  ".join(
            c.ljust(w) if to_left else c.rjust(w) for c, w, to_left in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def _columns_of(row: Mapping[str, Any]) -> dict[str, str]:
    def spec(value: Any) -> str:
        if isinstance(value, int | np.integer) and not isinstance(value, bool):
            return "d"
        return ".4g" if isinstance(value, float | np.floating) else ""

    return {name: spec(value) for name, value in row.items()}


def _cell(value: Any, spec: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return format(value, spec) if spec else str(value)


def picture_grid(columns: Mapping[str, np.ndarray], captions: Sequence[str]) -> np.ndarray:
    """One sheet, uint8 [h, w, 3]: a row for each caption, a labelled column for each stack of pictures.

    Args: stacks [M, H, W, 3], uint8 or float in 0..1 (clipped); pictures under 128 px are enlarged by whole factors,
    without smoothing.
    """
    names = list(columns)
    height, width = columns[names[0]].shape[1:3]
    scale = max(1, -(-TILE // max(height, width)))
    tile_h, tile_w = height * scale, width * scale
    row_h = STRIP + tile_h + MARGIN
    canvas = np.full((STRIP + row_h * len(captions), MARGIN + (tile_w + MARGIN) * len(names), 3), 255, np.uint8)
    for j, name in enumerate(names):
        left = MARGIN + j * (tile_w + MARGIN)
        _write(canvas, name, left, STRIP - 5, bold=True)
        for i in range(len(captions)):
            top = STRIP + i * row_h + STRIP
            tile = to_uint8(columns[name][i]).repeat(scale, axis=0).repeat(scale, axis=1)
            canvas[top : top + tile_h, left : left + tile_w] = tile
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

    Raises: UsageError where the file cannot be written.
    """
    done, data = cv2.imencode(".png", cv2.cvtColor(to_uint8(picture), cv2.COLOR_RGB2BGR))
    if not done:
        raise UsageError(f"{path}: a picture of shape {picture.shape} cannot be encoded")
    try:
        Path(path).write_bytes(data.tobytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); give another folder") from error


def to_json(value: Any) -> str:
    """Valid JSON: what is not a number (no ball in the group) or infinite (a perfect PSNR) becomes null."""
    return json.dumps(_finite(value), indent=2, allow_nan=False) + "\n"


def tell(text: str, value: Any, target: str | Path | None) -> None:
    """Prints `text` and, with a `target`, writes `value` by `write_json`."""
    print(text, file=text_stream(target))
    if target:
        write_json(value, target)


def text_stream(target: str | Path | None) -> TextIO:
    """Where text goes when JSON goes to `target`: '-' leaves standard output to the JSON."""
    return sys.stderr if str(target) == "-" else sys.stdout


def write_json(value: Any, target: str | Path) -> None:
    """Writes `to_json` to a file, or to standard output where `target` is '-'.

    Raises: UsageError where the file cannot be written.
    """
    if str(target) == "-":
        sys.stdout.write(to_json(value))
        return
    try:
        Path(target).write_text(to_json(value))
    except OSError as error:
        raise UsageError(f"{target}: cannot be written ({error.strerror}); give another file") from error


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
