"""Shared by all benchmark commands: the machine's description, a printed table, a JSON file."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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


def finish(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], json_path: str | None, **keys: Any) -> None:
    """Prints the table and the machine; writes both, with `keys`, to `json_path` (- is standard output)."""
    where = machine()
    text = f"{format_table(rows, columns)}\n{', '.join(f'{name} {value}' for name, value in where.items())}"
    report(text, {"machine": where, "rows": list(rows), **keys}, json_path)
