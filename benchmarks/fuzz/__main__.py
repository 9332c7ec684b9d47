"""Does every parser refuse what it cannot read? `python -m benchmarks.fuzz [--n=1000] [--only=...] [--json=FILE]`.

A valid file of each parser is changed at random and read. It is accepted, or refused by a `UsageError`; anything else
is a failure, kept with its seed: `--only=NAME --first=SEED --n=1` does it again. Each parser runs in a process of its
own, so that one that crashes or hangs is a failure too. `peak_mib`: the largest memory of Python's allocations and
numpy's in one read, of a sample. With --guided, coverage steers the changes (atheris, which is in no extra). A parser
whose package is not installed is left out.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.common import FlagParser, above_zero, at_least_1, json_file
from benchmarks.fuzz import guided
from benchmarks.fuzz.parsers import NEEDS, parsers
from benchmarks.fuzz.trials import fuzz
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.writers.json_file import write_json


def main(argv: list[str] | None = None) -> int:
    """The command. Exit code 1 where anything failed."""
    names = list(parsers(Path()))
    parser = FlagParser("fuzz", "Every parser under random damage")
    parser.add_argument("--n", type=at_least_1, default=1000, help="inputs of each parser")
    parser.add_argument("--first", type=int, default=0, help="the first input's seed; not of --guided")
    parser.add_argument("--seconds", type=above_zero, default=1e6, help="of each parser, at most")
    parser.add_argument("--guided", action="store_true", help="changes that reach new edges are kept (needs atheris)")
    parser.add_argument("--only", default=",".join(names), help=f"of {', '.join(names)}")
    parser.add_argument("--json", metavar="FILE", type=json_file, help="write the figures to FILE")
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.only.split(",")) - set(names):
        parser.error(f"{', '.join(sorted(unknown))} is unknown: choose from {', '.join(names)}")
    if arguments.guided:
        try:
            guided.check_atheris()
        except UsageError as error:
            parser.error(str(error))
    found: dict[str, Any] = {}
    for name in arguments.only.split(","):
        if name in NEEDS and find_spec(NEEDS[name]) is None:
            print(f"{name} is left out: it needs {NEEDS[name]}", flush=True)
            continue
        if arguments.guided:
            row = guided.fuzz(name, arguments.n, arguments.seconds)
        else:
            row = fuzz(name, arguments.first, arguments.n, arguments.seconds)
        found[name] = row
        print(name, {key: value for key, value in row.items() if key != "failures"}, flush=True)
        for failure in row["failures"]:
            print("   ", failure, flush=True)
    failed = sum(row["failed"] for row in found.values())
    if arguments.json:
        write_json({"parsers": found, "failed": failed}, arguments.json)
    return int(failed > 0 or any(row["n"] == 0 for row in found.values()))


if __name__ == "__main__":
    sys.exit(main())
