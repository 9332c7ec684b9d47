"""Reads sets of samples (`records.py`): any sample at random, checked, in little memory whatever the set's size.

At opening, the metadata's sum and the size of every file are compared; at a file's first read, the SHA-256 of its first
record (two files that have changed places). At every read ArrayRecord compares each record's hash. `verify` compares
the SHA-256 of every file, which reads all of it. Needs no JAX.
"""

from __future__ import annotations

import collections
import hashlib
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from o2t_jax.config import did_you_mean, flatten
from o2t_jax.data.records import METADATA, SUFFIX, SUMS, UNFINISHED, digest, record_dtype, unpacked
from o2t_jax.data.stored_metadata import read_metadata
from o2t_jax.errors import UsageError
from o2t_jax.parsing import plain_name

if TYPE_CHECKING:
    from o2t_jax.types import SampleSource

DATASETS = Path("datasets")
LATEST = "latest"
# Without readahead and threads, whose buffers serve sequential reads.
_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
_READER_BYTES = 320 << 20  # for all open readers
_READER_BASE, _READER_PER_SAMPLE = 2 << 20, 32  # buffers, and the index; measured


class Entry(NamedTuple):
    """One array of a sample."""

    shape: tuple[int, ...]
    dtype: np.dtype


class StoredSet:
    """An opened set; see `open_set`. Threads may read from it at the same time.

    Attributes: `path`; `metadata`, the content of metadata.json; `spec`, name -> `Entry` of one sample; `splits`, name
    -> number of samples.
    """

    def __init__(self, path: Path, metadata: Mapping[str, Any], sums: Mapping[str, str]) -> None:
        self.path, self.metadata, self._sums = path, metadata, sums
        self.spec = {
            entry["name"]: Entry(tuple(entry["shape"]), np.dtype(entry["dtype"])) for entry in metadata["spec"]
        }
        self.splits: Mapping[str, int] = MappingProxyType(
            {name: split["samples"] for name, split in metadata["splits"].items()}
        )
        self._dtype = record_dtype(self.spec)
        self._files = {name: split["files"] for name, split in metadata["splits"].items()}
        self._starts = {
            name: np.cumsum([0, *(file["samples"] for file in files)]) for name, files in self._files.items()
        }
        self._readers: collections.OrderedDict[str, tuple[Any, int]] = collections.OrderedDict()
        self._lock = threading.Lock()

    def size(self, split: str) -> int:
        """Number of samples of a split. Raises UsageError for an unknown one."""
        if split not in self.splits:
            hint = did_you_mean(split, self.splits) or f"it has {', '.join(self.splits)}"
            raise UsageError(f"{self.path} has no split {split!r}: {hint}")
        return self.splits[split]

    def read(self, split: str, indices: Any) -> dict[str, np.ndarray]:
        """Samples `indices` int [...] of a split, in this order, repeated as often as named: arrays [..., *shape].

        Raises: UsageError for an unknown split, an index outside of it, or a damaged file.
        """
        size, indices = self.size(split), np.asarray(indices)
        if indices.size and (indices.min() < 0 or indices.max() >= size):
            wrong = indices.min() if indices.min() < 0 else indices.max()
            raise UsageError(f"{self.path}: sample {wrong} is outside of {split}, which has {size:,}, numbered from 0")
        starts, flat = self._starts[split], indices.ravel()
        shards = np.searchsorted(starts, flat, side="right") - 1
        records = np.empty(flat.shape, self._dtype)
        for shard in np.unique(shards):
            places = np.flatnonzero(shards == shard)
            records[places] = self._read_file(self._files[split][shard], flat[places] - starts[shard])
        return unpacked(records.reshape(indices.shape))

    def verify(self) -> None:
        """Compares the SHA-256 of every file. Raises UsageError that names the first one that differs."""
        for name, wanted in self._sums.items():
            if digest(self.path / name) != wanted:
                raise _damaged(self.path, f"{name} does not match its SHA-256")

    def require(self, source: SampleSource) -> StoredSet:
        """The set itself, if its samples are those of `source`, whatever the seed. Raises UsageError otherwise."""
        there = flatten(dict(self.metadata["description"]))
        wanted = flatten(json.loads(json.dumps(dict(source.description))))
        for name in [*wanted, *(name for name in there if name not in wanted)]:
            if there.get(name) != wanted.get(name):
                raise UsageError(
                    f"{self.path} is a set of another kind: its {name} is {there.get(name)}, and {wanted.get(name)} is "
                    "wanted: choose another set, or make one with python -m experiments.generate"
                )
        spec = {name: Entry(tuple(entry.shape), np.dtype(entry.dtype)) for name, entry in source.spec.items()}
        for name in [*spec, *(name for name in self.spec if name not in spec)]:
            if self.spec.get(name) != spec.get(name):
                raise UsageError(
                    f"{self.path} is a set of another kind: a sample has {name}: {_shown(self.spec.get(name))}, and "
                    f"{_shown(spec.get(name))} is wanted: make one with python -m experiments.generate"
                )
        return self

    def close(self) -> None:
        """Closes all files; a later `read` opens them again."""
        with self._lock:
            for reader, _ in self._readers.values():
                reader.close()
            self._readers.clear()

    def __enter__(self) -> StoredSet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"StoredSet({str(self.path)!r}, {dict(self.splits)})"

    def _read_file(self, file: Mapping[str, Any], places: np.ndarray) -> np.ndarray:
        """Records [N] at `places` of one file."""
        name = file["file"]
        try:
            with self._lock:
                found = self._reader(file).read(places.tolist())
        except (RuntimeError, IndexError, ValueError, OSError) as error:
            raise _damaged(self.path, f"{name} cannot be read ({error})") from error
        if len(found) != len(places) or any(len(record) != self._dtype.itemsize for record in found):
            raise _damaged(self.path, f"{name} has records of another size")
        return np.frombuffer(b"".join(found), self._dtype)

    def _reader(self, file: Mapping[str, Any]) -> Any:
        """The file's reader, opened now or kept; those not used for longest are closed to bound the memory."""
        from array_record.python.array_record_module import ArrayRecordReader

        name = file["file"]
        if name not in self._readers:
            cost = _READER_BASE + _READER_PER_SAMPLE * file["samples"]
            while self._readers and cost + sum(kept for _, kept in self._readers.values()) > _READER_BYTES:
                self._readers.popitem(last=False)[1][0].close()
            reader = ArrayRecordReader(str(self.path / name), _OPTIONS)
            if not reader.ok() or reader.num_records() != file["samples"]:
                raise RuntimeError(f"{reader.num_records()} records in place of {file['samples']}")
            # Files of one set are of the same size and whole each: only this tells that two have changed places.
            wanted = file.get("first_sha256")
            if wanted is not None and hashlib.sha256(reader.read([0])[0]).hexdigest() != wanted:
                raise RuntimeError("it is another file's content")
            self._readers[name] = (reader, cost)
        self._readers.move_to_end(name)
        return self._readers[name][0]


