"""What is lost by faults: `python -m benchmarks.faults [--n=300] [--corruptions=1000] [--only=...] [--json=FILE]`.

kills        trainings of several systems, killed at random moments and started again by the same command, end with the
             same bytes as untouched ones (`kills_lost`: those of a chain in which anything differs or is left behind)
corruptions  files of checkpoints, sets of samples and kept pictures are damaged: `corruptions_silent` came back as
             something else without a word
faults       one fault of each kind, once: one line, the last good state kept, no hang (`--only=faults`)

A training of seconds is imported once and forked for each start. With --out=DIR the same command again goes on where
the last one ended: finished chains of kills and corruptions are kept in DIR. Runs on CPU; needs Linux.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import Parser, json_file
from benchmarks.faults import chains, forked, kills
from o2t_jax.commands import _cli
from o2t_jax.errors import UsageError

_REFUSED = 2  # exit code
PARTS = ("kills", "corruptions", "faults")
COLUMNS = {
    "kills": {"system": "", "kills": "d", "kills_lost": "d", "most_repeated": "d", "seconds": ".0f"},
    "corruptions": {"what": "", "damage": "", "corruptions": "d", "detected": "d", "harmless": "d", "silent": "d"},
    "faults": {"fault": "", "passed": "", "seconds": ".1f", "line": ""},
}


def in_a_fork(work: Callable[[], Any], folder: Path) -> Any:
    """The result (JSON) of `work` in a fork, so that this process never starts JAX. Raises: UsageError as `work`."""

    def run() -> int:
        try:
            (folder / "found.json").write_text(json.dumps(work()))
        except UsageError as error:
            print(error)
            return _REFUSED
        return 0

    fork = forked.Fork(run, folder / "fork.log")
    if code := fork.wait(seconds=1e5):
        said = (folder / "fork.log").read_text()
        if code == _REFUSED:
            raise UsageError(said.strip().rpartition("\n")[2])
        raise RuntimeError(said[-4000:])
    return json.loads((folder / "found.json").read_text())


def damage_all(workdirs: dict[str, Path], count: int, seed: int, folder: Path, deadline: float) -> list[dict[str, Any]]:
    """The trials of `corruptions` on finished runs, a set of samples and kept pictures."""
    from benchmarks.faults import corruptions

    trials: dict[str, corruptions.Trial] = {
        f"checkpoint of {name}": corruptions.Checkpoints(path, folder).trial for name, path in workdirs.items()
    }
    trials["set of samples"] = corruptions.Sets(folder).trial
    trials["pictures of a module"] = corruptions.Pictures(folder).trial
    return corruptions.measure(trials, count, seed, folder / "corruptions.json", deadline)


def measure(arguments: argparse.Namespace, folder: Path, told: Callable[[str], None]) -> dict[str, Any]:
    """All parts that are asked for: the rows of each, and the totals."""
    only = arguments.only.split(",")
    cache = f"--config.compilation_cache={folder / 'cache'}"
    systems = [] if only == ["faults"] else arguments.systems.split(",")
    trainings = {name: (*kills.TRAININGS[name], "--config.writers=jsonl", cache) for name in systems}
    forked.warm(trainings, folder)
    found: dict[str, Any] = {}
    deadline = time.monotonic() + 60 * arguments.minutes
    if "corruptions" in only:
        workdirs = {name: folder / name for name in systems}
        rows = in_a_fork(lambda: damage_all(workdirs, arguments.corruptions, arguments.seed, folder, deadline), folder)
        totals = {key: sum(row.get(key, 0) for row in rows) for key in ("corruptions", "silent", "traceback")}
        found |= {"corruptions": totals["corruptions"], "corruptions_silent": totals["silent"]}
        found |= {"corruptions_tracebacks": totals["traceback"], "corruption_rows": rows}
        told(f"corruptions: {totals}")
    if "kills" in only:
        rows = chains.measure(trainings, arguments.n, folder, arguments.seed, told, deadline)
        found |= {key: sum(row[key] for row in rows) for key in ("kills", "kills_lost")} | {"kill_rows": rows}
    if "faults" in only:
        from benchmarks.faults import table

        rows = table.measure(folder, told)
        found |= {"faults": len(rows), "faults_failed": sum(not row["passed"] for row in rows), "fault_rows": rows}
    return found


def made(folder: Path) -> Path:
    """The folder itself. Raises: UsageError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out={folder} cannot be made ({error.strerror}): give another folder") from None
    return folder


def main(argv: list[str] | None = None) -> int:
    """The command. Exit code 1 where anything was lost."""
    parser = Parser("faults", "What is lost by faults")
    parser.add_argument("--n", type=int, default=300, help="kills in all")
    parser.add_argument("--corruptions", type=int, default=1000, help="damaged files in all")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {', '.join(PARTS)}")
    parser.add_argument("--systems", default=",".join(kills.TRAININGS), help="trainings that are killed and damaged")
    parser.add_argument(
        "--minutes", type=float, default=1e6, help="nothing new of kills and corruptions after this time"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments and places")
    parser.add_argument("--out", help="folder that is kept; a temporary one if left out")
    parser.add_argument("--json", metavar="FILE", type=json_file, help="write the figures to FILE")
    arguments = parser.parse_args(argv)
    for given, known in ((arguments.only, PARTS), (arguments.systems, kills.TRAININGS)):
        if unknown := set(given.split(",")) - set(known):
            parser.error(f"{', '.join(sorted(unknown))} is unknown: choose from {', '.join(known)}")
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="faults-") as temporary:
            folder = made(Path(arguments.out or temporary))
            found = measure(arguments, folder, lambda text: print(text, file=sys.stderr, flush=True))
    except UsageError as error:
        return _cli.fail(str(error))
    from o2t_jax.evaluation.writers.console import format_table
    from o2t_jax.evaluation.writers.json_file import write_json

    for name, columns in COLUMNS.items():
        if rows := found.get(f"{name.removesuffix('s')}_rows"):
            print(format_table([{key: row.get(key, 0) for key in columns} for row in rows], columns), "\n")
    found["seconds"] = time.monotonic() - begun
    if arguments.json:
        write_json(found, arguments.json)
    lost = ("kills_lost", "corruptions_silent", "corruptions_tracebacks", "faults_failed")
    return int(any(found.get(name, 0) for name in lost))


if __name__ == "__main__":
    sys.exit(main())
