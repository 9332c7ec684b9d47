"""Writes a system's samples as a set: python -m experiments.generate --config=FILE [--config.FIELD=VALUE] [--out=DIR]

The set is a folder, datasets/NAME/YYYYMMDD-HHMMSS without --out, that appears when all is written. It holds ArrayRecord
files per split, metadata.json and SHA256SUMS; docs/data.md says how to read it and what is checked when. A config of
several sets (system video) writes them one after the other: with --out, DIR/NAME each.
--train, --validation and --test are the numbers of samples. Ctrl-C stops and leaves nothing of the set that is being
written; of several sets the finished ones stay, and --config.sets= names those that are missing.

    python -m experiments.generate --check=DIR

compares the SHA-256 of every file of a set; with --config=FILE also whether its samples are of that config's kind.
"""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from o2t_jax.commands import _cli, _cpu
from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    from o2t_jax.training.progress import Progress
    from o2t_jax.types import SampleSource

SPLITS = ("train", "validation", "test")
_PLAIN_SECONDS = 10.0  # between two lines of progress where the output is not a terminal


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(generate, argv, doc=__doc__ or "", define=_define)


def generate(arguments: _cli.Arguments) -> int:
    """Writes a set, or checks one."""
    if arguments.flags.check:
        return _check(arguments)
    from o2t_jax.evaluation.writers.console import report
    from o2t_jax.training.provenance import versions

    values, config = arguments.flags, arguments.config
    assert config is not None
    sets = _planned(_sources(arguments), values)
    about = {
        "command": _cli.command_line("generate", arguments.argv),
        "config": config.to_dict(),
        "versions": versions(),
    }
    written = [_written(each, about) for each in sets]
    lines, found = zip(*written, strict=True)
    report("\n".join(lines), found[0] if len(found) == 1 else {"sets": list(found)}, values.json)
    return 0


class _Set(NamedTuple):
    source: SampleSource
    counts: dict[str, int]
    folder: Path


def _planned(sources: Sequence[SampleSource], values: flags.FlagValues) -> list[_Set]:
    """Each set with its numbers and its folder. Raises: UsageError where one cannot be written."""
    from o2t_jax.data.records import check_counts, check_free, set_bytes
    from o2t_jax.training import disk
    from o2t_jax.training.resources import gb

    asked = {split: values[split].value for split in SPLITS}
    given = {split: count for split, count in asked.items() if count is not None}
    sets = []
    for source in sources:
        out = values.out and (Path(values.out) if len(sources) == 1 else Path(values.out) / source.name)
        each = _Set(source, dict(source.splits) | given, out or _folder_of_now(source.name))
        check_counts(source, each.counts)
        check_free(each.folder)
        sets.append(each)
    size, free = sum(set_bytes(each.source.spec, each.counts) for each in sets), disk.free_bytes(sets[0].folder)
    if size > free:
        what = "the set needs" if len(sets) == 1 else f"the {len(sets)} sets need"
        raise UsageError(
            f"{sets[0].folder}: its disk has {gb(free)} free, and {what} {gb(size)}: make room, ask for fewer samples, "
            "or choose another --out"
        )
    return sets


def _written(wanted: _Set, about: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What is said of a set that is written, as a text and in JSON. Raises: UsageError for a full disk."""
    from o2t_jax.data.records import write_set
    from o2t_jax.training import disk
    from o2t_jax.training.progress import Progress
    from o2t_jax.training.resources import gb
    from o2t_jax.training.signals import caught

    (source, counts, folder), progress, begun = wanted, Progress(), time.monotonic()
    try:
        with caught(_interrupt):
            write_set(folder, source, counts, about=about, progress=_reporter(progress))
    except (OSError, RuntimeError) as error:
        if (reason := disk.reason_of(error)) is None:
            raise
        raise UsageError(f"{folder}: {reason[0]}, nothing is left of the set: {reason[1]}") from error
    finally:
        progress.close()
    written = sum(path.stat().st_size for path in folder.iterdir())
    numbers = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    text = f"{folder}: {numbers}, {gb(written)} in {time.monotonic() - begun:.1f} s"
    return text, {"path": str(folder), "samples": counts, "bytes": written}


def _check(arguments: _cli.Arguments) -> int:
    from o2t_jax.data.stored import open_set
    from o2t_jax.evaluation.writers.console import report

    values = arguments.flags
    with open_set(values.check, verify=True) as stored:
        if _cli.config_overrides(list(arguments.argv)):
            sources = _sources(arguments)
            stored.require(next((source for source in sources if source.name == stored.metadata["name"]), sources[0]))
        numbers = ", ".join(f"{name} {count:,}" for name, count in stored.splits.items())
        report(f"{stored.path} is intact: {numbers}", {"path": str(stored.path), **stored.metadata}, values.json)
    return 0


def _sources(arguments: _cli.Arguments) -> Sequence[SampleSource]:
    """The samples that the config's system offers to store; from here on JAX is needed."""
    from o2t_jax.systems.base import build_system
    from o2t_jax.training import resources

    config = arguments.config
    assert config is not None
    resources.set_compilation_cache(config.compilation_cache)
    _cpu.start_devices(arguments.cpu_tuning, config.device)
    sources = build_system(config).sample_sources
    if not sources:
        raise UsageError(
            f"system {config.system!r} makes its samples as it trains and stores none: give the config of one that "
            "does, such as --config=experiments/configs/toy.py"
        )
    return sources


def _folder_of_now(name: str) -> Path:
    from o2t_jax.data.stored import DATASETS

    return DATASETS / name / datetime.datetime.now().strftime("%Y%m%d-%H%M%S")


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """SIGTERM and SIGHUP remove what is half written too."""
    raise KeyboardInterrupt


def _reporter(progress: Progress) -> Callable[[int, int], None]:
    from o2t_jax.training.progress import Eta, clock

    eta, last = Eta(), time.monotonic()

    def update(done: int, total: int) -> None:
        nonlocal last
        left, now = eta.seconds(done, total), time.monotonic()
        due = now - last >= _PLAIN_SECONDS
        last = now if due else last
        progress.update(
            f"writing {done:,}/{total:,} samples" + (f" · ETA {clock(left)}" if left is not None else ""), plain=due
        )

    return update


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", None, "the set's folder; datasets/NAME/<time> if left out", flag_values=values)
    flags.DEFINE_string("check", None, "only check the set in this folder", flag_values=values)
    flags.DEFINE_string("json", None, "file for path, numbers and bytes; - is standard output", flag_values=values)
    for split in SPLITS:
        flags.DEFINE_integer(
            split, None, f"number of samples of {split}; the system's own if left out", flag_values=values
        )


if __name__ == "__main__":
    sys.exit(main())
