"""The tables of docs/motion.md: motion continued, the physics gate, motion from words.

python -m experiments.studies.motion --out=DIR [--only=headline|gate|text] [--seeds=3] [--clips=PATH]

- `headline`: the config experiments/configs/motion/cpu.py, with seeds 0 to --seeds - 1.
- `gate`: the gate learned, none of equal parameters, held at 0 and 1, with another clip's physics state, without
  penalties; without a gate there is also a row with feet locked by inverse kinematics afterwards. All seeds of what
  is compared: the gate learned, held at 1, left out.
- `text`: from words alone, a deterministic head and a stochastic one.

With `--clips` the same on recorded clips. Each run is a process with one JSON in DIR; finished ones are skipped.
`--config.FIELD=VALUE` applies to all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from absl import flags

from o2t_jax.commands import _cli, sweep
from o2t_jax.commands._trainings import stoppable
from o2t_jax.commands.studies._trained import define, finish_all, planned

CPU = "experiments/configs/motion/cpu.py"
TABLES: dict[str, tuple[str, ...]] = {
    "headline": ("gated",),
    "gate": ("gated", "ungated", "zero", "one", "shuffled", "free", "motion"),
    "text": ("text", "stochastic"),
}
SEEDED = ("gated", "ungated", "one")


def plan(only: str, seeds: int, clips: str) -> Iterator[tuple[str, sweep.Run]]:
    """(table, run) of one table, or of all of them (""). A run that two tables share has one name."""
    kind, own = ("recorded", {"clips": clips}) if clips else ("gaits", {})
    for table, variants in TABLES.items():
        if only not in ("", table):
            continue
        for variant in variants:
            for seed in range(seeds if variant in SEEDED else 1):
                yield table, planned(f"{kind}-{variant}-seed{seed}", f"{CPU}:{variant}", own, seed)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(stoppable(study), argv, doc=__doc__ or "", define=_define, config=CPU)


def study(arguments: _cli.Arguments) -> int:
    """Trains the unfinished runs, then writes and prints the tables."""
    values = arguments.flags
    return finish_all(plan(values.only, values.seeds, values.clips), arguments, column)


def column(name: str, table: bool) -> str | None:
    """See `_trained.KeptAs`: what both tests found."""
    group, _, short = name.partition("/")
    if group not in ("test", "text"):
        return None
    return short if group == "test" and not table else name


def _define(values: flags.FlagValues) -> None:
    define(values, TABLES)
    flags.DEFINE_string("clips", "", "folder or archive of recorded BVH clips; empty: made gaits", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