def open_set(path: str | Path, *, verify: bool = False) -> StoredSet:
    """Opens a set: a folder, or NAME/TIME or NAME/latest of `datasets/`.

    Args: `verify` compares the SHA-256 of all files, which reads all of them; without it, sizes and the metadata.
    Raises: UsageError, one line: no such folder, not a set, unfinished, damaged, of a newer format.
    """
    folder = find_set(path)
    metadata, sums = _opened(folder)
    stored = StoredSet(folder, metadata, sums)
    if verify:
        stored.verify()
    return stored


def find_set(path: str | Path) -> Path:
    """The folder of a set by its path, or by NAME/TIME or NAME/latest under `datasets/`. Raises UsageError."""
    folder = next((item for item in (Path(path), DATASETS / path) if item.exists()), Path(path))
    if folder.name == LATEST:
        # Times sort as texts do. Those being written have a dot in front.
        groups = (folder.parent, DATASETS / folder.parent)
        finished = [item for group in groups for item in _folders(group) if (item / SUMS).is_file()]
        folder = finished[-1] if finished else folder
    if not folder.exists():
        known = [item.relative_to(DATASETS).as_posix() for group in _folders(DATASETS) for item in _folders(group)]
        there = f"there are {', '.join(known[-5:])}" if known else "make one with python -m experiments.generate"
        raise UsageError(f"no set of samples {str(path)!r}, here or in {DATASETS}/: {there}")
    return folder


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(item for item in folder.iterdir() if item.is_dir() and not item.name.startswith("."))


def _opened(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Metadata and sums, after the checks that read no samples."""
    names = {item.name for item in folder.iterdir()} if folder.is_dir() else set()
    if SUMS not in names and (UNFINISHED in folder.name or any(name.endswith(SUFFIX) for name in names)):
        raise UsageError(
            f"{folder} is unfinished: it has no {SUMS}; delete it and run python -m experiments.generate again"
        )
    if not {SUMS, METADATA} & names:
        raise UsageError(f"{folder} is not a set of samples: give a folder that python -m experiments.generate made")
    for name in (SUMS, METADATA):
        if name not in names:
            raise _damaged(folder, f"{name} is missing")
    metadata, fault = {}, ""
    try:
        metadata = read_metadata(folder / METADATA)
    except UsageError:
        raise
    except (ValueError, OSError) as error:
        fault = str(error)
    lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    sums = {name: value for value, _, name in (line.partition("  ") for line in lines)}
    if sums.get(METADATA) != digest(folder / METADATA):
        raise _damaged(folder, f"{METADATA} does not match its SHA-256")
    if fault:
        raise _damaged(folder, f"{METADATA} cannot be used ({fault})")
    for name in sums:
        if not plain_name(name):
            raise _damaged(folder, f"{name!r} of {SUMS} is no file of the set")
        if not (folder / name).is_file():
            raise _damaged(folder, f"{name} is missing")
    for file in (file for split in metadata["splits"].values() for file in split["files"]):
        path = folder / file["file"]
        if not path.is_file():
            raise _damaged(folder, f"{path.name} is missing")
        if path.stat().st_size != file["bytes"]:
            raise _damaged(folder, f"{path.name} has {path.stat().st_size:,} bytes in place of {file['bytes']:,}")
        if path.name not in sums:
            raise _damaged(folder, f"{SUMS} lacks {path.name}")
    return metadata, sums


def _damaged(folder: Path, what: str) -> UsageError:
    return UsageError(f"{folder} is damaged: {what}; make the set again with python -m experiments.generate")


def _shown(entry: Entry | None) -> str:
    return f"{entry.dtype} {entry.shape}" if entry else "nothing"


__all__ = ["DATASETS", "Entry", "StoredSet", "find_set", "open_set"]
