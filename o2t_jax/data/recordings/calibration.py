"""Calibrated cameras from a file: OpenCV's YAML or XML, or JSON. Positions seen by them, without distortion and in 3-D.

OpenCV's pinhole model: X_camera = R X + t, then K and the distortion (k1, k2, p1, p2, k3, ...).
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from o2t_jax.errors import UsageError
from o2t_jax.parsing import json_of

MATRICES = ("camera_matrix", "cameraMatrix", "intrinsic", "intrinsics", "K", "M")
DISTORTIONS = ("distortion_coefficients", "distortion", "distCoeffs", "dist_coeffs", "D")
SIZES = ("image_width", "image_height", "image_size", "size")
MOST_SIDE = 1 << 16  # px
MOST_ENTRIES = 64  # numbers of a matrix in OpenCV's files
TURNS, SHIFTS = ("R", "rotation"), ("T", "t", "translation")


@dataclasses.dataclass(frozen=True, eq=False)
class Camera:
    """`matrix` K px; `distortion` as OpenCV orders it; `turn` R and `shift` t m, from the world to the camera; `size`
    (width, height) px of the pictures it was calibrated with, None where the file does not say."""

    matrix: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, " D"]
    turn: Float[np.ndarray, "3 3"]
    shift: Float[np.ndarray, " 3"]
    size: tuple[int, int] | None = None

    def straight(self, points: Float[np.ndarray, "T 2"], pixels: bool = True) -> Float[np.ndarray, "T 2"]:
        """Points of the picture, px, as they would be seen without distortion: px, or on the plane at distance 1."""
        target = self.matrix if pixels else None
        found = cv2.undistortPoints(np.asarray(points, float)[:, None], self.matrix, self.distortion, P=target)
        return found[:, 0]

    def check(self, size: tuple[int, int], what: object) -> None:
        """Raises: UsageError where pictures of `size` (width, height) cannot be this camera's."""
        if self.size is not None and self.size != size:
            raise UsageError(
                f"--calibration is of pictures of {self.size[0]} x {self.size[1]} px, {what} has {size[0]} x {size[1]} "
                "px: calibrate with pictures of this size"
            )
        x, y = self.matrix[0, 2], self.matrix[1, 2]
        if not (0.2 * size[0] < x < 0.8 * size[0] and 0.2 * size[1] < y < 0.8 * size[1]):
            raise UsageError(
                f"--calibration has its middle at {x:.0f}, {y:.0f} px, which is far from that of {what} ({size[0]} x "
                f"{size[1]} px): it is of another picture size"
            )


def read_cameras(paths: Sequence[Path]) -> list[Camera]:
    """The cameras of one file, or of several: each with one camera, and one with R and T of the second to the first.

    JSON: {"cameras": [{"K", "distortion", "R", "t", "size"}, ...]}, or such a list, or one camera; R, t may be left out
    for the first. OpenCV: one camera (camera_matrix, distortion_coefficients, image_width, image_height) or a pair (K1
    or M1, D1, K2 or M2, D2, R, T). Raises: UsageError where a file is none of these.
    """
    cameras: list[dict[str, Any]] = []
    pair: dict[str, Any] = {}
    for path in paths:
        found = _read(path)
        if isinstance(found, list) or "cameras" in found:
            listed = found if isinstance(found, list) else found["cameras"]
            if not isinstance(listed, list):
                raise UsageError(f"--calibration={path}: cameras must be a list of cameras, each with K by name")
            cameras += listed
        elif any(_named(found, MATRICES, end) is not None for end in ("1", "_1")):
            cameras += _pair(found)
        elif _named(found, MATRICES) is not None:
            cameras.append(found)
        elif _named(found, TURNS) is None:
            raise UsageError(f"--calibration={path} holds no camera: it needs K (or camera_matrix), or a pair's R, T")
        else:
            pair = found
    if pair and len(cameras) == 2 and isinstance(cameras[1], Mapping):
        cameras[1] = {**cameras[1], "R": _named(pair, TURNS), "t": _named(pair, SHIFTS)}
    found_cameras = [_camera(each, number, paths[0]) for number, each in enumerate(cameras)]
    if not found_cameras:
        raise UsageError(f"--calibration={paths[0]} holds no camera, only R and T: give each camera's file too")
    return found_cameras


def _read(path: Path) -> Any:
    if not path.is_file():
        raise UsageError(f"--calibration={path} is no file")
    if path.suffix.lower() == ".json":
        try:
            found = json_of(path.read_bytes())
        except (OSError, ValueError) as error:
            raise UsageError(f"--calibration={path} cannot be read as JSON ({error})") from None
        if not isinstance(found, dict | list):
            raise UsageError(f"--calibration={path} holds no camera: it needs K, distortion, R, t")
        return found
    try:
        if not _is_one_mapping(path.read_bytes()):
            raise UsageError(f"--calibration={path} is no list of names and values: give OpenCV's YAML or XML, or JSON")
        file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
        root = file.root()
        found = {name: _value(root.getNode(name)) for name in root.keys()}  # noqa: SIM118 (a node is no mapping)
        file.release()
    except (OSError, cv2.error, SystemError, UnicodeDecodeError):
        raise UsageError(f"--calibration={path} cannot be read: give OpenCV's YAML or XML, or JSON") from None
    return found


