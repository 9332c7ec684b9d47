"""Memory and speed of reading a stored set: `python -m benchmarks.records [--gigabytes=2] [--out=DIR] [--json=FILE]`.

Writes a set of random float32 sequences, 8 KB a sample, to a folder in DIR and removes it at the end. Three child
processes import the same: one opens no set; one reads random batches of the whole set at once (as an evaluator); one
trains on it (`StoredBatches`, a thread that reads ahead). Memory is each child's peak resident size above that of the
first. What the system keeps of files in its page cache belongs to no process, and makes the speeds those of memory:
they say what reading costs beside the disk.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import FlagParser, above_zero, finish
from o2t_jax.data.records import record_dtype, write_set
from o2t_jax.data.stored import Entry, StoredSet, open_set
from o2t_jax.data.stored_batches import StoredBatches

KINDS = {"none": "no set", "random": "random reads of every sample", "train": "shuffled batches, one epoch"}
STEPS, BATCH = 200, 64


class RandomSequences:
    """A source of sequences [201, 8] of states and [200, 2] of actions, from numpy's generator."""

    name, seed = "random", 0
    splits = {"train": 0}  # noqa: RUF012
    description = {"steps": STEPS}  # noqa: RUF012
    spec: Any = {  # noqa: RUF012
        "states": Entry((STEPS + 1, 8), np.dtype(np.float32)),
        "actions": Entry((STEPS, 2), np.dtype(np.float32)),
    }

    def make(self, split: str, indices: np.ndarray) -> dict[str, np.ndarray]:
        """See `types.SampleSource`."""
        rng = np.random.default_rng(int(indices[0]))
        return {
            name: rng.random((len(indices), *entry.shape), entry.dtype) for name, entry in sorted(self.spec.items())
        }


def read_all(stored: StoredSet) -> int:
    """Reads every sample once, in random order; returns the bytes."""
    order = np.random.default_rng(0).permutation(stored.size("train"))
    return sum(
        sum(array.nbytes for array in stored.read("train", order[i : i + BATCH]).values())
        for i in range(0, len(order), BATCH)
    )


def read_epoch(stored: StoredSet) -> int:
    """One epoch of a training iterator; returns the bytes."""
    batches, steps = StoredBatches(stored, "train", BATCH), stored.size("train") // BATCH
    total = sum(sum(array.nbytes for array in next(batches).values()) for _ in range(steps))
    batches.close()
    return total


def child(kind: str, folder: str) -> None:
    """Prints peak memory in bytes, and bytes per second, as JSON."""
    import grain  # noqa: F401 - in every child, so that it cancels
    from array_record.python.array_record_module import ArrayRecordReader  # noqa: F401

    begun, read = time.perf_counter(), 0
    if kind != "none":
        with open_set(folder) as stored:
            read = (read_all if kind == "random" else read_epoch)(stored)
    print(json.dumps({"peak": peak_bytes(), "speed": read / (time.perf_counter() - begun)}))


def peak_bytes() -> int:
    """Peak resident memory of this process, which a program before `exec` cannot have raised where Linux says so."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(gigabytes: float, out: Path) -> dict[str, Any]:
    """Writes the set, runs the children, removes the set."""
    source = RandomSequences()
    count = max(BATCH, round(gigabytes * 1e9 / record_dtype(source.spec).itemsize))
    rows = []
    with tempfile.TemporaryDirectory(dir=out, prefix="records-") as place:
        folder = Path(place) / "set"
        begun = time.perf_counter()
        write_set(folder, source, {"train": count})
        written, seconds = sum(path.stat().st_size for path in folder.iterdir()), time.perf_counter() - begun
        for kind, what in KINDS.items():
            command = [sys.executable, "-m", "benchmarks.records", f"--child={kind}", f"--out={folder}"]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            above = (found["peak"] - (rows[0]["peak_mb"] * 1e6 if rows else found["peak"])) / 1e6
            rows.append(
                {
                    "child": what,
                    "peak_mb": found["peak"] / 1e6,
                    "above_mb": above,
                    "mb_per_s": found["speed"] / 1e6,
                }
            )
        begun = time.perf_counter()
        open_set(folder, verify=True)
        verified = time.perf_counter() - begun
    return {
        "rows": rows,
        "samples": count,
        "bytes": written,
        "write_mb_per_s": written / seconds / 1e6,
        "verify_mb_per_s": written / verified / 1e6,
    }


def main(argv: list[str] | None = None) -> None:
    parser = FlagParser("records", "Memory of a stored set's reader")
    parser.add_argument("--gigabytes", type=above_zero, default=2.0, help="size of the set")
    parser.add_argument("--out", default=tempfile.gettempdir(), help="folder for the set, which is removed at the end")
    parser.add_json()
    parser.add_argument("--child", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.child:
        child(arguments.child, arguments.out)
        return
    result = measure(arguments.gigabytes, Path(arguments.out))
    columns = {"child": "", "peak_mb": ".0f", "above_mb": ".0f", "mb_per_s": ".0f"}
    finish(result.pop("rows"), columns, arguments.json, **result)


if __name__ == "__main__":
    main()
