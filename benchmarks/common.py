"""Shared by all benchmark commands: the machine's description, a printed table, a JSON file."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from o2t_jax.commands import _cli, _cpu
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.writers.console import format_table, report


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
        check_json(getattr(arguments, "json", None))
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


def check_json(path: str | None) -> None:
    """Raises UsageError for a file whose folder does not exist: before anything is measured."""
    if path and path != "-" and not Path(path).parent.is_dir():
        raise UsageError(f"--json={path}: the folder {Path(path).parent} does not exist; make it first")


def check_at_least_1(arguments: argparse.Namespace, *names: str) -> None:
    """Raises UsageError where one of these numbers is below 1."""
    for name in names:
        if getattr(arguments, name) < 1:
            raise UsageError(f"--{name}={getattr(arguments, name)} must be at least 1")


def finish(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], json_path: str | None, **keys: Any) -> None:
    """Prints the table and the machine; writes both, with `keys`, to `json_path` (- is standard output)."""
    where = machine()
    text = f"{format_table(rows, columns)}\n{', '.join(f'{name} {value}' for name, value in where.items())}"
    report(text, {"machine": where, "rows": list(rows), **keys}, json_path)
