"""Designed pushes beside as many random ones, on ten worlds of oscillator, pendulum and spaceship.

    python -m experiments.studies.dynamics_design --out=DIR [--worlds=10]

The experimenter has a rough estimate (the truth off by 2 %, one standard deviation) and three guesses around it; the
start is hanging or lying at rest, of the spaceship a drawn one from which random pushes keep 1 m away from the star.
The pushes are 0.1 s each, 10 s in all (spaceship 5 s), states are observed after each with noise 0.1. Wanted are all
parameters of the world's equation. Ratio: Cramer-Rao half width of the designed pushes over the median of 64 random
ones, both at the true parameters, which the design did not know; "refitted" is the spread of 30 fits to noisy data of
the designed pushes over the predicted one. Each run is one JSON in DIR; finished ones are skipped.
Expected: the largest ratio at most 0.5 on at least 8 of 10.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from absl import flags

from o2t_jax.commands import _cli, sweep
from o2t_jax.commands.studies.dynamics_law import KINDS
from o2t_jax.training import workdir as folders

if TYPE_CHECKING:
    import numpy as np

    from o2t_jax.evaluation.dynamics.law.design import Experiment
    from o2t_jax.evaluation.dynamics.law.equations import Equation
    from o2t_jax.physics.environment import Environment

ORDER = ("oscillator", "pendulum", "spaceship")
NOISE = 0.1
REFITS = 30
STAGES = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0)  # shorter ones do not determine the parameters


def run_one(number: int) -> dict[str, Any]:
    """The design for one drawn world, judged at its true parameters."""
    import numpy as np

    from o2t_jax.evaluation.dynamics.law.design import design, widths
    from o2t_jax.evaluation.dynamics.law.terms import library
    from o2t_jax.evaluation.dynamics.law.worlds import LAWS, truth_of
    from o2t_jax.physics.envs import get_environment

    name = ORDER[number % len(ORDER)]
    rng = np.random.default_rng((23, number))
    env, law = get_environment(name), LAWS[name]
    params = env.params._replace(**{key: float(rng.uniform(*limits)) for key, limits in KINDS[name].items()})
    equation = library(env.layout, env.actions.size)
    free, truth = equation.free(law.terms), truth_of(equation, law, params)
    rough = truth * (1 + 0.02 * rng.standard_normal(len(truth)))
    guesses = rough * (1 + 0.02 * rng.standard_normal((3, len(truth))))
    wanted = [reading.parameter for reading in law.readings]
    picked = [equation.index(name) for name in wanted]

    def widths_of(experiment: Experiment, pushes: np.ndarray) -> np.ndarray:
        return widths(equation, truth, experiment, pushes, free=free)

    def random(experiment: Experiment) -> np.ndarray:
        return widths_of(experiment, experiment.table[rng.integers(len(experiment.table), size=(64, experiment.steps))])

    experiment = _experiment(env, params, number, random)
    found = design(equation, guesses, experiment, wanted, free=free, seed=number)
    others = random(experiment)[:, picked]
    usual = np.median(others[np.isfinite(others).all(-1)], 0)
    own = widths_of(experiment._replace(clearance=None), found.actions[None])[0, picked]
    fits = _refits(equation, experiment.start, found.actions, truth, rough, free, rng)
    spread = 1.96 * np.sqrt(np.mean((fits[:, picked] - truth[picked]) ** 2, 0))
    ratio = own / usual
    return {
        "number": number, "world": name, "params": {k: float(v) for k, v in params._asdict().items()},
        "start": experiment.start.tolist(), "choices": found.choices.tolist(), "wanted": list(found.wanted),
        "half_width": own.tolist(), "random": usual.tolist(), "ratio": ratio.tolist(),
        "largest": float(ratio.max()), "refitted": (spread / own).tolist(),
    }  # fmt: skip


def _experiment(env: Environment, params: Any, number: int, random: Callable[[Experiment], np.ndarray]) -> Experiment:
    """At rest; a spaceship from the first of 50 drawn starts from which 90 % of `random` pushes keep off the star."""
    import jax
    import numpy as np

    from o2t_jax.evaluation.dynamics.law.design import Experiment
    from o2t_jax.evaluation.dynamics.law.terms import clearance_of

    table, clearance = np.array(env.actions.table), clearance_of(env.layout)
    if env.name != "spaceship":
        return Experiment(np.zeros(2), table, 100, 0.1, NOISE, clearance, 0.0)
    experiment = Experiment(np.zeros(2), table, 50, 0.1, NOISE, clearance, 1.0)
    for attempt in range(50):
        drawn = env.reset(jax.random.fold_in(jax.random.key(number), attempt), params)
        start = np.asarray(env.observe(drawn, params), np.float64)
        experiment = experiment._replace(start=start)
        known = np.isfinite(random(experiment)).all(-1)
        if np.mean(known) > 0.9 and np.linalg.norm(start[:2]) < 4.5:
            break
    return experiment


def _refits(
    equation: Equation, start: np.ndarray, actions: np.ndarray, truth: np.ndarray, rough: np.ndarray, free: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """The parameters [REFITS, P] fitted to noisy observations of the pushes, from `rough` on."""
    import jax
    import numpy as np

    from o2t_jax.evaluation.dynamics.law import shooting
    from o2t_jax.evaluation.dynamics.law.equations import substeps, trajectory

    with jax.enable_x64(True):
        path = np.asarray(trajectory(equation.rates, start, actions, truth, 0.1, substeps(0.1)))
    noisy = path + NOISE * rng.standard_normal((REFITS, *path.shape))
    seen = [shooting.Observed.of(one[None], actions[None], 0.1) for one in noisy]
    fits = [shooting.fit(equation, one, rough, free=free, noise=NOISE, stages=STAGES) for one in seen]
    return np.array([fit.theta for fit in fits])


def study(arguments: _cli.Arguments) -> int:
    """Runs what is not finished, prints the table."""
    values = arguments.flags
    out = _cli.out_folder(values, "the runs")
    rows = []
    out.mkdir(parents=True, exist_ok=True)
    for number in range(values.worlds):
        path = out / f"design_{number}.json"
        record = folders.once(path, functools.partial(run_one, number))
        ratios = {f"ratio{i}": round(value, 3) for i, value in enumerate(record["ratio"])}
        refitted = max(record["refitted"])
        rows.append({"number": number, "world": record["world"], **ratios, "largest_refitted": round(refitted, 2)})
    print(sweep.as_text(rows))
    reached = sum(max(row[f"ratio{i}"] for i in range(3)) <= 0.5 for row in rows)
    print(f"every interval at most half as wide as with random pushes: {reached} of {len(rows)} worlds")
    return 0


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(study, argv, doc=__doc__ or "", define=_define, with_config=False)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", None, "folder for the runs", flag_values=values)
    flags.DEFINE_integer("worlds", 10, "worlds", lower_bound=1, flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