def _is_one_mapping(data: bytes) -> bool:
    """Whether it is XML, or YAML of one document whose names begin their lines.

    OpenCV's YAML reader never ends for some files in which its first collection ends before the file does.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data.startswith(b"<?xml"):
        return True
    lines = [line.rstrip() for line in data.splitlines()]
    lines = [line for line in lines if line and not line.lstrip().startswith(b"#")]
    lines = list(itertools.dropwhile(lambda line: line.startswith(b"%"), lines))
    if lines[:1] == [b"---"]:
        del lines[0]
    while lines[-1:] == [b"..."]:
        del lines[-1]
    ends = any(line.lstrip().startswith((b"...", b"---")) for line in lines)
    return bool(lines) and not ends and re.match(rb"[A-Za-z_\"']", lines[0]) is not None


def _value(node: Any) -> Any:
    if node.isInt() or node.isReal():
        return node.real()
    if node.isSeq():
        return [node.at(i).real() for i in range(node.size()) if node.at(i).isInt() or node.at(i).isReal()]
    return _matrix(node) if node.isMap() else None


def _matrix(node: Any) -> Any:
    """None for what is no small matrix: OpenCV takes the memory that a header asks for before it looks at the data."""
    sizes, kind = node.getNode("sizes"), node.getNode("dt")  # sizes: since OpenCV 5, for one dimension
    sides = [sizes.at(i) for i in range(min(sizes.size(), 3))] if sizes.isSeq() else []
    sides = sides or ([sizes] if sizes.isInt() else [])
    sides = sides or [node.getNode(name) for name in ("rows", "cols")]
    if not all(side.isInt() and 0 < side.real() <= MOST_ENTRIES for side in sides):
        return None
    if math.prod(side.real() for side in sides) > MOST_ENTRIES or not kind.isString():
        return None
    return node.mat() if kind.string() in ("d", "f", "i") else None


def _pair(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    cameras = []
    for number in ("1", "2"):
        ends = (number, f"_{number}")
        matrix = next((m for end in ends if (m := _named(found, MATRICES, end)) is not None), None)
        bent = next((d for end in ends if (d := _named(found, DISTORTIONS, end)) is not None), None)
        if matrix is not None:
            size = {name: found[name] for name in SIZES if name in found}
            cameras.append({"K": matrix, "distortion": bent, **size})
    if len(cameras) == 2:
        cameras[1] |= {"R": _named(found, TURNS), "t": _named(found, SHIFTS)}
    return cameras


def _named(found: Mapping[str, Any], names: Sequence[str], end: str = "") -> Any:
    return next((found[name + end] for name in names if found.get(name + end) is not None), None)


def _camera(found: Any, number: int, path: Path) -> Camera:
    what = f"--calibration={path}, camera {number + 1}"
    if not isinstance(found, Mapping):
        raise UsageError(f"{what} must be K, distortion, R, t by name")

    def array(names: Sequence[str], shape: tuple[int, ...], default: np.ndarray | None) -> np.ndarray:
        value = _named(found, names)
        if value is None and default is not None:
            return default
        try:
            value = np.asarray(value, float).reshape(shape)
        except (TypeError, ValueError, OverflowError):
            raise UsageError(f"{what}: {names[0]} must be {' x '.join(map(str, shape))} numbers") from None
        if not np.isfinite(value).all():
            raise UsageError(f"{what}: {names[0]} is not finite")
        return value

    first = number == 0
    bent = array(DISTORTIONS, (-1,), np.zeros(5))
    if len(bent) not in (4, 5, 8, 12, 14):
        raise UsageError(f"{what}: distortion has {len(bent)} numbers, OpenCV's has 4, 5, 8, 12 or 14")
    turn = array(TURNS, (3, 3), np.eye(3) if first else None)
    if np.abs(turn).max() > 2 or not np.allclose(turn @ turn.T, np.eye(3), atol=1e-3):
        raise UsageError(f"{what}: R is no rotation")
    shift = array(SHIFTS, (3,), np.zeros(3) if first else None)
    return Camera(array(MATRICES, (3, 3), None), bent, turn, shift, _size(found, what))


def _size(found: Mapping[str, Any], what: str) -> tuple[int, int] | None:
    both = found.get("size", found.get("image_size"))
    if both is None and "image_width" in found and "image_height" in found:
        both = (found["image_width"], found["image_height"])
    if both is None:
        return None
    try:
        width, height = (float(side) for side in np.asarray(both, float).reshape(2))
    except (TypeError, ValueError, OverflowError):
        width = height = float("nan")
    if not (1 <= width <= MOST_SIDE and 1 <= height <= MOST_SIDE):
        raise UsageError(f"{what}: size must be the picture's width and height, 1 to {MOST_SIDE} px")
    return int(width), int(height)


__all__ = ["Camera", "read_cameras"]
