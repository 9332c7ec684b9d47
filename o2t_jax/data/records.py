"""Sets of samples as files: ArrayRecord shards per split, `metadata.json`, `SHA256SUMS` (docs/data.md).

A sample is a fixed number of arrays of fixed shapes and dtypes. A record is their bytes, little-endian, without gaps,
in the order of the metadata's `spec`: a numpy structured dtype describes it. ArrayRecord keeps a hash of every
record, which is compared when it is read. `SHA256SUMS` is written last: a folder without it is unfinished.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    from o2t_jax.types import SampleSource

FORMAT, VERSION = "o2t_jax samples", 1
METADATA, SUMS, SUFFIX, UNFINISHED = "metadata.json", "SHA256SUMS", ".arrayrecord", ".unfinished"
SHARD_BYTES = 512 << 20
_SHARD_SAMPLES = 1 << 20  # an open file takes about 28 bytes of memory for each
_OPTIONS = "group_size:1,uncompressed"  # each record with a hash of its own, as grain expects it
_BLOCK = 64  # samples that a source makes at a time
_KINDS = "biufc"


def named_leaves(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dicts and named tuples as one flat dict, names joined by "/": {"params/damping": ..., "states": ...}."""
    fields = tree._asdict() if hasattr(tree, "_asdict") else tree
    if not isinstance(fields, Mapping):
        return {prefix: tree}
    inner = (named_leaves(value, f"{prefix}/{name}" if prefix else str(name)) for name, value in fields.items())
    return {name: leaf for part in inner for name, leaf in part.items()}


def record_dtype(spec: Mapping[str, Any]) -> np.dtype:
    """The layout of a record as a numpy structured dtype. Raises ValueError for a dtype that numpy does not have."""
    for name, entry in spec.items():
        if not isinstance(entry.dtype, np.dtype) or entry.dtype.kind not in _KINDS:
            raise ValueError(f"{name}: dtype {entry.dtype} cannot be stored: use one of numpy's numbers")
    return np.dtype([(name, np.dtype(entry.dtype).newbyteorder("<"), entry.shape) for name, entry in spec.items()])


def packed(samples: Mapping[str, Any], dtype: np.dtype) -> np.ndarray:
    """Arrays [B, ...] as records [B] of `dtype`. Raises ValueError where names, shapes or dtypes are not its own."""
    fields = dtype.fields or {}
    if set(samples) != set(fields):
        raise ValueError(f"samples have {sorted(samples)}, their spec {sorted(fields)}")
    records = np.empty(len(next(iter(samples.values()))), dtype)
    for name, (entry, _) in ((name, field[:2]) for name, field in fields.items()):
        array = np.asarray(samples[name])
        if array.dtype != entry.base or array.shape != (len(records), *entry.shape):
            raise ValueError(f"{name}: {array.dtype} {array.shape[1:]} is not the spec's {entry.base} {entry.shape}")
        records[name] = array
    return records


def unpacked(records: np.ndarray) -> dict[str, np.ndarray]:
    """The inverse of `packed`, for records of any shape: arrays [*records.shape, ...]."""
    return {name: np.ascontiguousarray(records[name]) for name in records.dtype.names or ()}


def set_bytes(spec: Mapping[str, Any], counts: Mapping[str, int]) -> int:
    """About the size of a set on disk: what ArrayRecord and the file system add is estimated from above."""
    return sum(counts.values()) * (record_dtype(spec).itemsize * 101 // 100 + 64) + len(counts) * (1 << 18)


def write_set(
    folder: Path,
    source: SampleSource,
    counts: Mapping[str, int],
    *,
    about: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Writes samples 0 to counts[split] - 1 of each split. `folder` appears when all is written, or not at all.

    Args: `about`, JSON types to keep in the metadata (command, versions); `progress(samples done, in all)`, which may
    raise to stop; `shard_bytes`, largest size of a file.
    Raises: UsageError where `folder` exists and is not empty, for an unknown split or a count below 0.
    """
    check_free(folder)
    check_counts(source, counts)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = folder.parent / f".{folder.name}{UNFINISHED}-{os.getpid()}"
    try:
        work.mkdir()
        splits = _write_shards(work, source, counts, progress, shard_bytes)
        metadata = {
            "format": FORMAT,
            "version": VERSION,
            "name": source.name,
            "seed": source.seed,
            "description": dict(source.description),
            "spec": [
                {"name": name, "shape": list(entry.shape), "dtype": np.dtype(entry.dtype).name}
                for name, entry in source.spec.items()
            ],
            "splits": splits,
            "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            **(about or {}),
        }
        (work / METADATA).write_text(json.dumps(metadata, indent=1) + "\n", encoding="utf-8")
        _write_sums(work)
        check_free(folder)
        work.rename(folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def check_free(folder: Path) -> None:
    """Raises UsageError if something is at `folder` that a set would overwrite."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: there is something already, and nothing is overwritten: choose another --out")


def check_counts(source: SampleSource, counts: Mapping[str, int]) -> None:
    """Raises UsageError for a split that the source does not have, a count below 0, or no sample at all."""
    for split, count in counts.items():
        if split not in source.splits:
            raise UsageError(f"split {split!r} is unknown: {source.name} has {', '.join(source.splits)}")
        if count < 0:
            raise UsageError(f"--{split}={count}: the number of samples is 0 or more")
    if not any(counts.values()):
        raise UsageError(f"no sample is asked for: give at least one of --{', --'.join(counts)} a number above 0")


def _write_shards(
    work: Path, source: SampleSource, counts: Mapping[str, int], progress: Callable[[int, int], None], shard_bytes: int
) -> dict[str, Any]:
    """Writes the files; returns the metadata's `splits`."""
    from array_record.python.array_record_module import ArrayRecordWriter

    dtype = record_dtype(source.spec)
    per_shard = max(min(shard_bytes // max(dtype.itemsize, 1), _SHARD_SAMPLES) // _BLOCK, 1) * _BLOCK
    total, done = sum(counts.values()), 0
    splits: dict[str, Any] = {}
    for split, count in counts.items():
        files = []
        shards = list(_ranges(0, count, per_shard))
        for number, (start, stop) in enumerate(shards):
            path = work / f"{split}-{number:05}-of-{len(shards):05}{SUFFIX}"
            writer = ArrayRecordWriter(str(path), _OPTIONS)
            first_record = b""
            try:
                for first, end in _ranges(start, stop, _BLOCK):
                    for record in packed(source.make(split, np.arange(first, end)), dtype):
                        first_record = first_record or record.tobytes()
                        writer.write(record.tobytes())
                    done += end - first
                    progress(done, total)
            finally:
                writer.close()
            first_sha256 = hashlib.sha256(first_record).hexdigest()
            about = {"file": path.name, "samples": stop - start, "bytes": path.stat().st_size}
            files.append({**about, "first_sha256": first_sha256})
        splits[split] = {"samples": count, "files": files}
    return splits


def _ranges(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    return ((first, min(first + size, stop)) for first in range(start, stop, size))


def _write_sums(work: Path) -> None:
    """In the format of `sha256sum`: `sha256sum --check SHA256SUMS` verifies a set without this program."""
    lines = []
    for path in sorted(work.iterdir()):
        with path.open("rb") as file:
            os.fsync(file.fileno())  # a set with sums is on the disk
        lines.append(f"{digest(path)}  {path.name}\n")
    with (work / SUMS).open("w", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def digest(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = ["check_counts", "check_free", "named_leaves", "packed", "record_dtype", "set_bytes", "unpacked", "write_set"]
