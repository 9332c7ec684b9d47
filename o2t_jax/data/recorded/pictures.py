"""A folder or a zip of pictures as a film: in the order of their names, numbers by value."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from o2t_jax.errors import UsageError
from o2t_jax.parsing import UNPACKING_ERRORS, unzipped

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")  # Pillow has others that start programs
MOST_PIXELS = 1 << 25  # 8K film has 33.2 million


def is_pictures(path: Path) -> bool:
    """Whether `path` is a folder or a zip."""
    return path.is_dir() or path.suffix.lower() == ".zip"


def pictures(path: Path) -> Iterator[np.ndarray]:
    """RGB uint8 [H, W, 3] of each picture of the largest group: one folder, one size.

    Raises: UsageError where there are none, one is damaged or has another size, or the zip holds a path outside itself.
    """
    try:
        if path.is_dir():
            files = [child for child in path.iterdir() if child.is_file()]
            yield from _decoded(path, [child.name for child in files], lambda name: (path / name).read_bytes())
            return
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            for name in names:
                parts = PurePosixPath(name.replace("\\", "/"))
                if parts.is_absolute() or ".." in parts.parts or re.match(r"[A-Za-z]:", name):
                    raise UsageError(f"{path} holds the path {name!r}, which is outside the archive: pack it anew")
            yield from _decoded(path, names, lambda name: unzipped(archive, name))
    except UsageError:
        raise
    except UNPACKING_ERRORS as error:
        raise UsageError(f"{path} cannot be read ({error}): is it whole?") from None


def _decoded(path: Path, names: list[str], read: Callable[[str], bytes]) -> Iterator[np.ndarray]:
    groups: dict[str, list[str]] = {}
    for name in names:
        place = PurePosixPath(name)
        if place.suffix.lower() in SUFFIXES and not place.name.startswith("."):
            groups.setdefault(str(place.parent), []).append(name)
    if not groups:
        raise UsageError(f"{path} has no pictures ({', '.join(sorted(SUFFIXES))})")
    size = None
    for name in sorted(max(groups.values(), key=len), key=_natural):
        picture = _picture(read(name), f"{path}: {name}")
        size = size or picture.shape
        if picture.shape != size:
            here, there = (f"{shape[1]} x {shape[0]} px" for shape in (picture.shape, size))
            raise UsageError(f"{path}: {name} is {here}, the first picture is {there}")
        yield picture


def _picture(data: bytes, what: str) -> np.ndarray:
    try:
        with warnings.catch_warnings():  # of damage that Pillow reads over, and of sizes that are refused here
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            if image.width * image.height > MOST_PIXELS:
                raise UsageError(f"{what} has {image.width} x {image.height} px, more than {MOST_PIXELS:,}: shrink it")
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except UsageError:
        raise
    except Image.DecompressionBombError:
        raise UsageError(f"{what} has far more than {MOST_PIXELS:,} px: shrink it") from None
    except Exception:  # damaged files fail in many ways, in five decoders
        raise UsageError(f"{what} is no whole picture") from None


def _natural(name: str) -> list[tuple[int, int, str]]:
    """frame2 before frame10."""
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", name)]


__all__ = ["is_pictures", "pictures"]
