"""The tables of docs/discs.md: models of discs that collide, beside constant velocity and a ceiling.

python -m experiments.studies.discs --out=DIR [--only=headline|steps|models|masses|law] [--seeds=3]

- `headline`: the config experiments/configs/discs/cpu.py, with seeds 0 to --seeds - 1.
- `steps`: from the classic network and recipe to the best, one change at a time.
- `models`: other networks with the best recipe's inputs, sampling and optimiser.
- `masses`: masses of 1, 5 and 25, one of them hidden, at the original's speed and at ten times that.
- `law`: the law of a collision read off three models, for e = 1 and 0.8, masses of 1, 5 and 25.

Each run is a process with one JSON in DIR; finished ones are skipped. `--config.FIELD=VALUE` applies to all.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from o2t_jax.commands import _cli, sweep
from o2t_jax.commands._trainings import stoppable
from o2t_jax.commands.studies._trained import define, finish_all, planned

CPU = "experiments/configs/discs/cpu.py"
MASSES = "experiments/configs/discs/masses.py"
TABLES = ("headline", "steps", "models", "masses", "law")
# Steps of 512 windows at which the small networks train about as long as the best one.
CHEAP = {"train_steps": 20_000, "eval_every": 5_000, "checkpoint_every": 5_000}
CLASSIC = CHEAP | {"optimiser": "rmsprop", "lr": 3e-4, "clip": 0.0, "collision_share": 0.0}
ADAM = CHEAP | {"collision_share": 0.0}
SEEN = {"relative": True, "walls": True}
OTHERS = {"neighbourhood": 3.5, "lr": 2e-3, "clip": 1.0}  # as in cpu.py
PLANNED: dict[str, dict[str, tuple[str, Mapping[str, Any]]]] = {
    "steps": {
        "classic": ("classic", CLASSIC),
        "AdamW": ("classic", ADAM),
        "sampling": ("classic", CHEAP),
        "relative inputs, walls seen": ("classic", CHEAP | SEEN),
        "impulses": ("relative", {"rounds": 1}),
        "three rounds": ("relative", {}),
    },
    "models": {
        "modern": ("modern", {**SEEN, "train_steps": 4_000}),
        "no_pairwise": ("no_pairwise", CHEAP | SEEN),
        "lstm": ("lstm", CHEAP | SEEN),
    },
}


def plan(only: str, seeds: int) -> Iterator[tuple[str, sweep.Run]]:
    """(table, run) of one table, or of all of them ("")."""
    if only in ("", "headline"):
        for seed in range(seeds):
            yield "headline", planned(f"relative-seed{seed}", f"{CPU}:relative", {}, seed)
    if only in ("", "masses"):
        for variant in ("original", "fast"):
            yield "masses", planned(f"masses-{variant}", f"{MASSES}:{variant}", {})
    for table, rows in PLANNED.items():
        if only in ("", table):
            for name, (model, fields) in rows.items():
                run = f"{table}-{name.replace(' ', '_').replace(',', '')}"
                yield table, planned(run, f"{CPU}:{model}", fields, row=name)
    if only in ("", "law"):
        for model, fields in (("relative", {}), ("classic", CHEAP | OTHERS), ("modern", OTHERS)):
            for e in (1.0, 0.8):
                own = {**fields, "model": model, "env.restitution": e, "env.rest_speed": 0.0}
                yield "law", planned(f"law-{model}-{e:g}", f"{MASSES}:original", own)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(
        stoppable(study), argv, doc=__doc__ or "", define=functools.partial(define, tables=TABLES), config=CPU
    )


def study(arguments: _cli.Arguments) -> int:
    """Trains the unfinished runs, then writes and prints the tables."""
    return finish_all(plan(arguments.flags.only, arguments.flags.seeds), arguments, column)


def column(name: str, table: bool) -> str | None:
    """See `_trained.KeptAs`: what the tests found, and the tables of the final ones."""
    group, _, short = name.partition("/")
    if table:
        return name if name in ("general/worlds", "law/impulse", "mass/masses") else None
    return short if group in ("test", "general", "law", "mass") else None


if __name__ == "__main__":
    sys.exit(main())
