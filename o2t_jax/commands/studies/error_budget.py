"""Where the error of a run's g comes from.

python -m experiments.studies.error_budget --workdir=DIR [--samples=600] [--side=512] [--json=FILE|-]

Takes FUTURE samples that the run never saw, finds the ball in them with the trained network, and fits g again with the
law's own loss, where everything is true except one part of the sightings (o2t_jax/evaluation/o2t/error_budget.py). For
runs whose world is known and of constant gravity, with sampler=pairs (config cpu). The last row is the law in the
weights: its further error is due to the picture's loss, the optimiser and the samples of the training.

With --side the samples are drawn that large. The tower sees them as small as the run's own pictures, and matting
returns its masks to full size: the law that the network tells of pictures that are too large to train on.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import flags

from o2t_jax.commands import _cli, _cpu
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.writers.console import report

ROWS = {
    "none": "nothing: geometry and algebra alone",
    "target": "the sighting in the target",
    "inputs": "P1 and P2, from the four inputs",
    "scatter": "their scatter alone (errors in variables)",
    "all": "all five sightings",
    "differences": "all five, by finite differences (median)",
}


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(report_budget, argv, doc=__doc__ or "", define=_define, with_config=False)


def report_budget(arguments: _cli.Arguments) -> int:
    """Finds g by parts and prints the table."""
    values = arguments.flags
    result = run_budget(_cli.workdir_of(values), values.samples, arguments.cpu_tuning, values.side)
    report(format_budget(result), result, values.json)
    return 0


def run_budget(workdir: Path, samples: int, tuning: str = "on", side: int | None = None) -> dict[str, Any]:
    """The budget of a run, with its world's `truth` and the `weights`' g, of pictures of `side` px (the run's own)."""
    from o2t_jax.data.o2t.curriculum import ModeMix
    from o2t_jax.data.o2t.sample import held_out_samples
    from o2t_jax.evaluation.o2t.error_budget import budget, sight_samples
    from o2t_jax.physics.gravity import gravity_of
    from o2t_jax.systems.o2t import build
    from o2t_jax.systems.o2t_sights import O2TSights
    from o2t_jax.training.checkpoint import open_workdir
    from o2t_jax.training.resources import set_compilation_cache

    opened = open_workdir(workdir)
    config = opened.config
    if config.get("sampler") != "pairs" or config.get("gauge") != "camera" or config.module:
        raise UsageError(f"{workdir}: a budget needs sampler=pairs, gauge=camera and no module")
    if not gravity_of(config.world).is_constant:
        raise UsageError(f"{workdir}: a budget needs a gravity that is the same at all heights, such as world.alpha=0")
    set_compilation_cache(config.compilation_cache)
    _cpu.start_devices(tuning, config.device)
    factor = enlarged(config, side)
    system = build(config)
    ahead = ModeMix((0.0, 0.0, 1.0), config.k_min + 1, config.n_max)
    batch, truth, _ = held_out_samples(system.source, [(ahead, range(samples))])
    assert truth is not None  # without a module the scene is ours
    rays = sight_samples(O2TSights(system.model, opened.state.params), batch, factor)
    found = budget(batch["para"], truth.position[:, :, 0], rays.direction, rays.seen, config.huber)
    weights = system.read_law(opened.state)["g0_weight"]
    run = {"workdir": str(workdir), "side": config.render_size, "truth": gravity_of(config.world).params[0]}
    return {**run, **found, "weights": float(weights)}


def enlarged(config: Any, side: int | None) -> int:
    """By what power of two `side` is larger than the run's pictures; from here on `config` draws them so large.

    Raises: UsageError where it is none.
    """
    factor = 1 if side is None else side // config.render_size
    if side is not None and (factor < 1 or factor & (factor - 1) or factor * config.render_size != side):
        raise UsageError(f"--side={side} must be {config.render_size}, the run's, times a power of two: 1, 2, 4, ...")
    config.render_size *= factor
    return factor


def format_budget(result: Mapping[str, Any]) -> str:
    """The table, and how the sightings miss."""
    truth = result["truth"]
    lines = [
        f"{result['workdir']}: {result['samples']} samples of {result['side']} px, true g {truth:g} m/s^2",
        f"{'taken from the network':45s} {'g':>9s} {'off by':>9s} {'+-':>7s} {'%':>7s}",
    ]
    for name, text in ROWS.items():
        g, error = result[name]
        lines.append(f"{text:45s} {g:9.4f} {g - truth:+9.4f} {error:7.4f} {100 * (g / truth - 1):+7.2f}")
    g = result["weights"]
    lines.append(f"{'the law in the weights':45s} {g:9.4f} {g - truth:+9.4f} {'':7s} {100 * (g / truth - 1):+7.2f}")
    for axis, point in result["keypoints"].items():
        lines.append(
            f"sightings along {axis}, px of a 64 px picture: {point.offset:+.4f} in the mean, "
            f"{point.slope:+.5f} per px from the centre, scatter {point.scatter:.4f}"
        )
    return "\n".join(lines)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", None, "folder of a run", flag_values=values)
    flags.DEFINE_integer("samples", 600, "FUTURE samples to render", lower_bound=20, flag_values=values)
    flags.DEFINE_integer("side", None, "px of the samples' pictures; the run's if left out", flag_values=values)
    flags.DEFINE_string("json", None, "file for the numbers; '-' is standard output", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
