"""What is lost by faults: `python -m benchmarks.faults [--n=300] [--corruptions=1000] [--only=...] [--json=FILE]`.

kills        trainings of several systems, killed at random moments and started again by the same command, end with the
             same bytes as untouched ones (`kills_lost`: those of a chain in which anything differs or is left behind)
corruptions  files of checkpoints, sets of samples and kept pictures are damaged: `corruptions_silent` came back as
             something else without a word
devices      a run saved on 1, 2 or 4 devices (simulated) goes on on 1, 2 and 4: equal values on each of them, and the
             next 100 losses as of the run that nothing stopped (--device_systems)
faults       one fault of each kind, once: one line, the last good state kept, no hang (`--only=faults`)

A training of seconds is imported once and forked for each start. With --out=DIR the same command again goes on where
the last one ended: finished chains of kills and corruptions are kept in DIR. Runs on CPU; needs Linux.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import FlagParser, at_least_1, each_at_least_1, json_file
from benchmarks.faults import chains, devices, forked, kills
from o2t_jax.commands import _cli
from o2t_jax.errors import UsageError

PARTS = ("kills", "corruptions", "devices", "faults")
COLUMNS = {
    "kills": {"system": "", "kills": "d", "kills_lost": "d", "most_repeated": "d", "seconds": ".0f"},
    "corruptions": {"what": "", "damage": "", "corruptions": "d", "detected": "d", "harmless": "d", "silent": "d"},
    "devices": {
        "system": "",
        "saved_on": "d",
        "goes_on_on": "d",
        "equal": "",
        "losses": "d",
        "absolute": ".1e",
        "relative": ".1e",
        "passed": "",
    },
    "faults": {"fault": "", "passed": "", "seconds": ".1f", "line": ""},
}


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
    systems = [] if set(only) <= {"faults", "devices"} else arguments.systems.split(",")
    several = arguments.device_systems.split(",") if "devices" in only else []
    trainings = {
        name: (*kills.TRAININGS[name], "--config.writers=jsonl", cache) for name in dict.fromkeys([*systems, *several])
    }
    forked.warm(trainings, folder)
    found: dict[str, Any] = {}
    deadline = time.monotonic() + 60 * arguments.minutes
    if "corruptions" in only:
        workdirs = {name: folder / name for name in systems}
        rows = forked.result_of(
            lambda: damage_all(workdirs, arguments.corruptions, arguments.seed, folder, deadline), folder
        )
        totals = {key: sum(row.get(key, 0) for row in rows) for key in ("corruptions", "silent", "traceback")}
        found |= {"corruptions": totals["corruptions"], "corruptions_silent": totals["silent"]}
        found |= {"corruptions_tracebacks": totals["traceback"], "corruption_rows": rows}
        told(f"corruptions: {totals}")
    if "kills" in only:
        rows = chains.measure(trainings, arguments.n, folder, arguments.seed, told, deadline)
        found |= {key: sum(row[key] for row in rows) for key in ("kills", "kills_lost")} | {"kill_rows": rows}
    if "devices" in only:
        asked = {name: trainings[name] for name in several}
        rows = devices.measure(asked, folder, told, arguments.device_counts, arguments.device_steps)
        found |= {"devices_failed": sum(not row["passed"] for row in rows), "device_rows": rows}
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
    parser = FlagParser("faults", "What is lost by faults")
    parser.add_argument("--n", type=at_least_1, default=300, help="kills in all")
    parser.add_argument("--corruptions", type=at_least_1, default=1000, help="damaged files in all")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {', '.join(PARTS)}")
    parser.add_argument("--systems", default=",".join(kills.TRAININGS), help="trainings that are killed and damaged")
    parser.add_argument("--device_systems", default="line,toy,dynamics", help="trainings of devices")
    counts = ",".join(map(str, devices.COUNTS))
    parser.add_argument("--device_counts", type=each_at_least_1, default=counts, help="numbers of devices")
    parser.add_argument("--device_steps", type=at_least_1, default=devices.STEPS, help="losses that are compared")
    parser.add_argument(
        "--minutes", type=float, default=1e6, help="nothing new of kills and corruptions after this time"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments and places")
    parser.add_argument("--out", help="folder that is kept; a temporary one if left out")
    parser.add_argument("--json", metavar="FILE", type=json_file, help="write the figures to FILE")
    arguments = parser.parse_args(argv)
    named = (arguments.systems, arguments.device_systems)
    for given, known in ((arguments.only, PARTS), *((names, kills.TRAININGS) for names in named)):
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
            print(format_table([{key: row.get(key) for key in columns} for row in rows], columns), "\n")
    found["seconds"] = time.monotonic() - begun
    if arguments.json:
        write_json(found, arguments.json)
    lost = ("kills_lost", "corruptions_silent", "corruptions_tracebacks", "devices_failed", "faults_failed")
    return int(any(found.get(name, 0) for name in lost))


if __name__ == "__main__":
    sys.exit(main())
