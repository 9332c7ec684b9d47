"""Tests form selection: a form is named when the data identify it, and none otherwise. In state space, no network.

    python -m experiments.studies.law_form --laws=20 --json=-

Draws laws (linear or g0 + alpha / (z + 10), g0 ~ U(9, 10), their fall over 0 to 20 m as of alpha ~ U(-10, 10)) and
tracks as in experiments.studies.interval_coverage, with a noise from 0.05 to 2 px each. The true form's expected lead
is its lead over the best other form on the tracks without noise, in units of that noise. The study collects `laws` laws
whose true form leads by at least 5, and as many where it leads by less than 1. The criterion is that of
`o2t_jax.evaluation.o2t.law_form`.
Expected: of the first kind at least 18 of 20 are named correctly, of the second at most 1 of 20 wrongly.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.commands.studies import interval_coverage as coverage
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t import law_form
from o2t_jax.evaluation.writers.console import report
from o2t_jax.geometry.camera import intrinsics_for

TRUE_FORMS = ("linear", "hyperbolic")
CLEAR, UNCLEAR = 5.0, 1.0
NOISE_PX = (0.05, 2.0)


def draw(seed: int, number: int, tracks: int, size: int) -> dict[str, Any]:
    """One law and its tracks: true form, expected lead, and the named form."""
    rng = np.random.default_rng((seed, number))
    form = TRUE_FORMS[number % len(TRUE_FORMS)]
    values = np.array([rng.uniform(9, 10), rng.uniform(-10, 10)])
    if form == "linear":
        values = law_form.nearest("linear", "hyperbolic", values)
    noise = float(np.exp(rng.uniform(*np.log(NOISE_PX))))
    study = coverage.Study(1, tracks, 0.0, size)
    exact, intrinsics = coverage.draw_tracks(rng, values, study, form), intrinsics_for(size, size)
    # No correction for the number of parameters: the compared forms have two each.
    lead = law_form.leads(law_form.fit_forms(exact, intrinsics), noise)[form]
    noisy = exact._replace(pixels=exact.pixels + rng.normal(0.0, noise, exact.pixels.shape))
    found = law_form.leads(law_form.fit_forms(noisy, intrinsics))
    return {"form": form, "noise_px": noise, "expected_lead": lead, "leads": found, "named": law_form.named(found)}


def run_forms(laws: int, tracks: int, size: int, seed: int) -> dict[str, Any]:
    """Draws until both kinds are full; their records, and how many were named correctly and wrongly."""
    kinds: dict[str, list[dict[str, Any]]] = {"clear": [], "unclear": []}
    number = 0
    while any(len(kind) < laws for kind in kinds.values()):
        record = draw(seed, number, tracks, size)
        number += 1
        lead = record["expected_lead"]
        kind = "clear" if lead >= CLEAR else "unclear" if lead < UNCLEAR else None
        if kind and len(kinds[kind]) < laws:
            kinds[kind].append(record)
    counts = {
        kind: {
            "right": sum(r["named"] == r["form"] for r in records),
            "wrong": sum(r["named"] not in (None, r["form"]) for r in records),
            "undetermined": sum(r["named"] is None for r in records),
        }
        for kind, records in kinds.items()
    }
    return {"laws": laws, "tracks": tracks, "size": size, "seed": seed, "drawn": number, "counts": counts, **kinds}


def format_forms(result: dict[str, Any]) -> str:
    """The result as a text table."""
    lines = [f"{result['drawn']} laws drawn, {result['tracks']} tracks each at {result['size']} px"]
    for kind, what in (("clear", f"leads by at least {CLEAR:g}"), ("unclear", f"leads by less than {UNCLEAR:g}")):
        count = ", ".join(f"{name} {number}" for name, number in result["counts"][kind].items())
        lines.append(f"true form {what}: of {result['laws']} laws {count}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(report_forms, argv, doc=__doc__ or "", define=_define, with_config=False)


def report_forms(arguments: _cli.Arguments) -> int:
    """Runs the study, prints its table and writes its numbers."""
    values = arguments.flags
    if values.tracks < 2:
        raise UsageError(f"--tracks={values.tracks} must be at least 2")
    result = run_forms(values.laws, values.tracks, values.size, values.seed)
    report(format_forms(result), result, values.json)
    return 0


def _define(values: flags.FlagValues) -> None:
    for name, default, text in (("laws", 20, "laws of each kind"), ("tracks", 60, "tracks of each law")):
        flags.DEFINE_integer(name, default, text, lower_bound=1, flag_values=values)
    flags.DEFINE_integer("size", 512, "height of the pictures, px", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("seed", 0, "seed of the random numbers", lower_bound=0, flag_values=values)
    flags.DEFINE_string("json", None, "file for the numbers; - is standard output", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
