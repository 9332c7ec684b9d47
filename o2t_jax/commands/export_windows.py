"""A set of discs as the original's windows: python -m experiments.export_windows --dataset=discs/latest --out=FILE.npz

FILE.npz has the arrays train, validation and test, float32 [windows, 3, discs, 5]: frames t - 1, t, t + 1, and of each
disc x/width, y/height, vx/speed limit, vy/speed limit, mass. No scene is in two of them; windows of a scene follow each
other. The set is one that python -m experiments.generate --config=experiments/configs/discs/cpu.py made; its folder, or
a name under datasets/. With PyTorch: torch.from_numpy(numpy.load(FILE)["train"]).
"""

from __future__ import annotations

import sys

from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.errors import UsageError


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(export, argv, doc=__doc__ or "", define=_define, with_config=False)


def export(arguments: _cli.Arguments) -> int:
    """Reads the set, writes the archive, prints its numbers of windows."""
    values = arguments.flags
    out = _cli.out_file(values.out, (".npz",))
    if not values.dataset:
        raise UsageError("--dataset is missing: give the folder of a set, or a name such as discs/latest")
    from o2t_jax.data.discs.export import write_windows
    from o2t_jax.data.stored import open_set
    from o2t_jax.evaluation.writers.console import report

    with open_set(values.dataset, verify=True) as stored:
        numbers = write_windows(stored, out)
        text = ", ".join(f"{split} {count:,}" for split, count in numbers.items())
        report(f"{out}: windows of {stored.path}: {text}", {"path": str(out), "windows": numbers}, values.json)
    return 0


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("dataset", None, "the set: its folder, or NAME/TIME under datasets/", flag_values=values)
    flags.DEFINE_string("out", None, "the file to write, .npz", flag_values=values)
    flags.DEFINE_string("json", None, "file for path and numbers; - is standard output", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
