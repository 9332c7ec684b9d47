"""Random rows of BENCHMARKS.md, measured again: `python -m benchmarks.reproduce [--sample=5] [--seed=0] [--json=FILE]`

Draws rows that can be measured here, runs their commands and says which figures lie outside their stated spread, or,
where a row states none, outside the tolerance that is printed beside it. Rows that cannot be measured here are counted
with the reason; they are not passed. `--sample=0` runs nothing and lists them.

--only=FILE,...    rows of these files of results/benchmarks only (95_parameters)
--budget=MINUTES   no command that may take longer than what is left is begun, and none runs longer
--machine=NAME     this machine is NAME of results/benchmarks/machines.json: its speeds are measured too
Exit code 1 where a row is outside or its command fails.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from benchmarks import table
from benchmarks.common import FlagParser, json_file
from benchmarks.reproduce import sample
from o2t_jax.commands import _cli
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.writers.json_file import write_json

COLUMNS = {"file": "", "what": "", "stated": "", "measured": "", "allowed": "", "by": "", "verdict": ""}


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = FlagParser("reproduce", __doc__)
    parser.add_argument("--sample", type=int, default=5, help="rows that are measured again")
    parser.add_argument("--seed", type=int, default=0, help="of the choice")
    parser.add_argument("--only", default="", help="files of results/benchmarks, without .json")
    parser.add_argument("--budget", type=float, default=1e6, help="minutes")
    parser.add_argument("--machine", default="", help="name of this machine in machines.json")
    parser.add_argument("--json", metavar="FILE", type=json_file, help="write the figures to FILE")
    arguments = parser.parse_args(argv)
    try:
        if arguments.sample < 0:
            raise UsageError(f"--sample={arguments.sample} must not be negative")
        rows = sample.stated_rows(table.RESULTS, arguments.only)
        if arguments.machine and arguments.machine not in sample.machines(table.RESULTS):
            raise UsageError(f"--machine={arguments.machine} is not in {table.MACHINES}")
    except UsageError as error:
        return _cli.fail(str(error))
    candidates, left_out = sample.sort_out(rows, arguments.machine, arguments.budget)
    chosen = sample.choose(candidates, arguments.sample, arguments.seed)
    with tempfile.TemporaryDirectory(prefix="reproduce-") as folder:
        found = sample.measure(chosen, Path(folder), arguments.budget, lambda text: print(text, file=sys.stderr))
    report(found, left_out, len(rows), len(candidates))
    if arguments.json:
        load = os.getloadavg() if hasattr(os, "getloadavg") else None
        content = {"seed": arguments.seed, "stated": len(rows), "candidates": len(candidates), "rows": found}
        content |= {"not_reproducible_here": left_out, "load": load}
        write_json(content, arguments.json)
    return int(any(row["verdict"] in ("outside", "failed") for row in found))


def report(found: list[dict], left_out: dict[str, dict[str, int]], stated: int, candidates: int) -> None:
    """The table, and what was not measured and why."""
    from o2t_jax.evaluation.writers.console import format_table

    if found:
        print(format_table([{key: row.get(key, "") for key in COLUMNS} for row in found], COLUMNS), "\n")
    print(f"{stated} rows are stated, {candidates} of them can be measured here, {len(found)} were drawn")
    print("not reproducible here, by file:")
    for file, reasons in left_out.items():
        print(f"  {file}: " + "; ".join(f"{count} rows: {reason}" for reason, count in reasons.items()))


if __name__ == "__main__":
    sys.exit(main())
