"""Parameters of known equations from noisy states: shooting, least squares, SINDy, the Cramer-Rao width; and coverage.

    python -m experiments.studies.dynamics_law --out=DIR [--seeds=5] [--worlds=100]

Table: oscillator (k/m), pendulum (g/L), both with friction equal for all sequences, and spaceship (pull and exponent,
observed pericentre at least 1 m), noise 0.1, 800 sequences of 30 steps of 0.1 s (of the spaceship those of 1,200 that
keep away). Every row sees the same noisy data: "shooting" starts at the equation's default (coefficients 0, exponent
2), "network" is least squares of the known equation to a trained network's field where the data lay, "differences" to
differences of the data, "sindy" PySINDy's own derivative, "sindy_steps" its sparse regression on differences. "prior"
learns nothing: the world's default parameters, off by 10 %.
Coverage: `worlds` simulated worlds of each kind with parameters of their own, 100 sequences each; how often the 95 %
interval of the block bootstrap holds the truth. Expected: 90 to 98 %.
Each run is one JSON in DIR; finished ones are skipped.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from absl import flags

from o2t_jax.commands import _cli, sweep
from o2t_jax.errors import UsageError
from o2t_jax.training import workdir as folders

KINDS: dict[str, dict[str, tuple[float, float]]] = {
    "oscillator": {"mass": (0.4, 1.0), "stiffness": (1.0, 4.0), "damping": (0.05, 0.4)},
    "pendulum": {"length": (0.7, 1.5), "gravity": (5.0, 12.0), "damping": (0.05, 0.5)},
    "spaceship": {"pull": (5.0, 15.0)},
}
FIXED: dict[str, dict[str, float]] = {"oscillator": {"damping": 0.1}, "pendulum": {"damping": 0.1}, "spaceship": {}}


def run_table(name: str, seed: int) -> dict[str, Any]:
    """Estimates of every row, with the truth and the Cramer-Rao half width."""
    import numpy as np

    from o2t_jax.commands.studies import _law_worlds as worlds
    from o2t_jax.evaluation.dynamics.law import rows, shooting
    from o2t_jax.evaluation.dynamics.law.form import Regression
    from o2t_jax.evaluation.dynamics.law.information import cramer_rao, fisher, intervals
    from o2t_jax.evaluation.dynamics.law.terms import library
    from o2t_jax.evaluation.dynamics.law.worlds import LAWS, truth_of

    env, law = worlds.world_of(name, **FIXED[name]), LAWS[name]
    recipe = worlds.recipe_of(name) if name == "spaceship" else worlds.Recipe(sequences=800)
    data, clean, _ = worlds.noisy_data(env, seed, recipe)
    equation = library(env.layout, env.actions.size)
    free, truth = equation.free(law.terms), truth_of(equation, law, env.params)
    found = shooting.fit(equation, data, free=free, noise=worlds.NOISE)
    low, high = intervals(found)
    width = 1.96 * cramer_rao(fisher(equation, truth, data._replace(states=clean), worlds.NOISE, free=free), free)
    differences = rows.least_squares(data, env.layout, law.terms)
    where = [np.asarray(x, np.float64).reshape(-1, x.shape[-1]) for x in (data.states[:, :-1], data.actions)]
    rates = worlds.learned_field(data, seed)(where[0], where[1])
    learned = Regression(where[0], where[1], rates, env.layout).fit(law.terms)[0]
    sparse: dict[str, dict[str, float]] = {}
    if name != "spaceship":
        sparse = {f"sindy{end}": rows.sindy(data, env.layout, derivative=how)
                  for end, how in (("", "smoothed"), ("_steps", "steps"))}  # fmt: skip
    parameters = {}
    for reading in law.readings:
        at = equation.index(reading.parameter)
        parameters[reading.name] = {
            "truth": reading.sign * truth[at],
            "unit": reading.unit,
            "shooting": reading.sign * found.theta[at],
            "half_width": 0.5 * (high[at] - low[at]),
            "cramer_rao": width[at],
            "differences": reading.sign * differences[at],
            "network": reading.sign * learned[at],
            "prior": 1.1 * reading.sign * truth[at],
            **{row: reading.sign * values[reading.parameter] for row, values in sparse.items()},
        }
    kept = {row: [term for term, value in values.items() if value] for row, values in sparse.items()}
    return {
        "world": name, "seed": seed, "sequences": len(data.states), "converged": found.converged,
        "parameters": _plain(parameters, np), "terms_of": kept,
    }  # fmt: skip


def run_coverage(name: str, count: int) -> dict[str, Any]:
    """How often the intervals hold the truth."""
    import numpy as np

    from o2t_jax.commands.studies import _law_worlds as worlds
    from o2t_jax.evaluation.dynamics.law import shooting
    from o2t_jax.evaluation.dynamics.law.information import cramer_rao, intervals
    from o2t_jax.evaluation.dynamics.law.terms import library
    from o2t_jax.evaluation.dynamics.law.worlds import LAWS, truth_of

    env, law = worlds.world_of(name, **FIXED[name]), LAWS[name]
    nearest = worlds.recipe_of(name).nearest
    recipe, take = worlds.Recipe(400 if nearest else 100, 30, 0.1, nearest), 100
    equation = library(env.layout, env.actions.size)
    free = equation.free(law.terms)
    shown = [equation.index(reading.parameter) for reading in law.readings]
    hits, errors, widths, best, converged = [], [], [], [], 0
    for world in range(count):
        rng = np.random.default_rng((17, world))
        given = {key: float(rng.uniform(*limits)) for key, limits in KINDS[name].items()}
        params = env.params._replace(**given)
        data = worlds.of_one_world(env, params, world, recipe, take)
        truth = truth_of(equation, law, params)
        start = np.where(free & (np.array(equation.start) == 0), truth * rng.uniform(0.7, 1.3, len(truth)), truth)
        found = shooting.fit(equation, data, start, free=free, noise=worlds.NOISE)
        low, high = intervals(found, seed=world)
        hits.append((low <= truth) & (truth <= high))
        errors.append((found.theta - truth) / cramer_rao(found.information, free).clip(1e-300))
        widths.append(0.5 * (high - low))
        best.append(1.96 * cramer_rao(found.information, free))
        converged += found.converged
    covered, score = np.mean(hits, 0), np.sqrt(np.mean(np.square(errors), 0))
    ratio = np.mean(widths, 0)[shown] / np.mean(best, 0)[shown]
    names = [reading.name for reading in law.readings]
    return {
        "world": name, "worlds": count, "sequences": take, "converged": converged,
        "covered": dict(zip(names, covered[shown].tolist(), strict=True)),
        "covered_all": float(np.mean(np.array(hits)[:, shown])),
        "rms_error_in_cramer_rao": dict(zip(names, score[shown].tolist(), strict=True)),
        "width_over_cramer_rao": dict(zip(names, ratio.tolist(), strict=True)),
    }  # fmt: skip


def _plain(parameters: dict[str, dict[str, Any]], np: Any) -> dict[str, Any]:
    return {
        name: {key: value if isinstance(value, str) else float(np.asarray(value)) for key, value in entry.items()}
        for name, entry in parameters.items()
    }


def study(arguments: _cli.Arguments) -> int:
    """Runs what is not finished, prints the tables."""
    values = arguments.flags
    out = _cli.out_folder(values, "the runs")
    for name in values.only:
        if name not in KINDS:
            raise UsageError(f"--only={name} is unknown: choose from {', '.join(KINDS)}")
    out.mkdir(parents=True, exist_ok=True)
    table, coverage = [], []
    for name in values.only or KINDS:
        for seed in range(values.seeds):
            path = out / f"law_{name}_{seed}.json"
            table += _errors(folders.once(path, functools.partial(run_table, name, seed)))
        if values.worlds:
            path = out / f"coverage_{name}_{values.worlds}.json"
            record = folders.once(path, functools.partial(run_coverage, name, values.worlds))
            for parameter, share in record["covered"].items():
                ratio = record["width_over_cramer_rao"][parameter]
                coverage.append(
                    {
                        "world": name,
                        "parameter": parameter,
                        "covered_%": round(100 * share, 1),
                        "width/CR": round(ratio, 3),
                    }
                )
    print("errors in % of the truth")
    print(sweep.as_text(table))
    if coverage:
        print(sweep.as_text(coverage))
    return 0


def _errors(record: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for name, entry in record["parameters"].items():
        row: dict[str, Any] = {"world": record["world"], "seed": record["seed"], "parameter": name}
        for method in ("shooting", "network", "differences", "sindy", "sindy_steps", "prior"):
            known = entry.get(method)
            row[method] = None if known is None else round(100 * (known / entry["truth"] - 1), 3)
        row["cramer_rao"] = round(100 * entry["cramer_rao"] / abs(entry["truth"]), 3)
        rows.append(row)
    return rows


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(study, argv, doc=__doc__ or "", define=_define, with_config=False)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", None, "folder for the runs", flag_values=values)
    flags.DEFINE_integer("seeds", 5, "seeds of the table's data, from 0", lower_bound=0, flag_values=values)
    flags.DEFINE_integer("worlds", 100, "worlds of each kind for the coverage", lower_bound=0, flag_values=values)
    flags.DEFINE_list("only", [], "worlds to run; all if left out", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
