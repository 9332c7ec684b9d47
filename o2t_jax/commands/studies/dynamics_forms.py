"""Which form is named: ten worlds of the library, and three with a term outside it.

    python -m experiments.studies.dynamics_forms --out=DIR [--seeds=1] [--only=pendulum,spring] [--field=differences]

States with noise 0.1. The form of a field is fitted where the data lay, then the candidates are refitted to the data
and one is named, or none (`o2t_jax.evaluation.dynamics.law.decision`). The noise is not told. The field is that of a
small network trained here by shooting (`--field=network`), or differences of the data (`--field=differences`).
Each run is one JSON in DIR; finished ones are skipped. Expected: named in at least 9 of 10, wrongly in none; the three
others "none of these".
"""

from __future__ import annotations

import functools
import sys
import time
from typing import Any

from absl import flags

from o2t_jax.commands import _cli, sweep
from o2t_jax.errors import UsageError
from o2t_jax.training import workdir as folders

NAMED = (
    "oscillator", "oscillator_easy", "pendulum", "spaceship", "three_body", "spring", "double_pendulum", "gravity_two",
    "gravity_three", "drag_oscillator",
)  # fmt: skip
OUTSIDE = ("cosine_oscillator", "van_der_pol", "tanh_oscillator")


def run_one(name: str, seed: int, field: str) -> dict[str, Any]:
    """One world's answer, with what the truth is."""
    import numpy as np

    from o2t_jax.commands.studies import _law_worlds as worlds
    from o2t_jax.evaluation.dynamics.law import rows
    from o2t_jax.evaluation.dynamics.law.decision import decide
    from o2t_jax.evaluation.dynamics.law.form import Regression, form_of, read_form
    from o2t_jax.evaluation.dynamics.law.readout import readout
    from o2t_jax.evaluation.dynamics.law.worlds import LAWS

    begun = time.monotonic()
    env, law = worlds.world_of(name), LAWS.get(name)
    data, _, _ = worlds.noisy_data(env, seed, worlds.recipe_of(name))
    if field == "network":
        learned = worlds.learned_field(data, seed)
        form = read_form(learned, data.states[:, :-1], data.actions, env.layout)
    else:
        form = form_of(Regression(*rows.differences(data), env.layout))
    varying = [library for world, library in law.varying if world in env.ranges] if law else []
    decision = decide(data, env.layout, form, varying=varying, whole=law.whole if law else None)
    named = decision.answer == "named"
    right = law is not None and set(decision.terms) == set(law.terms)
    truth = env.params if law else None
    return {
        "world": name,
        "seed": seed,
        "field": field,
        "sequences": len(data.states),
        "noise": float(np.mean(decision.fit.noise)),
        "of_the_field": list(form.terms),
        "field_residual": form.residual / form.scale,
        "answer": decision.answer,
        "verdict": ("right" if right else "wrong") if named else decision.answer,
        "misfit": decision.misfit._asdict(),
        **readout(decision, env.layout, world=name, params=truth),
        "seconds": round(time.monotonic() - begun, 1),
    }


def study(arguments: _cli.Arguments) -> int:
    """Runs what is not finished, prints the table."""
    values = arguments.flags
    out = _cli.out_folder(values, "the runs")
    chosen = values.only or [*NAMED, *OUTSIDE]
    for name in chosen:
        if name not in NAMED + OUTSIDE:
            raise UsageError(f"--only={name} is unknown: choose from {', '.join(NAMED + OUTSIDE)}")
    rows = []
    out.mkdir(parents=True, exist_ok=True)
    for seed in range(values.seeds):
        for name in chosen:
            path = out / f"form_{name}_{values.field}_{seed}.json"
            record = folders.once(path, functools.partial(run_one, name, seed, values.field))
            rows.append({key: record[key] for key in ("world", "seed", "verdict", "nearest", "seconds")})
            print(f"{name} {seed}: {record['verdict']}", file=sys.stderr)
    print(sweep.as_text(rows))
    inside = [row["verdict"] for row in rows if row["world"] in NAMED]
    outside = [row["verdict"] for row in rows if row["world"] in OUTSIDE]
    print(
        f"of {len(inside)} worlds of the library {inside.count('right')} named rightly, {inside.count('wrong')} "
        f'wrongly; of {len(outside)} others {outside.count("none of these")} answered "none of these"'
    )
    return 0


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(study, argv, doc=__doc__ or "", define=_define, with_config=False)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", None, "folder for the runs", flag_values=values)
    flags.DEFINE_integer("seeds", 1, "seeds of the data, from 0", lower_bound=1, flag_values=values)
    flags.DEFINE_list("only", [], "worlds to run; all if left out", flag_values=values)
    flags.DEFINE_enum(
        "field", "differences", ["differences", "network"], "what the form is read off", flag_values=values
    )


if __name__ == "__main__":
    sys.exit(main())
