"""The effect of each part of the recipe on g0: the default config with one change, on several worlds.

python -m experiments.studies.ablations --out=DIR [--worlds=3.71,24.8] [--seeds=3] [--only=recipe,free_gauge]

Each run is a process of its own with one JSON in DIR; finished ones are skipped. `--config.FIELD=VALUE` applies to all.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from absl import flags

from o2t_jax.commands import _cli, sweep
from o2t_jax.commands._trainings import stoppable
from o2t_jax.commands.studies.worlds import check_hyperbolic, parse_worlds, run_world
from o2t_jax.errors import UsageError
from o2t_jax.training import workdir as folders

# Name -> the fields that differ from config `cpu` (or the given config).
VARIANTS: dict[str, tuple[str, ...]] = {
    "recipe": (),
    "free_gauge": ("--config=seed_cpu",),
    "no_stereo": ("--config.stereo_gap=0.001",),
    "difference_velocity": ("--config.shoot_rounds=0",),
    "law_from_blend": ("--config.law_branch=blend",),
    "encoder_sees_para5": ("--config.law_branch=encoder",),
    "h_para_in_law": ("--config.law_branch=h_para",),
    "alpha_from_start": ("--config.alpha_start=0",),
    "g0_at_network_rate": ("--config.lr_g0=1e-3",),
    "plain_decoder": ("--config.compose=False",),
    "no_view": ("--config.curriculum=no_view",),
    "picture_loss_alone": ("--config.law_weight=0",),
    "untrained_tower": ("--config.swap_weight=0",),
    "centroid": ("--config.outline=False",),
    "no_matting": ("--config.matting=False",),
}
COLUMNS = ("variant", "world", "seed", "status", "minutes", "mean_g", "mean_g_error_%")


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(stoppable(ablations), argv, doc=__doc__ or "", define=_define)


def ablations(arguments: _cli.Arguments) -> int:
    """Trains the unfinished runs, then writes and prints the table."""
    values = arguments.flags
    out = _cli.out_folder(values, "the runs and the table")
    chosen = values.only or list(VARIANTS)
    for name in chosen:
        if name not in VARIANTS:
            raise UsageError(f"--only={name} is unknown: choose from {', '.join(VARIANTS)}")
    if values.seeds < 1:
        raise UsageError(f"--seeds={values.seeds} must be at least 1")
    check_hyperbolic(arguments.config)
    common = _cli.config_overrides(list(arguments.argv))
    rows: list[dict[str, Any]] = []
    for seed in range(values.seeds):
        for name in chosen:
            folder = out / name
            folder.mkdir(parents=True, exist_ok=True)
            given = [item for item in common if not _names_config(item)] if _own_config(name) else common
            for g0, alpha in parse_worlds(values.worlds):
                row = run_world(g0, alpha, seed, [*given, *VARIANTS[name]], folder)
                rows.append({"variant": name, **{key: row[key] for key in COLUMNS if key in row}})
                (out / "table.txt").write_text(sweep.as_text(rows) + "\n")
    folders.write_json(out / "table.json", rows)
    print(sweep.as_text(rows))
    print(summary(rows))
    return int(any(row["status"] != "finished" for row in rows))


def summary(rows: list[dict[str, Any]]) -> str:
    """By variant and world: mean and largest |error| of g0 over the seeds, in percent."""
    lines = []
    for name, world in dict.fromkeys((row["variant"], row["world"]) for row in rows):
        own = [row for row in rows if (row["variant"], row["world"]) == (name, world) and "mean_g_error_%" in row]
        if own:
            errors = np.array([row["mean_g_error_%"] for row in own])
            lines.append(
                f"{name:20s} world {world:>6s}: error of g0: mean {errors.mean():+8.2f}%, "
                f"largest {np.abs(errors).max():7.2f}%, {len(own)} runs"
            )
    return "\n".join(lines)


def _own_config(name: str) -> bool:
    return any(_names_config(item) for item in VARIANTS[name])


def _names_config(item: str) -> bool:
    return item.lstrip("-").partition("=")[0] == "config"


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("worlds", "3.71,24.8", "worlds: g0 or g0:alpha, separated by commas", flag_values=values)
    flags.DEFINE_integer("seeds", 1, "runs of each variant and world", flag_values=values)
    flags.DEFINE_list("only", [], "variants to run; all if left out", flag_values=values)
    flags.DEFINE_string("out", None, "folder for the runs and the table", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
