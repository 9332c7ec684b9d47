"""Trains one config on many worlds and compares each run's law with the world's own and with trivial answers.

python -m experiments.studies.worlds --config=FILE --out=DIR --worlds="1.62,3.71" --draw=2 --low=1 --high=30 --seeds=3
python -m experiments.studies.worlds --config=fall --out=DIR --draw=5 --low=9 --high=10 --alpha=10

A world is g0 in m/s^2, or g0:alpha (alpha in m^2/s^2). `--draw` adds worlds drawn at run time: g0 from [low, high],
alpha from [-A, A] (the first three with |alpha| >= A / 2). They are kept in DIR/worlds.json, so that the same command
resumes. Each run is a process of its own with one JSON in DIR; finished ones are skipped.
`--refine` adds the law refined by bundle adjustment of at most `--zooms` close-ups (0: of the training's own pictures).
It reports 95% intervals, whether they contain the truth, and the form that the sightings support (configs with
sampler=flights).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from o2t_jax.commands import _cli, sweep
from o2t_jax.commands._close_ups import MOST_CLOSE_UPS, as_columns, read_and_refine
from o2t_jax.commands._trainings import stoppable
from o2t_jax.errors import UsageError
from o2t_jax.training import workdir as folders

# Heights (m) that a law g0 + alpha / (z + 10) is judged on.
HEIGHTS = np.linspace(0.0, 20.0, 201)
COLUMNS = ("world", "seed", "status", "minutes", "mean_g", "mean_g_error_%", "g0", "alpha", "curve_error", "fit_error")
REFINED = ("law phase", "refined", "refined g0", "refined alpha", "held", "form")
STRONG = 3


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(stoppable(run_worlds), argv, doc=__doc__ or "", define=_define)


def run_worlds(arguments: _cli.Arguments) -> int:
    """Trains the unfinished runs, then writes and prints the table."""
    values = arguments.flags
    out = _cli.out_folder(values, "the runs and the table")
    if values.seeds < 1:
        raise UsageError(f"--seeds={values.seeds} must be at least 1")
    if values.refine and (arguments.config is None or arguments.config.get("sampler") != "flights"):
        raise UsageError("--refine needs whole flights: a config with sampler=flights, such as fall or room")
    check_hyperbolic(arguments.config)
    common = _cli.config_overrides(list(arguments.argv))
    rows = []
    for g0, alpha in worlds(values, out):
        for seed in range(values.first_seed, values.first_seed + values.seeds):
            rows.append(run_world(g0, alpha, seed, common, out, values.zooms if values.refine else None))
            (out / "table.txt").write_text(sweep.as_text(rows) + "\n")
    folders.write_json(out / "table.json", rows)
    print(sweep.as_text(rows))
    print(summary(rows))
    return int(any(row["status"] != "finished" for row in rows))


def check_hyperbolic(config: Any) -> None:
    """Refuses a config of another law: worlds here are defined by g0 and alpha. Raises: UsageError."""
    world = config.get("world") if config is not None else None
    if world is not None and world.law != "hyperbolic":
        raise UsageError(f"world.law={world.law}: worlds here are G0 or G0:ALPHA of the hyperbolic law; leave it out")


def worlds(values: Any, out: Path) -> list[tuple[float, float]]:
    """(g0, alpha) of every world: first the given ones, then those drawn (once per folder). Raises: UsageError."""
    if values.high < values.low:
        raise UsageError(f"--low={values.low}, --high={values.high}: --low must not be above --high")
    named = parse_worlds(values.worlds)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "worlds.json"
    drawn = folders.read_json(path)["drawn"] if path.exists() else []
    rng = np.random.default_rng()
    while len(drawn) < values.draw:
        size = values.alpha * rng.uniform(0.5 if len(drawn) < STRONG else 0.0, 1.0)
        pair = rng.uniform(values.low, values.high), size * rng.choice([-1, 1])
        drawn.append([round(float(number), 3) for number in pair])
    folders.write_json(path, {"drawn": drawn})
    return named + [(g0, alpha) for g0, alpha in drawn[: values.draw]]


def parse_worlds(text: str) -> list[tuple[float, float]]:
    """(g0, alpha) of the worlds in "9.5:8,3.7". Raises: UsageError."""
    named = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            numbers = [float(number) for number in part.split(":")]
            g0, alpha = numbers if len(numbers) == 2 else (*numbers, 0.0)
        except ValueError:
            raise UsageError(f"--worlds: {part!r} is neither g0 nor g0:alpha") from None
        named.append((g0, alpha))
    return named


def run_world(
    g0: float, alpha: float, seed: int, common: list[str], out: Path, close_ups: int | None = None
) -> dict[str, Any]:
    """One row of the table: the run of a world and seed with the config arguments `common`, trained if necessary.

    With `close_ups` also its refined law, from at most that many close-ups (0: from the training's pictures).
    """
    world = f"{g0:g}:{alpha:g}" if alpha else f"{g0:g}"
    own = [f"--config.world.g0={g0}", f"--config.world.alpha={alpha}", f"--config.seed={seed}"]
    run = sweep.Run(f"{world.replace(':', '_')}-seed{seed}", {"world": world}, seed, (*common, *own))
    record = sweep.finish_run(run, out)
    row: dict[str, Any] = {"world": world, "seed": seed, "status": record["status"]}
    row["minutes"] = record.get("minutes", math.nan)  # earlier versions kept no time
    if record["status"] == "finished":
        row |= judge(record["result"]["readouts"]["law"], g0, alpha)
        if close_ups is not None:
            row |= judge_refined(refined(run.name, out, close_ups), g0, alpha)
    return {name: row[name] for name in (*COLUMNS, *REFINED) if name in row}


def refined(name: str, out: Path, close_ups: int) -> Mapping[str, Any]:
    """The record of a run's refined law, or the reason why there is none, kept in a JSON file beside the run."""
    path = out / f"{name}.refined-{close_ups}.json"
    if not path.exists():
        print(f"{name}: refining", flush=True)
        folders.write_json(path, read_and_refine(out / name, close_ups=close_ups))
    return folders.read_json(path)


def judge_refined(record: Mapping[str, Any], g0: float, alpha: float) -> dict[str, Any]:
    """Columns `REFINED`: mean |g - true| over `HEIGHTS` of the refined law, and of the weights after the law phase
    (without close-ups: the trained weights). `held` names those of its two intervals that contain the truth."""
    law = record["refined"]
    if law is None:
        return {"refined g0": record["error"]}
    half = law["half_width"]
    held = [name for name, true, i in (("g0", g0, 0), ("alpha", alpha, 1)) if abs(law[name] - true) <= half[i]]
    errors = {"law phase": fit_error(record["weights"], g0, alpha), "refined": fit_error(law, g0, alpha)}
    return errors | as_columns(law) | {"held": " ".join(held) or "none"}


def fit_error(law: Mapping[str, Any], g0: float, alpha: float) -> float:
    """Mean |g - true| over `HEIGHTS` of a fitted law, m/s^2."""
    fitted = law["g0"] + (law["alpha"] or 0.0) / (HEIGHTS + 10.0)
    return float(np.mean(np.abs(fitted - g0 - alpha / (HEIGHTS + 10.0))))


def judge(law: Mapping[str, Any], g0: float, alpha: float) -> dict[str, float]:
    """The error of a read-out law.

    Returns: `mean_g`, the mean of g(z) over the heights visited (m/s^2), and its error in percent;
    `curve_error`, mean |g - true| over the heights visited; `fit_error`, the same for the fitted form over `HEIGHTS`.
    """
    curve = np.asarray(law["g_of_z"], np.float64)
    truth = g0 + alpha / (curve[:, 0] + 10.0)
    mean = float(law["g0_weight"])
    # The weight is a mean over visits, the true mean one over the range. They are the same if alpha is zero.
    error = mean - g0 if alpha == 0 else float(np.mean(curve[:, 1] - truth))
    return {
        "mean_g": mean,
        "mean_g_error_%": 100.0 * error / abs(g0),
        "g0": float(law["g0"]),
        "alpha": float(law["alpha"] or 0.0),
        "curve_error": float(np.mean(np.abs(curve[:, 1] - truth))),
        "fit_error": fit_error(law, g0, alpha),
    }


def trivial(g0: float, alpha: float) -> dict[str, float]:
    """Mean |g - true| over `HEIGHTS` of answers that need no picture: 9.8, the best constant, the best line."""
    truth = g0 + alpha / (HEIGHTS + 10.0)
    line = np.polyval(np.polyfit(HEIGHTS, truth, 1), HEIGHTS)
    answers = {"always 9.8": 9.8, "best constant": np.median(truth), "best line": line}
    return {name: float(np.mean(np.abs(answer - truth))) for name, answer in answers.items()}


def summary(rows: list[dict[str, Any]]) -> str:
    """The largest and the mean error over the finished runs, and the trivial answers, by world."""
    done = [row for row in rows if row["status"] == "finished"]
    if not done:
        return "no run finished"
    errors = np.abs([row["mean_g_error_%"] for row in done])
    lines = [f"{len(done)} runs: error of the mean of g(z): mean {errors.mean():.2f}%, largest {errors.max():.2f}%"]
    for world in dict.fromkeys(row["world"] for row in done):
        g0, alpha = (float(x) for x in world.split(":")) if ":" in world else (float(world), 0.0)
        own = [row for row in done if row["world"] == world]
        curve, fit = (float(np.mean([row[name] for row in own])) for name in ("curve_error", "fit_error"))
        found = f"curve {curve:.4f}, fit {fit:.4f}"
        beside = ", ".join(f"{name} {error:.4f}" for name, error in trivial(g0, alpha).items())
        lines.append(f"world {world}: mean |dg| {found} m/s^2; baselines: {beside}")
    return "\n".join(lines)


def define_worlds(values: flags.FlagValues, low: float, high: float, alpha: float) -> None:
    """The flags that `worlds` reads, with these defaults."""
    flags.DEFINE_string("worlds", "", "worlds: g0 or g0:alpha, separated by commas", flag_values=values)
    flags.DEFINE_integer("draw", 0, "further worlds to draw at random", lower_bound=0, flag_values=values)
    flags.DEFINE_float("low", low, "smallest g0 to draw, m/s^2", flag_values=values)
    flags.DEFINE_float("high", high, "largest g0 to draw, m/s^2", flag_values=values)
    flags.DEFINE_float("alpha", alpha, "largest |alpha| to draw, m^2/s^2", flag_values=values)


def _define(values: flags.FlagValues) -> None:
    define_worlds(values, low=1.0, high=30.0, alpha=0.0)
    flags.DEFINE_boolean("refine", False, "add the law refined by bundle adjustment", flag_values=values)
    flags.DEFINE_integer(
        "zooms", MOST_CLOSE_UPS, "most close-ups to refine with; 0: none", lower_bound=0, flag_values=values
    )
    flags.DEFINE_integer("seeds", 1, "runs of each world", flag_values=values)
    flags.DEFINE_integer("first_seed", 0, "their first seed", flag_values=values)
    flags.DEFINE_string("out", None, "folder for the runs and the table", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
