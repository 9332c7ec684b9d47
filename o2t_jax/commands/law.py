"""Reads the law from a run: python -m experiments.law --workdir=DIR [--step=STEP] [--json=FILE|-] [--plot=FILE]

Prints g0, alpha, the curve g(z) over the heights visited in training, and how well each form fits it; plots g0 over
training and g(z). With --json=- only the JSON goes to standard output, and the rest to standard error.
The numbers are those saved with the checkpoint; --recompute reads them from the weights again and compares.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from o2t_jax.commands import _cli, _cpu
from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    from o2t_jax.training.checkpoint import Opened

# The step's own g0 is logged during training, the read-out's with every checkpoint.
HISTORY = ("train/g0", "law/g0_weight", "law/g0")


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(show_law, argv, doc=__doc__ or "", define=_define, with_config=False)


def show_law(arguments: _cli.Arguments) -> int:
    """Reads, prints, plots and writes the law."""
    values = arguments.flags
    workdir = _cli.workdir_of(values)
    from o2t_jax.evaluation.o2t.law import LAW_KEYS, format_law
    from o2t_jax.evaluation.o2t.plots import history_of, plot_law
    from o2t_jax.evaluation.writers.console import report, text_stream
    from o2t_jax.training.checkpoint import open_workdir
    from o2t_jax.training.metrics import read_metrics

    # Only a few numbers: no device is worth waiting for, and the run's own may not exist here.
    _cpu.start_devices(arguments.cpu_tuning, "cpu")
    opened = open_workdir(workdir, values.step)
    law = opened.meta["readouts"].get("law")
    if law is None or not set(LAW_KEYS) <= set(law):
        raise UsageError(f"{workdir} is a run of system {opened.config.system!r}, which reads out no law g(z)")
    if opened.config.get("seeds", 1) > 1:
        raise UsageError(f"{workdir} holds {opened.config.seeds} seeds: this command reads one law")
    if values.recompute:
        law = _recomputed(opened, law)
    force = opened.meta["readouts"].get("force")
    text, numbers = format_law(law), {key: law[key] for key in LAW_KEYS}
    if force:
        text, numbers = f"{text}\n{_format_force(force)}", {**numbers, "force": force}
    report(text, numbers, values.json)
    plot = Path(values.plot) if values.plot else workdir / "law.png"
    try:
        plot_law(history_of(read_metrics(workdir), HISTORY), law, plot, _truth(workdir))
    except (OSError, ValueError) as error:
        raise UsageError(f"--plot={plot} cannot be written ({error}): give a .png, .pdf or .svg file") from error
    print(f"plot: {plot}", file=text_stream(values.json))
    return 0


def _recomputed(opened: Opened, saved: dict[str, Any]) -> dict[str, Any]:
    """The read-out of the checkpoint's weights. Raises UsageError if it differs from the saved one."""
    import numpy as np

    from o2t_jax.systems.base import build_system

    law = build_system(opened.config).readouts["law"](opened.state) or {}
    for key in ("g0", "alpha", "g0_weight", "g_of_z"):
        new, old = (np.asarray(x[key], np.float64) for x in (law, saved))
        if new.shape != old.shape or not np.allclose(new, old, rtol=1e-4, atol=1e-4, equal_nan=True):
            raise UsageError(
                f"{key} of the weights differs from the law saved at step {opened.step}: the code has changed "
                "since, or the checkpoint is damaged; leave out --recompute to see the saved law"
            )
    return law


def _format_force(force: dict[str, Any]) -> str:
    """A learned force: its weights, and the refined estimate beside them."""
    from o2t_jax.systems.o2t_force import headline_of

    refined = force["refined"]
    beside = f"no intervals: {force['error']}" if refined is None else f"{100 * refined['level']:.0f} % intervals"
    return f"beside g(z), {force['form']}: {headline_of(force)}   ({beside})"


def _truth(workdir: Path) -> Any:
    """The world's own law, for the plot's dashed line; None if the run's world does not reveal it."""
    from o2t_jax.physics.gravity import gravity_of
    from o2t_jax.training.workdir import TRUTH, read_json

    path = workdir / TRUTH
    truth = read_json(path) if path.exists() else {}
    return gravity_of(truth).g if "law" in truth or "g0" in truth else None


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", None, "the run's folder", flag_values=values)
    flags.DEFINE_string("step", None, "a kept step, 'latest' or 'best'; latest if left out", flag_values=values)
    flags.DEFINE_string("json", None, "file for the read-out; - is standard output", flag_values=values)
    flags.DEFINE_boolean(
        "recompute", False, "read the law from the weights again and compare with the saved one", flag_values=values
    )
    flags.DEFINE_string("plot", None, "file for the plot; DIR/law.png if left out", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
