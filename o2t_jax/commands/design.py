"""Proposes the pushes that narrow a world's parameters most: python -m experiments.design --env=pendulum [--params=...]

    python -m experiments.design --env=pendulum --params=length=0.8,damping=0.2 --wanted=gravity_per_length --json=-

Pushes are rows of the world's table of actions, held `dt` s each, from `--start` (observed entries; rest if left out).
States are observed after each with `--noise`. Printed: the pushes, the half width of each wanted parameter's 95 %
interval, and that of as many random pushes. In the plane `--nearest` m is kept from other bodies. About half a minute.
"""

from __future__ import annotations

import sys
from typing import Any

from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.errors import UsageError


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(propose, argv, doc=__doc__ or "", define=_define, with_config=False)


def propose(arguments: _cli.Arguments) -> int:
    """Designs, prints and writes the pushes."""
    values = arguments.flags
    if not values.env:
        raise UsageError("--env is missing: give the name of a world, such as pendulum")
    params = _pairs(values.params)
    if not values.noise > 0 or values.steps < 1:
        raise UsageError(f"--noise={values.noise:g} and --steps={values.steps} must be above 0")
    import numpy as np

    from o2t_jax.evaluation.dynamics.law.design import Experiment, design
    from o2t_jax.evaluation.dynamics.law.terms import clearance_of, library
    from o2t_jax.evaluation.dynamics.law.worlds import LAWS, truth_of
    from o2t_jax.evaluation.writers.console import report
    from o2t_jax.physics.environment import checked_dt
    from o2t_jax.physics.envs import get_environment

    env = get_environment(values.env, **params)
    law = LAWS.get(values.env)
    if law is None or env.actions.table is None:
        raise UsageError(f"--env={values.env} has no equation of this kind: choose from {', '.join(LAWS)}")
    equation = law.whole or library(env.layout, env.actions.size)
    free = equation.free(law.terms) if law.terms else equation.every
    readings = {reading.name: reading for reading in law.readings}
    for name in values.wanted:
        if name not in readings:
            raise UsageError(f"--wanted={name} is unknown: choose from {', '.join(readings)}")
    wanted = [readings[name] for name in values.wanted or readings]
    start = _start(values.start, env.layout.size)
    clearance = clearance_of(env.layout)
    if clearance is not None and not float(clearance(start)) >= values.nearest:
        raise UsageError(
            f"--start is closer than --nearest={values.nearest:g} m: give a start, such as --start=3,0,0,1.5"
        )
    table = np.asarray(env.actions.table)
    experiment = Experiment(
        start, table, values.steps, checked_dt(env, values.dt), values.noise, clearance, values.nearest
    )
    truth = truth_of(equation, law, env.params)
    found = design(equation, truth, experiment, [reading.parameter for reading in wanted], free=free, seed=values.seed)
    lines = [f"{values.steps} pushes of {values.dt:g} s on {values.env}, rows of {np.round(table, 3).tolist()}:"]
    lines += [" ".join(map(str, found.choices.tolist()))]
    parameters: dict[str, Any] = {}
    for reading, own, random in zip(wanted, found.half_width, found.random, strict=True):
        unit = f" {reading.unit}" if reading.unit else ""
        lines.append(
            f"{reading.name}: +- {own:.4g}{unit}, with random pushes +- {random:.4g}{unit} ({own / random:.2f})"
        )
        parameters[reading.name] = {"half_width": float(own), "random": float(random), "unit": reading.unit}
    record = {
        "env": values.env, "dt": values.dt, "start": start.tolist(), "choices": found.choices.tolist(),
        "actions": found.actions.tolist(), "parameters": parameters,
    }  # fmt: skip
    report("\n".join(lines), record, values.json)
    return 0


def _pairs(given: list[str]) -> dict[str, float]:
    out = {}
    for item in given:
        name, equals, number = item.partition("=")
        try:
            out[name] = float(number)
        except ValueError:
            raise UsageError(f"--params={item}: give name=number, separated by commas") from None
        if not equals:
            raise UsageError(f"--params={item}: give name=number, separated by commas")
    return out


def _start(given: list[str], size: int) -> Any:
    import numpy as np

    try:
        start = np.array([float(entry) for entry in given]) if given else np.zeros(size)
    except ValueError:
        raise UsageError(f"--start={','.join(given)}: give {size} numbers, separated by commas") from None
    if start.shape != (size,) or not np.isfinite(start).all():
        raise UsageError(f"--start={','.join(given)}: give {size} numbers, separated by commas")
    return start


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("env", None, "the world", flag_values=values)
    flags.DEFINE_list("params", [], "its parameters, name=number; its defaults if left out", flag_values=values)
    flags.DEFINE_list("start", [], "the observed state to start from; at rest if left out", flag_values=values)
    flags.DEFINE_list("wanted", [], "parameters to narrow; all if left out", flag_values=values)
    flags.DEFINE_integer("steps", 50, "pushes", flag_values=values)
    flags.DEFINE_float("dt", 0.1, "length of a push, s", flag_values=values)
    flags.DEFINE_float("noise", 0.1, "standard deviation of an observed entry", flag_values=values)
    flags.DEFINE_float("nearest", 1.0, "distance kept from other bodies, m", flag_values=values)
    flags.DEFINE_integer("seed", 0, "seed of the random numbers", lower_bound=0, flag_values=values)
    flags.DEFINE_string("json", None, "file for the numbers; - is standard output", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
