"""The tables of docs/video.md: a world model of nine sets, beside rows that learn nothing.

python -m experiments.studies.video --out=DIR [--only=headline|quantisers] [--seeds=3]

- `headline`: the config experiments/configs/video/cpu.py, with seeds 0 to --seeds - 1.
- `quantisers`: the same with finite scalar quantisation, and with latents that are not quantised.

Each run is a process with one JSON in DIR; finished ones are skipped. `--config.FIELD=VALUE` applies to all.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator

from o2t_jax.commands import _cli, sweep
from o2t_jax.commands._trainings import stoppable
from o2t_jax.commands.studies._trained import define, finish_all, planned

CPU = "experiments/configs/video/cpu.py"
TABLES = ("headline", "quantisers")
KEPT = ("test/sets", "test/objects", "codes/reconstruction", "probes/linear", "laws/constants")


def plan(only: str, seeds: int) -> Iterator[tuple[str, sweep.Run]]:
    """(table, run) of one table, or of all of them ("")."""
    if only in ("", "headline"):
        for seed in range(seeds):
            yield "headline", planned(f"ema-seed{seed}", CPU, {}, seed)
    if only in ("", "quantisers"):
        for quantiser in ("fsq", "none"):
            yield "quantisers", planned(f"{quantiser}-seed0", f"{CPU}:{quantiser}", {})


def column(name: str, table: bool) -> str | None:
    """See `_trained.KeptAs`: all numbers, and some tables."""
    return name if not table or name in KEPT else None


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(
        stoppable(study), argv, doc=__doc__ or "", define=functools.partial(define, tables=TABLES), config=CPU
    )


def study(arguments: _cli.Arguments) -> int:
    """Trains the unfinished runs, then writes and prints the tables."""
    return finish_all(plan(arguments.flags.only, arguments.flags.seeds), arguments, column)


if __name__ == "__main__":
    sys.exit(main())
