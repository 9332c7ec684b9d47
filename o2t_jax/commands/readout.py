"""Reads the law off a run: python -m experiments.readout --workdir=DIR [--step=STEP] [--json=FILE|-]

For runs of `dynamics`, and of `o2t` with a learned force.
Prints the form that the run's data support, or "cannot tell" with the rivals, or "none of these"; and its parameters
with 95 % intervals, beside the truth where it is known. With --json=- only the JSON goes to standard output:
{"form", "parameters": {name: {"value", "low", "high", "unit", "truth"}}}. It refits to data by shooting, which takes
a minute or two (o2t: to sightings in held-out samples, which it renders).
"""

from __future__ import annotations

import sys
from typing import Any

from absl import flags

from o2t_jax.commands import _cli, _cpu
from o2t_jax.errors import UsageError


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(show, argv, doc=__doc__ or "", define=_define, with_config=False)


def show(arguments: _cli.Arguments) -> int:
    """Reads, prints and writes the law."""
    values = arguments.flags
    workdir = _cli.workdir_of(values)
    import o2t_jax
    from o2t_jax.evaluation.dynamics.law.readout import over_seeds
    from o2t_jax.evaluation.writers.console import report

    _cpu.start_devices(arguments.cpu_tuning, "cpu")
    runs = [o2t_jax.load(workdir, values.step)]
    law_of = getattr(runs[0].system, "law_of", None)
    if law_of is None or runs[0].config.get("learn_force", "") == "none":
        raise UsageError(
            f"{workdir} is a run of system {runs[0].config.system!r}, which reads out no law of motion"
            + ("" if law_of is None else " without learn_force: python -m experiments.law shows its g(z)")
        )
    runs += [o2t_jax.load(workdir, values.step, seed=seed) for seed in range(1, runs[0].config.get("seeds", 1))]
    found = over_seeds([law_of(run.state, run.config.seed + i) for i, run in enumerate(runs)])
    report(format_readout(found), found, values.json)
    return 0


def format_readout(found: dict[str, Any]) -> str:
    """The read-out as a text."""
    lines = [found["form"]]
    if found.get("nearest", found["form"]) != found["form"]:
        lines.append(f"nearest: {found['nearest']}")
    lines += [f"not ruled out: {rival}" for rival in found.get("rivals", [])]
    for name, entry in found["parameters"].items():
        known = "" if entry["truth"] is None else f", truth {entry['truth']:.5g}"
        unit = f" {entry['unit']}" if entry["unit"] else ""
        trained = f", in the weights {entry['weights']:.5g}" if "weights" in entry else ""
        span = f"{entry['value']:.5g} ({entry['low']:.5g} to {entry['high']:.5g})"
        lines.append(f"{name:20s} {span}{unit}{trained}{known}")
    return "\n".join(lines)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", None, "the run's folder", flag_values=values)
    flags.DEFINE_string("step", None, "a kept step, 'latest' or 'best'; latest if left out", flag_values=values)
    flags.DEFINE_string("json", None, "file for the read-out; - is standard output", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
