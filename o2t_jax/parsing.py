"""Files of unknown origin: JSON that is not nested without end, and unpacking that stops at a limit. Needs no JAX."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import math
import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

_LONGEST_NAME = 255  # bytes, on most file systems
DEEPEST = 100  # levels of a JSON text: readers recurse, and Python allows about 1,000 calls
MOST_UNPACKED = 256 << 20  # bytes of one file of an archive: five times MNIST's pictures
_PIECE = 1 << 20  # bytes read at a time
_XZ_MEMORY = 128 << 20  # bytes; the decoder of the highest preset takes 65 MiB
# What the decoders of the standard library raise for damaged files.
UNPACKING_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    NotImplementedError,  # a compression method that zipfile does not have
    RuntimeError,  # a password is needed
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
)
_NPY_ERRORS = (
    KeyError,  # a version that is not known
    SyntaxError,
    TypeError,
    RecursionError,
    MemoryError,
    OverflowError,
    tokenize.TokenError,
)


def json_of(text: str | bytes) -> Any:
    """The value of a JSON text. Raises: ValueError where it is none, or nested deeper than `DEEPEST` levels."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {DEEPEST} levels") from None
    level = [value]
    for _ in range(DEEPEST):
        level = [
            item
            for part in level
            if isinstance(part, dict | list)
            for item in (part.values() if isinstance(part, dict) else part)
        ]
        if not level:
            return value
    raise ValueError(f"it is nested deeper than {DEEPEST} levels")


def unzipped(archive: zipfile.ZipFile, name: str, most: int = MOST_UNPACKED) -> bytes:
    """One file of a zip, whatever size its header tells. Raises: `UNPACKING_ERRORS`; ValueError over `most` bytes."""
    with archive.open(name) as file:
        return read_at_most(file, most, name)


def gunzipped(data: bytes, most: int = MOST_UNPACKED) -> bytes:
    """As `unzipped`, of a .gz file's bytes."""
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        return read_at_most(file, most, "the .gz file")


def unxzipped(data: bytes, most: int = MOST_UNPACKED) -> bytes:
    """As `unzipped`, of an .xz file's bytes (one stream)."""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    found = _at_most(decoder.decompress(data, max_length=most + 1), most, "the .xz file")
    if not decoder.eof:
        raise EOFError("the .xz file is cut off")
    return found


def npy_of(data: bytes) -> np.ndarray:
    """The array of a .npy file, whose header takes no more memory than the file has bytes. Raises: ValueError."""
    file = io.BytesIO(data)
    try:
        read = {1: npy.read_array_header_1_0, 2: npy.read_array_header_2_0}[npy.read_magic(file)[0]]
        shape, by_columns, dtype = read(file)
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
            raise ValueError("an array of objects, or not all of it")
        return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape, order="F" if by_columns else "C")
    except _NPY_ERRORS as error:
        raise ValueError(f"no .npy header: {type(error).__name__}") from None


def plain_name(name: Any) -> bool:
    """Whether `name` is a file's name that lies in a folder itself: no path, no parent, no drive."""
    if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\:\0"):
        return False
    return len(name.encode(errors="replace")) <= _LONGEST_NAME


def inside(folder: Path, name: str) -> bool:
    """Whether the relative path `name` stays in `folder`, links included, and is one that a file may have."""
    try:
        if any(len(os.fsencode(part)) > _LONGEST_NAME for part in Path(name).parts):
            return False  # looking for it raises what others take for a fault of the disk
        return (folder / name).resolve().is_relative_to(folder.resolve())
    except (ValueError, OSError):  # a zero byte, half a character, a loop of links
        return False


def read_at_most(file: io.BufferedIOBase | IO[bytes], most: int, name: str) -> bytes:
    """The rest of an open file, whatever size its header tells. Raises: ValueError over `most` bytes."""
    # In pieces: readers take the memory that they are asked for, however short the file is.
    parts = bytearray()
    while len(parts) <= most and (part := file.read(min(_PIECE, most + 1 - len(parts)))):
        parts += part
    return _at_most(bytes(parts), most, name)


def _at_most(found: bytes, most: int, name: str) -> bytes:
    if len(found) > most:
        raise ValueError(f"{name} unpacks to more than {most >> 20} MiB")
    return found


__all__ = [
    "DEEPEST",
    "MOST_UNPACKED",
    "UNPACKING_ERRORS",
    "gunzipped",
    "inside",
    "json_of",
    "npy_of",
    "plain_name",
    "read_at_most",
    "unxzipped",
    "unzipped",
]
