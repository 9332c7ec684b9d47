"""Shared by all benchmark commands: the machine's description, a printed table, a JSON file."""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import os
import platform
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from o2t_jax.commands import _cli, _cpu
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.writers.console import format_table, report


class FlagParser(argparse.ArgumentParser):
    """A benchmark's arguments. What is wrong with them is one line, with exit code 2, as it is for commands.

    Args: `name`, the module in `benchmarks`; `about`, shown by --help as it is written; `measures`: whether the
    flags are added that `run_checked` reads.
    """

    def __init__(self, name: str, about: str | None, measures: bool = False) -> None:
        shown = argparse.RawDescriptionHelpFormatter
        super().__init__(prog=f"python -m benchmarks.{name}", description=about, formatter_class=shown)
        if measures:
            self.add_json()
            self.add_argument("--cpu_tuning", choices=_cpu.CHOICES, default="on", help="as --config.cpu_tuning")

    def add_json(self) -> None:
        """Adds --json for `finish`."""
        self.add_argument(
            "--json", metavar="FILE", type=json_file, help="write the figures to FILE; '-' is standard output"
        )

    def error(self, message: str) -> NoReturn:
        """Says what is wrong, without the usage; ends the program."""
        sys.exit(_cli.fail(f"{message}; see {self.prog} --help"))


def at_least_1(text: str) -> int:
    """A flag's whole number of at least 1. Raises: ArgumentTypeError, as all of these, which a `FlagParser` says."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of at least 1")
    return int(text)


def each_at_least_1(text: str) -> list[int]:
    """A flag's whole numbers of at least 1, with commas between."""
    return [at_least_1(each) for each in text.split(",")]


def above_zero(text: str) -> float:
    """A flag's number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number above 0")
    return number


def versions(*packages: str) -> dict[str, str]:
    """Package -> its installed version. Raises: PackageNotFoundError."""
    return {name: importlib.metadata.version(name) for name in packages}


def json_file(text: str) -> str:
    """A flag's file in a folder that can be written to: what cannot be is refused before anything is measured."""
    path = Path(text)
    if text != "-" and not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: the folder {path.parent} does not exist; make it first")
    if text != "-" and (path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK)):
        raise argparse.ArgumentTypeError(f"{text}: it is a folder, or cannot be written; give another file")
    return text


def machine() -> dict[str, Any]:
    """Processor, cores and versions: a figure without them has no meaning."""
    import jax

    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = jax.devices()[0]
    return {
        "processor": name,
        "cores": cores,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "device": f"{device.platform} {device.device_kind}",
    }


def run_checked(
    arguments: argparse.Namespace,
    check: Callable[[argparse.Namespace], None],
    run: Callable[[argparse.Namespace], int],
) -> int:
    """The exit code of a command: `check`, which raises UsageError, then `run` with the CPU's settings made."""
    try:
        check(arguments)
    except UsageError as error:
        return _cli.fail(str(error))
    _cpu.prepare(arguments.cpu_tuning)
    _cli.be_quiet()
    _cpu.start_devices(arguments.cpu_tuning)
    return run(arguments)


def check_parts(given: str, known: Collection[str]) -> None:
    """Raises UsageError where `given`, names with commas between them, are not all `known`."""
    unknown = set(given.split(",")) - set(known)
    if unknown:
        raise UsageError(f"--parts={','.join(sorted(unknown))} is unknown: choose from {', '.join(known)}")


def finish(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], json_path: str | None, **keys: Any) -> None:
    """Prints the table and the machine; writes both, its load and `keys` to `json_path` (- is standard output)."""
    where = machine()
    if hasattr(os, "getloadavg"):
        keys["load"] = os.getloadavg()
    text = f"{format_table(rows, columns)}\n{', '.join(f'{name} {value}' for name, value in where.items())}"
    report(text, {"machine": where, "rows": list(rows), **keys}, json_path)
