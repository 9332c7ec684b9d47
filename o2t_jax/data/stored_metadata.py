"""The metadata of a set of samples, checked: a set may come from anywhere, and its sums only say that it is whole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from o2t_jax.config import flatten
from o2t_jax.data.records import FORMAT, VERSION
from o2t_jax.errors import UsageError
from o2t_jax.parsing import json_of, plain_name

_KINDS = "biufc"  # of numpy's dtypes


def read_metadata(path: Path) -> dict[str, Any]:
    """The content of a metadata.json whose every part that is used has its type, and whose files are in its folder.

    Raises: UsageError for another format or a newer version, ValueError (one line) where the file is something else.
    """
    metadata = json_of(path.read_bytes())
    if not isinstance(metadata, dict):
        raise ValueError("it is no object")
    kind, version = metadata.get("format"), metadata.get("version")
    if kind != FORMAT and isinstance(kind, str):
        raise UsageError(f"{path.parent} is not a set of samples: its {path.name} is of the format {kind!r}")
    if kind != FORMAT or not isinstance(version, int):
        raise ValueError("it lacks format and version")
    if version > VERSION:
        raise UsageError(f"{path.parent} has format {version}, and this program reads up to {VERSION}: update o2t_jax")
    sample = _sample_bytes(metadata.get("spec"))
    splits = metadata.get("splits")
    if not isinstance(splits, dict) or not isinstance(metadata.get("description"), dict):
        raise ValueError("it lacks splits or description")
    flatten(metadata["description"])
    for name, split in splits.items():
        _check_split(name, split, sample)
    return metadata


def _sample_bytes(spec: Any) -> int:
    """Bytes of one sample."""
    if not isinstance(spec, list) or not spec:
        raise ValueError("spec is no list of arrays")
    names, total = set(), 0
    for entry in spec:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str) or not entry["name"]:
            raise ValueError("spec has an array without a name")
        shape, dtype = entry.get("shape"), entry.get("dtype")
        if not isinstance(shape, list) or len(shape) > 32 or not all(map(_count, shape)):
            raise ValueError(f"spec: the shape of {entry['name']!r} is no list of sizes")
        try:
            known = np.dtype(dtype) if isinstance(dtype, str) and dtype.isalnum() else None
        except (TypeError, ValueError):
            known = None
        if known is None or known.kind not in _KINDS:
            raise ValueError(f"spec: the dtype of {entry['name']!r} is none of numpy's numbers")
        names.add(entry["name"])
        total += math.prod(shape) * known.itemsize
    if len(names) < len(spec):
        raise ValueError("spec has a name twice")
    return total


def _check_split(name: str, split: Any, sample: int) -> None:
    if not isinstance(split, Mapping) or not _count(split.get("samples")) or not isinstance(split.get("files"), list):
        raise ValueError(f"split {name!r} lacks samples or files")
    for file in split["files"]:
        if not isinstance(file, Mapping) or not plain_name(file.get("file")):
            raise ValueError(f"split {name!r} has a file that is not in the set's folder")
        if not _count(file.get("samples")) or not _count(file.get("bytes")):
            raise ValueError(f"split {name!r}: a file lacks samples or bytes")
        # Records are stored as they are, so a small file holds no large sample.
        if file["samples"] * max(sample, 1) > file["bytes"]:
            raise ValueError(f"split {name!r}: {file['samples']} samples of {sample} bytes are not in {file['bytes']}")
        if not isinstance(file.get("first_sha256"), str | None):
            raise ValueError(f"split {name!r}: first_sha256 is no text")
    if sum(file["samples"] for file in split["files"]) != split["samples"]:
        raise ValueError(f"split {name!r} has another number of samples than its files")


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


__all__ = ["read_metadata"]
